"""Outcomes that a normal distribution does not describe, told from their values alone."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from mixcompare.base.arrays import FloatArray

OutcomeKind = Literal["binary", "count", "graded", "lump"]

# Fewer rows do not tell.
_ROWS: Final = 30
# So few different values among five times as many rows are grades and no measurement.
_FEW: Final = 10
_REPEATED: Final = 5
# Counts are near zero for their spread, and their spread is not many steps: whole minutes or
# years are rounded measurements, and counts in the hundreds are as good as continuous.
_NEAR_ZERO: Final = 3.0
_FEW_STEPS: Final = 20.0
# A value in a tenth of the rows and in ten, five times as many as any other, is a lump.
_LUMP: Final = 0.1
_ROWS_OF_LUMP: Final = 10


def outcome_kind(values: FloatArray) -> OutcomeKind | None:
    """What an outcome is that is no measurement.

    None for measurements, rounded ones as well, and for less than 30 rows.

    Parameters
    ----------
    values
        (N,) before cells' effects are removed.

    Returns
    -------
    ``"binary"``
        Two different values.
    ``"count"``
        Whole numbers, none negative, that repeat; zero is among them, or their mean is within
        three standard deviations of it, these are at most 20, and they are no grades.
    ``"graded"``
        At most ten different values, each in five rows on average.
    ``"lump"``
        One value in a tenth of the rows or more and in ten at least, five times as many as
        have any other.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> drawn = rng.poisson(3, 90), rng.integers(1, 6, 90), rng.integers(0, 2, 90), rng.random(90)
    >>> [outcome_kind(values) for values in drawn]
    ['count', 'graded', 'binary', None]
    """
    different, counts = np.unique(values, return_counts=True)
    n, n_different = len(values), len(different)
    if n_different < 2 or n < _ROWS:
        return None
    if n_different == 2:
        return "binary"
    if 2 * n_different <= n and different[0] >= 0 and (different % 1 == 0).all():
        sd = values.std()
        near = n_different > _FEW and sd <= _FEW_STEPS and values.mean() < _NEAR_ZERO * sd
        if different[0] == 0 or near:
            return "count"
    if 2 < n_different <= _FEW and n >= _REPEATED * n_different:
        return "graded"
    second, first = np.sort(counts)[-2:]
    return "lump" if first >= max(_LUMP * n, _ROWS_OF_LUMP, _REPEATED * second) else None


def outcome_caution(name: str, values: FloatArray) -> str | None:
    """One sentence on an outcome that a normal distribution does not describe, if it is one."""
    kind = outcome_kind(values)
    if kind is None:
        return None
    different, counts = np.unique(values, return_counts=True)
    span = f"from {different[0]:g} to {different[-1]:g}"
    if kind == "binary":
        return (
            f"Outcome {name!r} has only two values, {different[0]:g} and {different[1]:g}: a "
            "binary (Bernoulli) family describes it and the normal distribution that is fitted "
            "does not, so that its classes, variances and intervals are not to be relied on."
        )
    if kind == "count":
        grades = ", or an ordered one if they are answers on a scale"
        return (
            f"All values of outcome {name!r} are whole numbers {span}: if they are counts, a count "
            f"family (Poisson or negative binomial) describes them"
            f"{grades if len(different) <= _FEW else ''}, and the normal distribution that is "
            "fitted has constant variance within a class and allows negative values."
        )
    if kind == "graded":
        return (
            f"Outcome {name!r} has only {len(different)} distinct values, {span}, in "
            f"{len(values):,} rows, as answers on a scale do: an ordered or categorical family "
            "describes them, and with the normal distribution that is fitted more classes may "
            "only single out values."
        )
    common = int(counts.argmax())
    return (
        f"Outcome {name!r} has the same value {different[common]:g} in {counts[common]:,} of "
        f"{len(values):,} rows: the normal distribution that is fitted has no such lump, and a "
        "class may shrink onto these rows; a censored or zero-inflated family describes them."
    )
