"""Whether the program's own log-likelihood is that of its parameters, up to a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.auditing.findings import Finding
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray

# Between the program's numbers and the exact ones, relative to these.
_ROUNDING: Final = 1e-7
# Iterates that a factor and a shift must fit to be believed.
_FEWEST: Final = 4
_MULTIPLE: Final = "a multiple of the log-likelihood"


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """The program's log-likelihoods beside the exact ones, (n,) each.

    Attributes
    ----------
    allowed, digit
        By how much the digits of the parameters and of the program's values move each.
    """

    stated: FloatArray
    exact: FloatArray
    allowed: FloatArray
    digit: FloatArray

    def fit(self, factor: float, shift: float) -> bool:
        """Whether the program's are the exact ones times a factor, plus a shift."""
        gap = np.abs(self.stated - factor * self.exact - shift)
        return bool((gap <= abs(factor) * self.allowed + self.digit + 1e-12 * abs(shift)).all())


def own_likelihood_finding(
    stated: FloatArray | None,
    exact_values: FloatArray,
    spread: FloatArray,
    digit: FloatArray,
    rows: Rows,
) -> Finding | None:
    """A note for a multiple or a shift, a fault for anything else, None if they agree.

    The program's log-likelihood may stand beside the parameters that it was computed from or
    beside those that the same iteration made of them.

    Parameters
    ----------
    stated, exact_values
        (T,) NaN where the program has none.
    spread, digit
        (T,) by how much the digits of the parameters and of `stated` move each.
    rows
        Whose numbers the constants are made of.
    """
    if stated is None or not np.isfinite(stated).any():
        return None
    readings = []
    for values, exact, moved, last in (
        (stated, exact_values, spread, digit),
        (stated[1:], exact_values[:-1], spread[:-1], digit[1:]),
    ):
        known = np.isfinite(values) & np.isfinite(exact)
        if known.any():
            allowed = _ROUNDING * (1 + np.abs(exact[known]).max()) + moved[known]
            readings.append(_Beside(values[known], exact[known], allowed, last[known]))
    if not readings or any(beside.fit(1.0, 0.0) for beside in readings):
        return None
    for beside in readings:
        for meaning, factor, shift in _relations(beside, rows):
            if beside.fit(factor, shift):
                return _finding(beside, "note", _relation(meaning, factor, shift, rows), factor)
    return _finding(
        min(readings, key=lambda beside: float(np.ptp(beside.stated - beside.exact))),
        "fault",
        "The program's own log-likelihood is not that of its parameters, nor a multiple or a shift "
        "of it: do not judge its ascent or convergence by it.",
        np.nan,
    )


def _relations(beside: _Beside, rows: Rows) -> Iterator[tuple[str, float, float]]:
    """Known factors without a shift, with one, then any factor and any shift."""
    stated, exact, scales = beside.stated, beside.exact, list(_scales(rows))
    for meaning, factor in scales:
        yield meaning, factor, 0.0
    if len(stated) < 2 or np.ptp(exact) <= 2 * beside.allowed.max():
        return
    for meaning, factor in scales:
        yield meaning, factor, float(np.median(stated - factor * exact))
    if len(stated) < _FEWEST:
        return
    yield _MULTIPLE, float(stated @ exact / (exact @ exact)), 0.0
    centred = exact - exact.mean()
    if factor := float(stated @ centred / (centred @ centred)):
        yield _MULTIPLE, factor, float(stated.mean() - factor * exact.mean())


def _scales(rows: Rows) -> Iterator[tuple[str, float]]:
    """What programs multiply a log-likelihood with: what it is then, and the factor."""
    for meaning, factor in {
        "the log-likelihood": 1.0,
        "its mean per row": 1 / rows.total,
        "its mean per unit": 1 / rows.n_units,
        "twice the log-likelihood": 2.0,
        "the log-likelihood in bits (base 2)": 1 / np.log(2),
        "the log-likelihood to the base 10": 1 / np.log(10),
        "its mean per row in bits": 1 / (rows.total * np.log(2)),
        "twice its mean per row": 2 / rows.total,
    }.items():
        yield meaning, factor
        deviance = "the deviance, -2 times the log-likelihood"
        yield deviance if factor == 2 else f"the negative of {meaning}", -factor


def _relation(meaning: str, factor: float, shift: float, rows: Rows) -> str:
    statement = "The program's own log-likelihood"
    if factor != 1.0:
        statement += f" is {meaning}: the exact one times {factor:.6g}"
        statement += ", and" if shift else ""
    if shift:
        other = "the exact one" if factor == 1.0 else "that"
        statement += f" exceeds {other} by the constant {shift:.6g}"
        statement += _constant(shift / factor, rows)
    return f"{statement}. That does no harm to the steps."


def _constant(shift: float, rows: Rows) -> str:
    """Which constant has been left out or counted twice."""
    for counts in (rows.contrasts, float(rows.total), float(rows.n_units)):
        pi = counts * len(rows.raw_scale) * np.log(2 * np.pi) / 2
        if abs(abs(shift) - pi) <= 1e-6 * pi:
            return " (the constant of the normal density, log(2 pi)/2 for every number)"
    return " (a constant has been left out or counted twice)"


def _finding(beside: _Beside, kind: str, statement: str, factor: float) -> Finding:
    gap = beside.stated - beside.exact
    return Finding(
        cause="own log-likelihood",
        part="log-likelihood",
        kind=kind,
        size=float(np.abs(gap).max()),
        measure="largest difference from the exact log-likelihood",
        constant=factor,
        statement=statement,
        evidence=f"{len(gap)} iterates compared, differences from {gap.min():.6g} to "
        f"{gap.max():.6g}.",
    )
