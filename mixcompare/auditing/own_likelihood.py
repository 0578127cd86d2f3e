"""Whether the program's own log-likelihood is that of its parameters, up to a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.auditing.findings import Finding
from mixcompare.base.arrays import FloatArray

# Between the program's numbers and the exact ones, relative to these.
_ROUNDING: Final = 1e-7
# Iterates that a factor and a shift must fit to be believed.
_FEWEST: Final = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """A factor that programs multiply a log-likelihood with, and what it is then."""

    factor: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Size:
    """Rows, units, degrees of freedom and outcomes, which the constants are made of."""

    rows: int
    units: int
    counts: float
    outcomes: int


def _scales(size: Size) -> Iterator[Scale]:
    basic = [
        Scale(1.0, "the log-likelihood"),
        Scale(1 / size.rows, "its mean per row"),
        Scale(1 / size.units, "its mean per unit"),
        Scale(2.0, "twice the log-likelihood"),
        Scale(1 / np.log(2), "the log-likelihood in bits (base 2)"),
        Scale(1 / np.log(10), "the log-likelihood to the base 10"),
        Scale(1 / (size.rows * np.log(2)), "its mean per row in bits"),
        Scale(2 / size.rows, "twice its mean per row"),
    ]
    for one in basic:
        yield one
        deviance = "the deviance, -2 times the log-likelihood"
        yield Scale(-one.factor, deviance if one.factor == 2 else f"the negative of {one.meaning}")


def own_likelihood_finding(
    own: FloatArray | None,
    exact_values: FloatArray,
    spread: FloatArray,
    digit: FloatArray,
    size: Size,
) -> Finding | None:
    """A note for a multiple or a shift, a fault for anything else, None if they agree.

    The program's log-likelihood may stand beside the parameters that it was computed from or
    beside those that the same iteration made of them.

    Parameters
    ----------
    own, exact_values
        (T,) NaN where the program has none.
    spread, digit
        (T,) by how much the digits of the parameters and of `own` move each.
    """
    if own is None or not np.isfinite(own).any():
        return None
    readings = []
    for mine, true, moved, last in (
        (own, exact_values, spread, digit),
        (own[1:], exact_values[:-1], spread[:-1], digit[1:]),
    ):
        kept = np.isfinite(mine) & np.isfinite(true)
        if kept.any():
            allowed = _ROUNDING * (1 + np.abs(true[kept]).max()) + moved[kept]
            readings.append((mine[kept], true[kept], allowed, last[kept]))
    if not readings or any(_fits(*one, 1.0, 0.0) for one in readings):
        return None
    for one in readings:
        found = _recognised(*one, size)
        if found is not None:
            return found
    return _fault(min(readings, key=lambda one: float(np.ptp(one[0] - one[1]))))


def _fits(
    own: FloatArray,
    true: FloatArray,
    allowed: FloatArray,
    digit: FloatArray,
    factor: float,
    shift: float,
) -> bool:
    gap = np.abs(own - factor * true - shift)
    return bool((gap <= abs(factor) * allowed + digit + 1e-12 * abs(shift)).all())


def _recognised(
    own: FloatArray, true: FloatArray, allowed: FloatArray, digit: FloatArray, size: Size
) -> Finding | None:
    """Known factors without a shift, with one, then any factor and any shift."""
    reading = (own, true, allowed, digit)
    scales = list(_scales(size))
    for scale in scales:
        if _fits(*reading, scale.factor, 0.0):
            return _note(reading, scale.meaning, scale.factor, 0.0, size)
    if len(own) < 2 or np.ptp(true) <= 2 * allowed.max():
        return None
    for scale in scales:
        shift = float(np.median(own - scale.factor * true))
        if _fits(*reading, scale.factor, shift):
            return _note(reading, scale.meaning, scale.factor, shift, size)
    if len(own) < _FEWEST:
        return None
    factor = float(own @ true / (true @ true))
    if _fits(*reading, factor, 0.0):
        return _note(reading, "a multiple of the log-likelihood", factor, 0.0, size)
    centred = true - true.mean()
    factor = float(own @ centred / (centred @ centred))
    shift = float(own.mean() - factor * true.mean())
    if factor and _fits(*reading, factor, shift):
        return _note(reading, "a multiple of the log-likelihood", factor, shift, size)
    return None


def _note(
    reading: tuple[FloatArray, ...], meaning: str, factor: float, shift: float, size: Size
) -> Finding:
    statement = "The program's own log-likelihood"
    if factor != 1.0:
        statement += f" is {meaning}: the exact one times {factor:.6g}"
        statement += ", and" if shift else ""
    if shift:
        other = "the exact one" if factor == 1.0 else "that"
        statement += f" exceeds {other} by the constant {shift:.6g}"
        statement += _constant(shift / factor, size)
    statement += ". That does no harm to the steps."
    return _finding(reading, "note", statement, factor)


def _constant(shift: float, size: Size) -> str:
    """Which constant has been left out or counted twice."""
    for counts in (size.counts, float(size.rows), float(size.units)):
        pi = counts * size.outcomes * np.log(2 * np.pi) / 2
        if abs(abs(shift) - pi) <= 1e-6 * pi:
            return " (the constant of the normal density, log(2 pi)/2 for every number)"
    return " (a constant has been left out or counted twice)"


def _fault(reading: tuple[FloatArray, ...]) -> Finding:
    return _finding(
        reading,
        "fault",
        "The program's own log-likelihood is not that of its parameters, nor a multiple or a shift "
        "of it: do not judge its ascent or convergence by it.",
        np.nan,
    )


def _finding(reading: tuple[FloatArray, ...], kind: str, statement: str, factor: float) -> Finding:
    gap = reading[0] - reading[1]
    return Finding(
        "own log-likelihood",
        "log-likelihood",
        kind,
        float(np.abs(gap).max()),
        "largest difference from the exact log-likelihood",
        np.nan,
        factor,
        statement,
        f"{len(gap)} iterates compared, differences from {gap.min():.6g} to {gap.max():.6g}.",
    )
