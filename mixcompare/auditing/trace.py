"""The iterates of somebody else's EM as checked arrays in the data's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.trace_format import NEEDED, OPTIONAL, TraceError
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.model.covariances import narrowest
from mixcompare.model.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Iterates of an EM, in raw units.

    Attributes
    ----------
    weights, coefficients, covariance
        (T, K), (T, K, p, m), (T, K, m, m); equal covariances if they are shared.
    responsibilities
        (T, G, K), units in the panel's order, or None. NaN where an iterate has none.
    log_likelihood
        (T,) as the foreign program states it, or None.
    iteration
        (T,) numbers of the iterates, as the foreign program counts them.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    responsibilities: FloatArray | None
    log_likelihood: FloatArray | None
    iteration: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.iteration)

    def parameters(self, t: int) -> Parameters:
        """The iterate at position t, its weights made to sum to one."""
        weights = self.weights[t] / self.weights[t].sum()
        return Parameters(weights, self.coefficients[t], self.covariance[t])


def check_trace(spec: MixtureSpec, panel: Panel, arrays: Mapping[str, Any]) -> Trace:
    """Bring arrays to their full shapes and check every iterate.

    Parameters
    ----------
    arrays
        ``weights`` (T, K); ``coefficients`` (T, K, p, m), or (T, K, p) for one outcome;
        ``covariance`` (T, K, m, m), (T, m, m) if shared, and for one outcome (T, K), or
        (T,) if shared; optionally ``responsibilities`` (T, G, K), ``log_likelihood`` (T,)
        and ``iteration`` (T,).
    """
    unknown = sorted(set(map(str, arrays)) - {*NEEDED, *OPTIONAL, "iteration"})
    missing = [name for name in NEEDED if name not in arrays]
    if unknown or missing:
        raise TraceError(
            f"the trace {f'lacks {", ".join(missing)}' if missing else 'has the unknown entry '}"
            f"{', '.join(map(repr, unknown)) if not missing else ''}; it needs "
            f"{', '.join(NEEDED)} and may have {', '.join(OPTIONAL)} and iteration."
        )
    weights = _floats("weights", arrays["weights"])
    k, p, m = spec.n_components, panel.covariates.shape[1], panel.outcomes.shape[1]
    if weights.ndim != 2 or weights.shape[1] != k:
        raise TraceError(
            f"weights have shape {weights.shape}, not (iterations, {k}): the specification has "
            f"n_components={k}. Give one row per iterate, or change the specification."
        )
    count = len(weights)
    if count < 2:
        raise TraceError(
            f"the trace has {count} iterate{'s' * (count != 1)}, and a step needs two. "
            "Store the parameters after every iteration, the start included."
        )
    read = Trace(
        weights,
        _coefficients(arrays["coefficients"], (count, k, p, m)),
        _covariance(spec, arrays["covariance"], (count, k, m)),
        _beside(
            "responsibilities",
            arrays.get("responsibilities"),
            (count, panel.n_units, k),
            "(iterations, units, components)",
        ),
        _beside("log_likelihood", arrays.get("log_likelihood"), (count,), "(iterations,)"),
        _iteration(arrays.get("iteration"), count),
    )
    _check_values(spec, read)
    return replace(read, covariance=(read.covariance + read.covariance.mT) / 2)


type _Shape = tuple[int, ...]


def _shaped(name: str, values: Any, allowed: Mapping[_Shape, _Shape], say: str) -> FloatArray:
    """An array in its full shape, which stands in `allowed` by the shape that it may have."""
    array = _floats(name, values)
    if array.shape not in allowed:
        shapes = " or ".join(map(str, allowed))
        raise TraceError(f"{name} have shape {array.shape}, not {shapes}{say}")
    return array.reshape(allowed[array.shape])


def _floats(name: str, values: Any) -> FloatArray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise TraceError(
            f"{name} of the trace are not an array of numbers ({error}). "
            "Give the same shape at every iterate."
        ) from error


_OF_PARAMETERS: Final = (
    ". The axes are iteration, component, covariate, outcome, in this order, and covariates as the "
    "formula gives them."
)


def _coefficients(values: Any, shape: _Shape) -> FloatArray:
    allowed = {shape: shape} | ({shape[:-1]: shape} if shape[-1] == 1 else {})
    return _shaped("coefficients", values, allowed, _OF_PARAMETERS)


def _covariance(spec: MixtureSpec, values: Any, shape: tuple[int, int, int]) -> FloatArray:
    count, k, m = shape
    allowed: dict[_Shape, _Shape] = {(count, k, m, m): (count, k, m, m)}
    if m == 1:
        allowed[count, k] = (count, k, 1, 1)
    if spec.covariance_by == "shared":
        allowed[count, m, m] = (count, 1, m, m)
        if m == 1:
            allowed[count,] = allowed[count, 1] = (count, 1, 1, 1)
    array = _shaped("covariance", values, allowed, f" ({spec.covariance_by}){_OF_PARAMETERS}")
    return np.array(np.broadcast_to(array, (count, k, m, m)))


def _beside(name: str, values: Any, shape: _Shape, axes: str) -> FloatArray | None:
    """What a trace may have beside the parameters; None if it has no number of it."""
    if values is None:
        return None
    say = f": {axes}. Give one entry per iterate, NaN where there is none, or leave them out."
    array = _shaped(name, values, {shape: shape}, say)
    return None if np.isnan(array).all() else array


def _iteration(values: Any, count: int) -> NDArray[np.int64]:
    if values is None:
        return np.arange(count)
    numbers = np.asarray(values)
    if numbers.shape != (count,) or not np.issubdtype(numbers.dtype, np.integer):
        raise TraceError(f"iteration must be {count} whole numbers, one for each iterate.")
    jumps = np.diff(numbers)
    gaps = np.flatnonzero(jumps != 1)
    # Every n-th iterate is a form that can be judged, n exact steps at a time.
    if gaps.size and not (len(jumps) > 1 and jumps[0] > 1 and (jumps == jumps[0]).all()):
        raise TraceError(
            f"iteration {numbers[gaps[0]] + 1} is missing: {numbers[gaps[0]]} is followed by "
            f"{numbers[gaps[0] + 1]}. A step can only be checked between neighbours: store every "
            "iterate, in order."
        )
    return numbers.astype(np.int64)


def _check_values(spec: MixtureSpec, trace: Trace) -> None:
    for name in NEEDED:
        array = getattr(trace, name).reshape(len(trace), -1)
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if bad.size:
            raise TraceError(
                f"{name} at iteration {trace.iteration[bad[0]]} are not finite. Audit the iterates "
                "before it: the fault lies in the steps that led there."
            )
    bad = np.flatnonzero((trace.weights < 0).any(axis=1) | (trace.weights.sum(axis=1) <= 0))
    if bad.size:
        raise TraceError(
            f"weights at iteration {trace.iteration[bad[0]]} are {trace.weights[bad[0]]}, but no "
            "weight may be negative nor all be zero. Check what the program stores as weights."
        )
    _check_covariance(spec, trace)


def _check_covariance(spec: MixtureSpec, trace: Trace) -> None:
    sigma = trace.covariance
    size = np.abs(sigma).max(axis=(-1, -2), keepdims=True)
    symmetric = (np.abs(sigma - sigma.mT) <= 1e-8 * size).all(axis=(-1, -2))
    definite = np.linalg.eigvalsh((sigma + sigma.mT) / 2)[..., 0] > 0
    for t, k in np.argwhere(~(symmetric & definite)):
        raise TraceError(
            f"the covariance of component {k + 1} at iteration {trace.iteration[t]} is "
            f"{sigma[t, k].tolist()}, which is not symmetric positive definite. Give variances, "
            "not their logarithms, and audit the iterates before a collapse."
        )
    wrong = None
    if spec.covariance_by == "shared" and (np.abs(sigma - sigma[:, :1]) > 1e-8 * size).any():
        wrong = "differ by component, but covariance_by='shared': write 'component'"
    elif (fitting := narrowest(sigma, 1e-8 * size, spec.covariance)) != spec.covariance:
        wrong = f"are not of the structure covariance={spec.covariance!r}: write {fitting!r}"
    if wrong:
        raise TraceError(f"the trace's covariances {wrong} in the specification.")
