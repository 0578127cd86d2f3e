"""From the starts' runs to the groups of the result tree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.em.choice import Choice, Chooser
from mixcompare.backends.em.classes.class_model import Separation
from mixcompare.backends.em.classes.separation import NO_MAXIMUM
from mixcompare.backends.em.diagnosis import diagnose
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run, Started
from mixcompare.backends.em.saddle import off_saddles
from mixcompare.backends.em.search import found_again
from mixcompare.backends.em.standard_errors import METHODS, Uncertainty, uncertainty
from mixcompare.backends.em.theta import Blocks, Theta
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DegenerateFitError
from mixcompare.fits.outcome import Outcome
from mixcompare.fits.tree import parameter_dataset
from mixcompare.model.layout import Layout


def outcome(
    layout: Layout,
    coords: dict[str, Any],
    model: Mixture,
    started: Sequence[Started],
    options: Options,
) -> Outcome:
    """Choose the best start, number its components, and describe all starts.

    Raises
    ------
    DegenerateFitError
        If no start gave a usable fit.
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
    apart = _separation(model, path[-1], responsibilities)
    known = uncertainty(
        model,
        path[-1],
        layout.parameters,
        options.standard_errors,
        unbounded=None if apart is None else apart.directions,
        curvature=curvature,
    )
    arrays = {"responsibilities": responsibilities, **model.to_raw(path[-1]).blocks}
    estimate = parameter_dataset(layout, coords, (), **arrays).assign(
        log_likelihood=(("unit",), log_likelihood)
    )
    estimate.attrs = {
        "estimator": options.estimator,
        "log_prior": float(best.log_prior[-1]),
        "score_distance": known.score_distance,
    }
    history = _history(layout, coords, model.to_raw(path), best)
    if options.history == "full":
        history = history.assign(_full_history(model, path, layout, options, coords))
    groups = {
        "estimate": estimate,
        "standard_errors": _standard_errors(layout, coords, known, options),
        "starts": _starts(layout, coords, model, started, choice, responsibilities),
        "history": history,
    }
    without_maximum = (
        ""
        if apart is None
        else apart.sentence(coords["concomitant"], arrays["membership_coefficients"])
    )
    diagnosis = diagnose(choice, started, options, order, without_maximum)
    groups["starts"].attrs = {
        "found_again": int(found_again(choice)),
        "cautions": json.dumps(diagnosis.cautions),
    }
    if without_maximum and not known.reason:
        groups["standard_errors"].attrs["reason"] = NO_MAXIMUM
    message = _message(choice, best)
    return Outcome(options.kind, groups, diagnosis.status, message, diagnosis.cautions)


def _by_unit(run: Run, order: IntArray) -> tuple[FloatArray, FloatArray]:
    """Responsibilities (G, K), classes in another order, and weighted log-likelihoods (G,)."""
    assert run.e_step is not None
    reached = replace(run.e_step)  # a copy, with which goes what it makes and is not asked for
    responsibilities, log_likelihood = reached.occupancy, reached.weighted_log_likelihood
    del reached
    return responsibilities[:, order], log_likelihood


def _separation(model: Mixture, theta: Theta, occupancy: FloatArray) -> Separation | None:
    """Whether free parameters of the classes run off to infinity."""

    def climb(classes: Blocks) -> float:
        return float(model.expect(replace(theta, classes=classes)).log_likelihood)

    return model.classes.separation(theta.classes, occupancy, climb)


def _history(layout: Layout, coords: dict[str, Any], path: Theta, run: Run) -> xr.Dataset:
    """The best start, iterate by iterate: parameters, log-likelihood = Q + entropy."""
    return (
        parameter_dataset(layout, coords, ("iteration",), **path.blocks)
        .assign(
            log_likelihood=(("iteration",), run.log_likelihood),
            expected_log_likelihood=(("iteration",), run.expected_log_likelihood),
            entropy=(("iteration",), run.entropy),
            log_prior=(("iteration",), run.log_prior),
        )
        .assign_coords(iteration=np.arange(1, len(path.weights) + 1))
    )


def _full_history(
    model: Mixture,
    path: Theta,
    layout: Layout,
    options: Options,
    coords: dict[str, Any],
) -> xr.Dataset:
    """Responsibilities, and standard errors where the information allows them."""
    tau = model.occupancy(path)
    errors = []
    for i in range(len(tau)):
        known = uncertainty(
            model, path[i], layout.parameters, options.standard_errors, anywhere=True
        )
        errors.append(np.sqrt(np.diag(known.covariance)))
    full = parameter_dataset(layout, coords, ("iteration",), responsibilities=tau)
    names = np.array(layout.names(), dtype=object)
    return full.assign(
        standard_errors=(("iteration", "parameter"), np.stack(errors))
    ).assign_coords(parameter=names)


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


def _standard_errors(
    layout: Layout, coords: dict[str, Any], known: Uncertainty, options: Options
) -> xr.Dataset:
    """Standard errors in the parameters' own shapes; structural zeros have none (0)."""
    arrays = layout.unflatten(np.sqrt(np.diag(known.covariance)))
    dataset = parameter_dataset(layout, coords, (), **arrays).assign(
        parameter_covariance=(("parameter", "parameter_bis"), known.covariance),
        inverse_information=(("parameter", "parameter_bis"), known.inverse_information),
    )
    if known.sandwich is not None:
        dataset = dataset.assign(sandwich_se=(("parameter",), np.sqrt(np.diag(known.sandwich))))
    names = np.array(layout.names(), dtype=object)
    dataset = dataset.assign_coords(parameter=names, parameter_bis=names)
    of_posterior = " of the log-posterior" if options.estimator == "map" else ""
    dataset.attrs["method"] = METHODS[options.standard_errors] + of_posterior
    dataset.attrs["reason"] = known.reason
    return dataset


def _starts(
    layout: Layout,
    coords: dict[str, Any],
    model: Mixture,
    started: Sequence[Started],
    choice: Choice,
    reference: FloatArray,
) -> xr.Dataset:
    """Every start's end, aligned to the best one; iterates where they were kept."""
    longest = max(len(s.run.log_likelihood) for s in started)
    history = np.full((len(started), longest), np.nan)
    weights = np.full((*history.shape, len(coords["component"])), np.nan)
    arrays: dict[str, FloatArray] = {
        name: np.full((len(started), *shape), np.nan) for name, shape in layout.shapes.items()
    }
    for i, s in enumerate(started):
        kept = slice(0 if s.run.dropped else len(s.run.log_likelihood))
        history[i, kept] = s.run.log_likelihood[kept]
        if s.run.e_step is not None:
            path = model.permute(s.run.path, _alignment(model, s.run.e_step, reference))
            weights[i, kept] = path.weights[kept]
            raw = model.to_raw(path[-1]).blocks
            for name, values in arrays.items():
                values[i] = raw[name]
    dataset = parameter_dataset(layout, coords, ("start",), **arrays)
    return dataset.assign(
        log_likelihood=(("start",), np.array([_last(s.run.log_likelihood) for s in started])),
        log_prior=(("start",), np.array([_last(s.run.log_prior) for s in started])),
        iterations=(("start",), np.array([s.run.n_iterations for s in started])),
        status=(("start",), np.array([s.run.status for s in started], dtype=object)),
        message=(("start",), np.array([s.run.message for s in started], dtype=object)),
        criterion=(("start",), np.array([s.run.criterion for s in started])),
        kind=(("start",), np.array([s.kind for s in started], dtype=object)),
        optimum=(("start",), choice.optimum),
        spurious=(("start",), np.isin(choice.optimum, list(choice.spurious))),
        spurious_rows=(("start",), _of_spurious(choice, "rows")),
        spurious_ratio=(("start",), _of_spurious(choice, "ratio")),
        log_likelihood_history=(("start", "iteration"), history),
        weights_history=(("start", "iteration", "component"), weights),
    ).assign_coords(start=np.arange(len(started)), iteration=np.arange(1, longest + 1))


def _alignment(model: Mixture, reached: Expected, reference: FloatArray) -> IntArray:
    """(K,) renumbering of a start's classes that brings them nearest to the best one's."""
    tau = reached.found.occupancy if reached.found else model.occupancy(reached.at)
    return labels.align_to_reference(tau, reference)


def _of_spurious(choice: Choice, name: str) -> FloatArray:
    """(S,) a number of the class that makes a start's optimum spurious, NaN elsewhere."""
    values = {number: getattr(found, name) for number, found in choice.spurious.items()}
    return np.array([values.get(number, np.nan) for number in choice.optimum.tolist()])


def _last(values: FloatArray) -> float:
    return float(values[-1]) if len(values) else np.nan
