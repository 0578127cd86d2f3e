"""From the starts' runs to the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixcompare import labels
from mixcompare.backends.em.choice import Choice, Chooser
from mixcompare.backends.em.classes.separation import separation
from mixcompare.backends.em.diagnosis import diagnose
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import VALUES, Run, Started
from mixcompare.backends.em.saddle import off_saddles
from mixcompare.backends.em.standard_errors import standard_errors
from mixcompare.backends.em.theta import Blocks, Theta
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DegenerateFitError
from mixcompare.fits.result import Result, Search
from mixcompare.model.layout import Layout


def build_result(
    layout: Layout,
    concomitants: Sequence[str],
    model: Mixture,
    started: Sequence[Started],
    options: Options,
) -> Result:
    """Choose the best start, number its components, and describe all starts.

    Concomitants are the names of the membership's covariates. DegenerateFitError if no start gave
    a usable fit.
    """
    chooser = Chooser(model, options)
    if chooser.choose(started) is None:
        raise _all_degenerate(model, started)
    started, curvature = off_saddles(model, started, options, chooser.best)
    choice = chooser.choose(started)
    assert choice is not None
    best = started[choice.best].run
    order = labels.by_weight(best.path[-1].weights)
    path = model.permute(best.path, order)
    responsibilities, log_likelihood = _by_unit(best, order)

    def climb(classes: Blocks) -> float:
        return float(model.expect(replace(path[-1], classes=classes)).log_likelihood)

    apart = separation(model.classes, path[-1].classes, responsibilities, climb)
    unbounded = None if apart is None else apart.directions
    errors, score_distance = standard_errors(
        *(model, path[-1], layout.parameters, options.standard_errors),
        unbounded=unbounded,
        curvature=curvature,
    )
    estimate = model.to_raw(path[-1]).blocks
    history = _history(model.to_raw(path), best)
    if options.history == "full":
        history |= _full_history(model, path, layout, options)
    without_maximum = (
        "" if apart is None else apart.sentence(concomitants, estimate["membership_coefficients"])
    )
    status, cautions = diagnose(choice, started, options, order, without_maximum)
    return Result(
        options.kind,
        estimate,
        responsibilities,
        log_likelihood,
        status,
        _message(choice, best),
        cautions,
        measures={
            "estimator": options.estimator,
            "log_prior": float(best.log_prior[-1]),
            "score_distance": score_distance,
        },
        errors=errors,
        search=_search(layout, model, started, choice, responsibilities, cautions),
        history=history,
    )


def _by_unit(run: Run, order: IntArray) -> tuple[FloatArray, FloatArray]:
    """Responsibilities (G, K), classes in another order, and weighted log-likelihoods (G,)."""
    assert run.e_step is not None
    reached = replace(run.e_step)  # a copy, with which goes what it makes and is not asked for
    responsibilities, log_likelihood = reached.occupancy, reached.weighted_log_likelihood
    del reached
    return responsibilities[:, order], log_likelihood


def _history(path: Theta, run: Run) -> dict[str, FloatArray]:
    """The best start, iterate by iterate: parameters, log-likelihood = Q + entropy."""
    return {**path.blocks, **{name: getattr(run, name) for name in VALUES}}


def _full_history(
    model: Mixture, path: Theta, layout: Layout, options: Options
) -> dict[str, FloatArray]:
    """Responsibilities, and standard errors where the information allows them."""
    tau = model.occupancy(path)
    errors = []
    for i in range(len(tau)):
        method = options.standard_errors
        known, _ = standard_errors(model, path[i], layout.parameters, method, anywhere=True)
        errors.append(known.each)
    return {"responsibilities": tau, "standard_errors": np.stack(errors)}


def _all_degenerate(model: Mixture, started: Sequence[Started]) -> DegenerateFitError:
    examples = "; ".join(dict.fromkeys(s.run.message for s in started[:3]))
    advice = model.emissions[0].advice(examples)
    return DegenerateFitError(
        f"none of the {len(started)} starts gave a usable fit ({examples}). {advice}"
    )


def _message(choice: Choice, best: Run) -> str:
    total, unusable = len(choice.optimum), int((choice.optimum < 0).sum())
    note = f"; {unusable} unusable" if unusable else ""
    passed = "" if choice.passed_over is None else "; a higher one was passed over as spurious"
    return (
        f"{best.message}; {choice.at_best} of {total} starts reached the best optimum{passed}{note}"
    )


def _search(
    layout: Layout,
    model: Mixture,
    started: Sequence[Started],
    choice: Choice,
    reference: FloatArray,
    cautions: tuple[str, ...],
) -> Search:
    """Every start's end, aligned to the best one; iterates where they were kept."""
    longest = max(len(s.run.log_likelihood) for s in started)
    history = np.full((len(started), longest), np.nan)
    weights = np.full((*history.shape, model.n_components), np.nan)
    arrays: dict[str, FloatArray] = {
        name: np.full((len(started), *shape), np.nan) for name, shape in layout.shapes.items()
    }
    for i, s in enumerate(started):
        kept = slice(0 if s.run.dropped else len(s.run.log_likelihood))
        history[i, kept] = s.run.log_likelihood[kept]
        if s.run.e_step is not None:
            known = s.run.e_step.by_carrier
            tau = known.occupancy if known else model.occupancy(s.run.e_step.at)
            path = model.permute(s.run.path, labels.align_to_reference(tau, reference))
            weights[i, kept] = path.weights[kept]
            raw = model.to_raw(path[-1]).blocks
            for name, values in arrays.items():
                values[i] = raw[name]
    ends = {
        "log_likelihood": np.array([_last(s.run.log_likelihood) for s in started]),
        "log_prior": np.array([_last(s.run.log_prior) for s in started]),
        "iterations": np.array([s.run.n_iterations for s in started]),
        "status": np.array([s.run.status for s in started], dtype=object),
        "message": np.array([s.run.message for s in started], dtype=object),
        "criterion": np.array([s.run.criterion for s in started]),
        "kind": np.array([s.kind for s in started], dtype=object),
        "optimum": choice.optimum,
        "spurious": np.isin(choice.optimum, list(choice.spurious)),
        "spurious_rows": _of_spurious(choice, "rows"),
        "spurious_ratio": _of_spurious(choice, "ratio"),
    }
    return Search(arrays, ends, history, weights, choice.found_again, cautions)


def _of_spurious(choice: Choice, name: str) -> FloatArray:
    """(S,) a number of the class that makes a start's optimum spurious, NaN elsewhere."""
    values = {number: getattr(mark, name) for number, mark in choice.spurious.items()}
    return np.array([values.get(number, np.nan) for number in choice.optimum.tolist()])


def _last(values: FloatArray) -> float:
    return float(values[-1]) if len(values) else np.nan
