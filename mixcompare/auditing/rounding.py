"""What the digits of a trace allow: how far rounding moves the step that follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import MADE, PARTS, Part
from mixcompare.auditing.trace import Trace
from mixcompare.auditing.trace_format import NEEDED
from mixcompare.auditing.traced_problem import TracedProblem, determined, difference, exact_m_step
from mixcompare.base.arrays import FloatArray

_DRAWS: Final = 8
# Standard deviations of what rounding does that are not held against a step.
_DEVIATIONS: Final = 6.0
# What a program that computes in double precision may lose, relative to each number.
_DOUBLE: Final = 1e-14
# What rounding moves a part by when its digits no longer say anything.
_UNJUDGED: Final = 1.0
_MOST_DIGITS: Final = 7
_FEWEST_VALUES: Final = 4
_ROUND: Final = 20


def precision(trace: Trace) -> float:
    """Tolerance that the digits of the iterates allow, 1e-6 at best.

    The start is left out, which may be of round numbers. The E-step multiplies rounding, so
    that steps agree to two digits less than their parameters have.
    """
    values = _telling(np.concatenate([getattr(trace, name)[1:].ravel() for name in NEEDED]))
    for digits in range(4, _MOST_DIGITS + 1):
        if _holds(values, _significant(values, digits)):
            return float(10.0 ** (2 - digits))
    return 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Size of the last digit of every number of a trace, in the trace's shapes.

    Attributes
    ----------
    are_rounded
        Whether some are coarser than double precision.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    are_rounded: bool


def units_of(trace: Trace) -> Units:
    """The last digits that the trace shows, or those of double precision.

    The start is left out, which may be of round numbers.
    """
    weights, coefficients, covariance = (
        last_digit(getattr(trace, name), skip=1) for name in NEEDED
    )
    rounded = any(
        (unit > 2 * _DOUBLE * np.abs(getattr(trace, name))).any()
        for unit, name in zip((weights, coefficients, covariance), NEEDED, strict=True)
    )
    return Units(weights, coefficients, covariance, rounded)


def last_digit(values: FloatArray, skip: int = 0, fewest: int = _FEWEST_VALUES) -> FloatArray:
    """Size of the last digit of every number, from significant digits and decimals.

    Parameters
    ----------
    skip
        Leading entries that tell nothing about the digits.
    fewest
        Distinct values below which round numbers are taken for just that.
    """
    telling = _telling(values[skip:])
    unit = _DOUBLE * np.abs(values)
    # Few values that are round may be just that, such as equal weights.
    few = len(np.unique(telling)) < fewest
    if not telling.size or (few and _holds(telling, 1 / _ROUND)):
        return unit
    for digits in range(4, _MOST_DIGITS + 1):
        if _holds(telling, _significant(telling, digits)):
            unit = np.maximum(unit, np.where(values == 0, 0.0, _significant(values, digits)))
            break
    for decimals in range(_MOST_DIGITS + 1):
        if _holds(telling, 10.0**-decimals):
            return np.maximum(unit, 10.0**-decimals)
    return unit


def _telling(values: FloatArray) -> FloatArray:
    """Sizes of the finite numbers but those next to zero.

    Weights of classes that have emptied have lost their digits.
    """
    sizes = np.abs(values[np.isfinite(values)])
    return sizes[sizes > 1e-300]


def _significant(values: FloatArray, digits: int) -> FloatArray:
    size = np.maximum(np.abs(values), np.finfo(float).tiny)
    return np.asarray(10.0 ** (np.floor(np.log10(size)) + 1 - digits))


def _holds(values: FloatArray, unit: FloatArray | float) -> bool:
    return bool((np.abs(values - np.round(values / unit) * unit) <= 1e-12 * values).all())


def perturbed(problem: TracedProblem, trace: Trace, units: Units, t: int) -> Iterator[Parameters]:
    """Iterates that round to the one at position t, in the EM's coordinates."""
    rng = np.random.default_rng(t)
    for _ in range(_DRAWS):
        weights, coefficients, covariance = (
            getattr(trace, name)[t] + _within(getattr(units, name)[t], rng) for name in NEEDED
        )
        weights = np.maximum(weights, 0.0)
        covariance = (covariance + covariance.mT) / 2
        if weights.sum() <= 0 or np.linalg.eigvalsh(covariance).min() <= 0:
            continue
        if not problem.by_component:
            covariance = np.broadcast_to(covariance[:1], covariance.shape)
        raw = Parameters(weights / weights.sum(), coefficients, covariance)
        yield problem.exact.from_raw(raw)


def _within(unit: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.asarray(rng.uniform(-0.5, 0.5, size=unit.shape) * unit)


def slack(
    problem: TracedProblem, trace: Trace, units: Units, t: int, tolerance: float
) -> dict[Part, float]:
    """By part, how many times the tolerance rounding allows in the step from position t.

    Infinite where the digits are too few to judge the step.
    """
    before = problem.exact.from_raw(trace.parameters(t))
    tau = problem.exact.expect(before).occupancy
    exact, kept = exact_m_step(problem, tau, before), determined(problem, tau)
    squares: dict[Part, list[float]] = {part: [] for part in PARTS}
    for other in perturbed(problem, trace, units, t):
        tau_moved = problem.exact.expect(other).occupancy
        moved = difference(problem, exact_m_step(problem, tau_moved, other), exact, kept)
        squares["responsibilities"].append(float(np.abs(tau_moved - tau).max()))
        for part in MADE:
            squares[part].append(getattr(moved, part))
    after = problem.exact.from_raw(trace.parameters(t + 1))
    last = [
        difference(problem, other, after, kept) for other in perturbed(problem, trace, units, t + 1)
    ]
    allowed = {}
    for part, moves in squares.items():
        of_last = [getattr(one, part) for one in last] if part in MADE else []
        move = _DEVIATIONS * float(np.sqrt(_mean_square(moves) + _mean_square(of_last)))
        allowed[part] = np.inf if move > _UNJUDGED else max(1.0, move / tolerance)
    if np.isinf(max(allowed.values())):  # a step is judged as a whole
        return dict.fromkeys(allowed, np.inf)
    return allowed


def _mean_square(values: list[float]) -> float:
    known = np.array([value for value in values if np.isfinite(value)])
    return float(np.square(known).mean()) if known.size else 0.0


def likelihood_spread(problem: TracedProblem, trace: Trace, units: Units) -> FloatArray:
    """(T,) how far rounding moves the log-likelihood of every iterate."""
    spread = np.zeros(len(trace))
    for t in range(len(trace)):
        exact = problem.exact.expect(problem.exact.from_raw(trace.parameters(t))).log_likelihood
        moved = [
            float(problem.exact.expect(other).log_likelihood - exact)
            for other in perturbed(problem, trace, units, t)
        ]
        spread[t] = _DEVIATIONS * np.sqrt(_mean_square(moved))
    return spread
