"""From the starts' runs to the groups of the result tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.em.loop import Run
from mixcompare.backends.em.standard_errors import METHODS, Method, Uncertainty, uncertainty
from mixcompare.backends.em.standardise import Parameters, Standardised
from mixcompare.compress import PreparedPanel
from mixcompare.errors import DegenerateFitError
from mixcompare.fit import DIMS, coordinates, parameter_dataset
from mixcompare.outcome import Outcome
from mixcompare.panel import FloatArray, IntArray
from mixcompare.parameters import VARIABLES, Parameter, reported_parameters, unflatten
from mixcompare.spec import MixtureSpec

# Log-likelihoods that agree to this, relative to their size, are one optimum.
_SAME_OPTIMUM = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A kind of start and the run that it gave."""

    kind: str
    run: Run


def outcome(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    data: Standardised,
    started: Sequence[Started],
    method: Method,
) -> Outcome:
    """Choose the best start, number its components, and describe all starts.

    Raises
    ------
    DegenerateFitError
        If no start gave a usable fit.
    """
    final = np.array(
        [s.run.log_likelihood[-1] if s.run.usable else -np.inf for s in started], dtype=float
    )
    if not np.isfinite(final).any():
        raise _all_degenerate(started)
    best = started[int(final.argmax())].run
    assert best.e_step is not None
    order = labels.by_weight(best.parameters[-1].weights)
    path = [data.to_raw(parameters.permuted(order)) for parameters in best.parameters]
    responsibilities = best.e_step.responsibilities[:, order]
    coords = coordinates(spec, prepared)
    reported = reported_parameters(spec, prepared.covariate_names, prepared.outcome_names)
    known = uncertainty(spec, data, best.parameters[-1].permuted(order), reported, method)
    raw = path[-1]
    estimate = parameter_dataset(
        coords,
        weights=raw.weights,
        coefficients=raw.coefficients,
        covariance=raw.covariance,
        responsibilities=responsibilities,
    ).assign(log_likelihood=(("unit",), best.e_step.unit_log_likelihood))
    estimate.attrs["score_distance"] = known.score_distance
    groups = {
        "estimate": estimate,
        "standard_errors": _standard_errors(coords, reported, known, method),
        "starts": _starts(coords, data, started, final, responsibilities),
        "history": _history(coords, path, best),
    }
    return Outcome(groups, best.status, _message(groups["starts"], best))


def _history(coords: dict[str, Any], path: Sequence[Parameters], run: Run) -> xr.Dataset:
    """The best start, iterate by iterate: parameters, log-likelihood = Q + entropy."""
    arrays = {name: np.stack([getattr(at, name) for at in path]) for name in VARIABLES}
    return (
        parameter_dataset(coords, ("iteration",), **arrays)
        .assign(
            log_likelihood=(("iteration",), run.log_likelihood),
            expected_log_likelihood=(("iteration",), run.expected_log_likelihood),
            entropy=(("iteration",), run.entropy),
        )
        .assign_coords(iteration=np.arange(1, len(path) + 1))
    )


def _all_degenerate(started: Sequence[Started]) -> DegenerateFitError:
    examples = "; ".join(dict.fromkeys(s.run.message for s in started[:3]))
    return DegenerateFitError(
        f"none of the {len(started)} starts gave a usable fit ({examples}). The likelihood of a "
        "mixture is unbounded where a component shrinks onto a few rows: ask for fewer "
        "components, covariance_by='shared', or a simpler covariance; a prior "
        "(backend='pymc') also keeps components from collapsing."
    )


def _message(starts: xr.Dataset, best: Run) -> str:
    at_best = int((starts["optimum"] == 0).sum())
    total = starts.sizes["start"]
    unusable = int((starts["optimum"] < 0).sum())
    note = f"; {unusable} unusable" if unusable else ""
    return f"{best.message}; {at_best} of {total} starts reached the best optimum{note}"


def _standard_errors(
    coords: dict[str, Any], reported: Sequence[Parameter], known: Uncertainty, method: Method
) -> xr.Dataset:
    """Standard errors in the parameters' own shapes; structural zeros have none (0)."""
    shapes: dict[str, tuple[int, ...]] = {
        name: tuple(len(coords[dim]) for dim in DIMS[name]) for name in VARIABLES
    }
    arrays = unflatten(np.sqrt(np.diag(known.covariance)), reported, shapes)
    dataset = parameter_dataset(coords, (), **arrays).assign(
        parameter_covariance=(("parameter", "parameter_bis"), known.covariance),
        inverse_information=(("parameter", "parameter_bis"), known.inverse_information),
    )
    names = np.array([p.name for p in reported], dtype=object)
    dataset = dataset.assign_coords(parameter=names, parameter_bis=names)
    dataset.attrs["method"] = METHODS[method]
    dataset.attrs["reason"] = known.reason
    return dataset


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
    arrays: dict[str, FloatArray] = {
        name: np.full((len(started), *(len(coords[dim]) for dim in DIMS[name])), np.nan)
        for name in VARIABLES
    }
    for i, s in enumerate(started):
        history[i, : len(s.run.log_likelihood)] = s.run.log_likelihood
        if s.run.e_step is not None:
            permutation = labels.align_to_reference(s.run.e_step.responsibilities, reference)
            raw = data.to_raw(s.run.parameters[-1].permuted(permutation))
            for name, values in arrays.items():
                values[i] = getattr(raw, name)
    last = [s.run.log_likelihood[-1] if len(s.run.log_likelihood) else np.nan for s in started]
    dataset = parameter_dataset(coords, ("start",), **arrays)
    return dataset.assign(
        log_likelihood=(("start",), np.array(last)),
        iterations=(("start",), np.array([len(s.run.log_likelihood) for s in started])),
        status=(("start",), np.array([s.run.status for s in started], dtype=object)),
        message=(("start",), np.array([s.run.message for s in started], dtype=object)),
        criterion=(("start",), np.array([s.run.criterion for s in started])),
        kind=(("start",), np.array([s.kind for s in started], dtype=object)),
        optimum=(("start",), group_optima(final)),
        log_likelihood_history=(("start", "iteration"), history),
    ).assign_coords(start=np.arange(len(started)), iteration=np.arange(1, longest + 1))


def group_optima(log_likelihood: FloatArray) -> IntArray:
    """Number the distinct optima from the best (0) down; -1 for starts without one.

    Parameters
    ----------
    log_likelihood
        (S,) final values; -inf for starts that are not usable.
    """
    order = np.argsort(-log_likelihood, kind="stable")
    result = np.full(len(log_likelihood), -1, dtype=np.intp)
    number = -1
    previous = np.inf
    for i in order[np.isfinite(log_likelihood[order])]:
        if previous - log_likelihood[i] > _SAME_OPTIMUM * (1 + abs(log_likelihood[i])):
            number += 1
        result[i] = number
        previous = log_likelihood[i]
    return result
