"""From the starts' runs to the groups of the result tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.em.diagnosis import diagnose
from mixcompare.backends.em.expectation import e_step
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.runs import Run
from mixcompare.backends.em.saddle import off_saddles
from mixcompare.backends.em.search import Started
from mixcompare.backends.em.separation import separation
from mixcompare.backends.em.standard_errors import METHODS, Uncertainty, uncertainty
from mixcompare.backends.em.standardise import Standardised
from mixcompare.compress import PreparedPanel
from mixcompare.errors import DegenerateFitError
from mixcompare.outcome import Outcome
from mixcompare.panel import FloatArray, IntArray
from mixcompare.parameters import VARIABLES, Parameter, reported_parameters, unflatten
from mixcompare.spec import MixtureSpec
from mixcompare.tree import DIMS, coordinates, parameter_dataset

# Log-likelihoods that agree to this, relative to their size, are one optimum.
_SAME_OPTIMUM = 1e-8


def outcome(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    data: Standardised,
    started: Sequence[Started],
    options: Options,
) -> Outcome:
    """Choose the best start, number its components, and describe all starts.

    Raises
    ------
    DegenerateFitError
        If no start gave a usable fit.
    """
    if not np.isfinite(_final(started)).any():
        raise _all_degenerate(spec, started)
    started, curvature = off_saddles(
        spec, data, started, options, lambda s: int(_final(s).argmax())
    )
    final = _final(started)
    best = started[int(final.argmax())].run
    assert best.e_step is not None
    order = labels.by_weight(best.parameters[-1].weights)
    path = best.parameters.permuted(order)
    responsibilities = best.e_step.responsibilities[:, order]
    coords = coordinates(spec, prepared)
    reported = reported_parameters(spec, prepared)
    apart = separation(data, path[-1])
    known = uncertainty(
        spec,
        data,
        path[-1],
        reported,
        options.standard_errors,
        unbounded=None if apart is None else apart.directions,
        curvature=curvature,
    )
    arrays = {"responsibilities": responsibilities, **_arrays(data.to_raw(path[-1]))}
    estimate = parameter_dataset(coords, (), **arrays).assign(
        log_likelihood=(("unit",), best.e_step.weighted_log_likelihood)
    )
    estimate.attrs = {
        "estimator": options.estimator,
        "log_prior": float(best.log_prior[-1]),
        "score_distance": known.score_distance,
    }
    history = _history(coords, data.to_raw(path), best)
    if options.history == "full":
        history = history.assign(_full_history(spec, data, path, reported, options, coords))
    groups = {
        "estimate": estimate,
        "standard_errors": _standard_errors(coords, reported, known, options),
        "starts": _starts(coords, data, started, final, responsibilities),
        "history": history,
    }
    without_maximum = (
        ""
        if apart is None
        else apart.sentence(prepared.concomitant_names, arrays["membership_coefficients"])
    )
    diagnosis = diagnose(best, without_maximum)
    if without_maximum and not known.reason:
        groups["standard_errors"].attrs["reason"] = without_maximum
    message = _message(groups["starts"], best)
    return Outcome(groups, diagnosis.status, message, diagnosis.cautions)


def _final(started: Sequence[Started]) -> FloatArray:
    """(S,) objectives of usable starts, or if there is none of saddle points; -inf for others."""
    usable = [s.run.usable for s in started]
    if not any(usable):
        usable = [s.run.status == "saddle" for s in started]
    each = [s.run.objective[-1] if u else -np.inf for s, u in zip(started, usable, strict=True)]
    return np.array(each, dtype=float)


def _arrays(parameters: Parameters) -> dict[str, FloatArray]:
    """The parameter arrays by name."""
    named = {name: getattr(parameters, name) for name in VARIABLES}
    return {name: array for name, array in named.items() if array is not None}


def _history(coords: dict[str, Any], path: Parameters, run: Run) -> xr.Dataset:
    """The best start, iterate by iterate: parameters, log-likelihood = Q + entropy."""
    return (
        parameter_dataset(coords, ("iteration",), **_arrays(path))
        .assign(
            log_likelihood=(("iteration",), run.log_likelihood),
            expected_log_likelihood=(("iteration",), run.expected_log_likelihood),
            entropy=(("iteration",), run.entropy),
            log_prior=(("iteration",), run.log_prior),
        )
        .assign_coords(iteration=np.arange(1, len(path.weights) + 1))
    )


def _full_history(
    spec: MixtureSpec,
    data: Standardised,
    path: Parameters,
    reported: Sequence[Parameter],
    options: Options,
    coords: dict[str, Any],
) -> xr.Dataset:
    """Responsibilities, and standard errors where the information allows them."""
    tau = e_step(data, path).responsibilities
    errors = []
    for i in range(len(tau)):
        known = uncertainty(spec, data, path[i], reported, options.standard_errors, anywhere=True)
        errors.append(np.sqrt(np.diag(known.covariance)))
    full = parameter_dataset(coords, ("iteration",), responsibilities=tau)
    names = np.array([p.name for p in reported], dtype=object)
    return full.assign(
        standard_errors=(("iteration", "parameter"), np.stack(errors))
    ).assign_coords(parameter=names)


def _all_degenerate(spec: MixtureSpec, started: Sequence[Started]) -> DegenerateFitError:
    examples = "; ".join(dict.fromkeys(s.run.message for s in started[:3]))
    advice = (
        "The likelihood of a mixture is unbounded where a component shrinks onto a few rows: ask "
        "for fewer components, covariance_by='shared', a simpler covariance, or the mode of the "
        "posterior (estimator='map'), whose priors keep components from collapsing."
    )
    if spec.n_components == 1 and "collapsed" in examples:
        advice = (
            "Given the covariates the outcomes are collinear but for rounding: leave one of them "
            "out, take their difference in its place, or ask for covariance='diagonal'."
        )
    return DegenerateFitError(
        f"none of the {len(started)} starts gave a usable fit ({examples}). {advice}"
    )


def _message(starts: xr.Dataset, best: Run) -> str:
    at_best = int((starts["optimum"] == 0).sum())
    total = starts.sizes["start"]
    unusable = int((starts["optimum"] < 0).sum())
    note = f"; {unusable} unusable" if unusable else ""
    return f"{best.message}; {at_best} of {total} starts reached the best optimum{note}"


def _standard_errors(
    coords: dict[str, Any], reported: Sequence[Parameter], known: Uncertainty, options: Options
) -> xr.Dataset:
    """Standard errors in the parameters' own shapes; structural zeros have none (0)."""
    shapes = _shapes(coords)
    arrays = unflatten(np.sqrt(np.diag(known.covariance)), reported, shapes)
    dataset = parameter_dataset(coords, (), **arrays).assign(
        parameter_covariance=(("parameter", "parameter_bis"), known.covariance),
        inverse_information=(("parameter", "parameter_bis"), known.inverse_information),
    )
    if known.sandwich is not None:
        dataset = dataset.assign(sandwich_se=(("parameter",), np.sqrt(np.diag(known.sandwich))))
    names = np.array([p.name for p in reported], dtype=object)
    dataset = dataset.assign_coords(parameter=names, parameter_bis=names)
    of_posterior = " of the log-posterior" if options.estimator == "map" else ""
    dataset.attrs["method"] = METHODS[options.standard_errors] + of_posterior
    dataset.attrs["reason"] = known.reason
    return dataset


def _shapes(coords: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    shapes = {name: tuple(len(coords[dim]) for dim in DIMS[name]) for name in VARIABLES}
    return {name: shape for name, shape in shapes.items() if 0 not in shape}


def _starts(
    coords: dict[str, Any],
    data: Standardised,
    started: Sequence[Started],
    final: FloatArray,
    reference: FloatArray,
) -> xr.Dataset:
    """Every start's end, aligned to the best one."""
    longest = max(len(s.run.log_likelihood) for s in started)
    history = np.full((len(started), longest), np.nan)
    weights = np.full((*history.shape, len(coords["component"])), np.nan)
    arrays: dict[str, FloatArray] = {
        name: np.full((len(started), *shape), np.nan) for name, shape in _shapes(coords).items()
    }
    for i, s in enumerate(started):
        history[i, : len(s.run.log_likelihood)] = s.run.log_likelihood
        if s.run.e_step is not None:
            # A copy: what it makes when asked goes with it.
            tau = replace(s.run.e_step).responsibilities
            permutation = labels.align_to_reference(tau, reference)
            path = s.run.parameters.permuted(permutation)
            weights[i, : len(path.weights)] = path.weights
            raw = data.to_raw(path[-1])
            for name, values in arrays.items():
                values[i] = getattr(raw, name)
    dataset = parameter_dataset(coords, ("start",), **arrays)
    return dataset.assign(
        log_likelihood=(("start",), np.array([_last(s.run.log_likelihood) for s in started])),
        log_prior=(("start",), np.array([_last(s.run.log_prior) for s in started])),
        iterations=(("start",), np.array([len(s.run.log_likelihood) for s in started])),
        status=(("start",), np.array([s.run.status for s in started], dtype=object)),
        message=(("start",), np.array([s.run.message for s in started], dtype=object)),
        criterion=(("start",), np.array([s.run.criterion for s in started])),
        kind=(("start",), np.array([s.kind for s in started], dtype=object)),
        optimum=(("start",), group_optima(final)),
        log_likelihood_history=(("start", "iteration"), history),
        weights_history=(("start", "iteration", "component"), weights),
    ).assign_coords(start=np.arange(len(started)), iteration=np.arange(1, longest + 1))


def _last(values: FloatArray) -> float:
    return float(values[-1]) if len(values) else np.nan


def group_optima(objective: FloatArray) -> IntArray:
    """Number the distinct optima from the best (0) down; -1 for starts without one.

    Parameters
    ----------
    objective
        (S,) final values; -inf for starts that are not usable.
    """
    order = np.argsort(-objective, kind="stable")
    result = np.full(len(objective), -1, dtype=np.intp)
    number = -1
    previous = np.inf
    for i in order[np.isfinite(objective[order])]:
        if previous - objective[i] > _SAME_OPTIMUM * (1 + abs(objective[i])):
            number += 1
        result[i] = number
        previous = objective[i]
    return result
