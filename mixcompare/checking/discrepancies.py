"""Statistics of outcomes by class that replicated data should share with the observed.

Coefficients fit the classes' means by construction, so agreement there says little. What
the model assumes and does not fit are an outcome's ends (normal tails) and symmetry, values
that do not repeat, correlation of successive rows, and units that keep a level of their own
within their class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.outcome_kinds import outcome_kind
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_cells

STATISTICS: Final = {
    "mean": "mean of the outcomes",
    "sd": "standard deviation of the outcomes",
    "minimum": "smallest outcome",
    "maximum": "largest outcome",
    "skewness": "of residuals: third central moment over the cubed standard deviation",
    "share of equal values": "share of the rows that have the commonest value",
    "share of whole numbers": "share of the rows whose value is a whole number",
    "lag-1 autocorrelation": "of residuals, successive rows of a unit in the table's order",
    "sd between units": "standard deviation of the units' mean residuals",
}
# Shares that differ by less are no misfit, however surely they differ.
SHARES: Final = ("share of equal values", "share of whole numbers")
NOTABLE_SHARE: Final = 0.05
# Decimals that a measurement may be recorded with.
_MOST_DECIMALS: Final = 6
# Codes may be so many times the rows before they are numbered anew.
_SPARSE: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Who belongs to whom in a panel.

    Attributes
    ----------
    panel
        The rows.
    successive
        (2, L) pairs of rows that follow one another within a unit and cell, in time or else in
        the table.
    steps
        (m,) what outcomes are recorded in, such as 0.1; 0 where nothing is rounded or the
        outcome is no measurement, see `mixcompare.data.outcome_kinds.outcome_kind`.
    """

    panel: Panel
    successive: IntArray
    steps: FloatArray

    def within(self, values: FloatArray) -> FloatArray:
        """Columns (N, q) less their means within absorbed cells."""
        return within_cells(values, self.panel.cell)

    @property
    def absorbed(self) -> bool:
        """Whether means of cells are taken away."""
        return self.panel.cell is not None


def layout(panel: Panel) -> Layout:
    """Work out a panel's layout once for many replications."""
    group = panel.unit if panel.cell is None else panel.cell
    order = np.lexsort((panel.row if panel.time is None else panel.time, group))
    same = group[order[1:]] == group[order[:-1]]
    return Layout(
        panel=panel,
        successive=np.stack([order[:-1][same], order[1:][same]]).astype(np.intp),
        steps=np.array([_step(values) for values in panel.outcomes.T]),
    )


def _step(values: FloatArray) -> float:
    if outcome_kind(values) is not None:
        return 0.0
    for decimals in range(_MOST_DECIMALS + 1):
        if (values.round(decimals) == values).all():
            return 10.0**-decimals
    return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Outcomes as they are written down.

    Attributes
    ----------
    codes
        For each outcome (N,) whole numbers, not negative, that are equal where values are.
    whole
        (N, m) whether a value is a whole number.
    """

    codes: tuple[IntArray, ...]
    whole: NDArray[np.bool_]


def record(outcomes: FloatArray, steps: FloatArray | None = None) -> Recorded:
    """Write outcomes (N, m) down.

    Parameters
    ----------
    steps
        (m,) what draws from a continuous distribution are rounded to; 0 where they are not,
        and then never equal. None for outcomes that have been written down.
    """
    if steps is None:
        codes = [np.unique(values, return_inverse=True)[1] for values in outcomes.T]
        return Recorded(tuple(codes), np.rint(outcomes) == outcomes)
    codes, whole = [], np.zeros(outcomes.shape, dtype=bool)
    for j, step in enumerate(steps):
        if not step:
            codes.append(np.arange(len(outcomes)))
            continue
        rounded = np.rint(outcomes[:, j] / step)
        whole[:, j] = np.rint(rounded * step) == rounded * step
        codes.append(_codes(rounded))
    return Recorded(tuple(codes), whole)


def _codes(rounded: FloatArray) -> IntArray:
    lowest = rounded.min()
    if rounded.max() - lowest <= _SPARSE * len(rounded):
        return (rounded - lowest).astype(np.intp)
    return np.unique(rounded, return_inverse=True)[1]


def statistics(
    rows: Layout,
    outcomes: FloatArray,
    residuals: FloatArray,
    recorded: Recorded,
    classes: IntArray,
    n_classes: int,
) -> FloatArray:
    """Every statistic of every outcome in every class.

    Parameters
    ----------
    outcomes, residuals
        (N, m), less their cells' means where cells are absorbed.
    recorded
        The outcomes as they are written down.
    classes
        (G,) class of every unit, counted from 0.

    Returns
    -------
    (len(STATISTICS), n_classes, m); NaN where a class has too few rows or units, or the
    statistic says nothing: of means and equal values after absorption, of units with one
    row each.
    """
    by_row = classes[rows.panel.unit]
    levels = unit_means(rows.panel, residuals)
    shape = n_classes, outcomes.shape[1]
    result = {name: np.full(shape, np.nan) for name in STATISTICS}
    for k in range(n_classes):
        members = by_row == k
        if not members.any():
            continue
        values = outcomes[members]
        result["mean"][k], result["sd"][k] = values.mean(axis=0), _spread(values)
        result["minimum"][k], result["maximum"][k] = values.min(axis=0), values.max(axis=0)
        result["skewness"][k] = _skewness(residuals[members])
        result["share of equal values"][k] = [
            np.bincount(codes[members]).max() / members.sum() for codes in recorded.codes
        ]
        result["share of whole numbers"][k] = recorded.whole[members].mean(axis=0)
        first, second = rows.successive[:, by_row[rows.successive[0]] == k]
        if first.size:
            result["lag-1 autocorrelation"][k] = _correlation(residuals[first], residuals[second])
        result["sd between units"][k] = _spread(levels[classes == k])
    if rows.absorbed:  # absorption makes means zero, those of units too
        for name in ("mean", *SHARES):
            result[name][:] = np.nan
    if rows.absorbed or rows.panel.n_units == rows.panel.n_rows:
        result["sd between units"][:] = np.nan
    return np.stack(list(result.values()))


def unit_means(panel: Panel, values: FloatArray) -> FloatArray:
    """(G, q) means over the rows of each unit of columns (N, q)."""
    counts = np.bincount(panel.unit, minlength=panel.n_units)
    sums = [np.bincount(panel.unit, column, len(counts)) for column in values.T]
    return np.asarray(np.stack(sums, axis=1) / counts[:, None])


def _spread(values: FloatArray) -> FloatArray:
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    return np.asarray(values.std(axis=0, ddof=1))


def _skewness(values: FloatArray) -> FloatArray:
    deviations = values - values.mean(axis=0)
    squares = np.square(deviations)
    variance = squares.mean(axis=0)
    usable = np.where((variance > 0) & (len(values) > 2), variance, np.nan)
    # NumPy's third power takes twenty times as long as a product.
    return np.asarray((squares * deviations).mean(axis=0) / usable**1.5)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    length = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    usable = np.where(length > 0, length, np.nan)
    return np.asarray((first * second).sum(axis=0) / usable)


def tail_probability(observed: FloatArray, replicated: FloatArray) -> FloatArray:
    """Share of draws whose replicated statistic reaches the observed one, ties by half.

    Parameters
    ----------
    observed, replicated
        (S, ...); NaN in draws where the statistic does not exist.

    Returns
    -------
    (...), NaN where it never exists.
    """
    usable = np.isfinite(observed) & np.isfinite(replicated)
    higher = (replicated > observed) + 0.5 * (replicated == observed)
    count = usable.sum(axis=0)
    share = np.where(usable, higher, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, share, np.nan)
