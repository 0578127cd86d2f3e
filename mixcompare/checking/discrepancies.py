"""Statistics of outcomes by class that replicated data should share with the observed.

Coefficients fit the classes' means by construction, so agreement there says little. What
the model assumes and does not fit are an outcome's largest value (normal tails), correlation
of successive rows, and units that keep a level of their own within their class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.panel import FloatArray, IntArray, Panel

STATISTICS: Final = {
    "mean": "mean of the outcomes",
    "sd": "standard deviation of the outcomes",
    "maximum": "largest outcome",
    "lag-1 autocorrelation": "of residuals, successive rows of a unit in the table's order",
    "sd between units": "standard deviation of the units' mean residuals",
}


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Who belongs to whom in a panel.

    Attributes
    ----------
    panel
        The rows.
    successive
        (2, L) pairs of rows that follow one another in the table within a unit and cell.
    counts
        (C,) rows of each absorbed cell; None without absorption.
    """

    panel: Panel
    successive: IntArray
    counts: IntArray | None

    def within(self, values: FloatArray) -> FloatArray:
        """Columns (N, q) less their means within absorbed cells."""
        cell = self.panel.cell
        if cell is None or self.counts is None:
            return values
        size = len(self.counts)
        sums = np.stack([np.bincount(cell, column, minlength=size) for column in values.T], axis=1)
        return np.asarray(values - (sums / self.counts[:, None])[cell])


def layout(panel: Panel) -> Layout:
    """Work out a panel's layout once for many replications."""
    group = panel.unit if panel.cell is None else panel.cell
    order = np.lexsort((panel.row, group))
    same = group[order[1:]] == group[order[:-1]]
    return Layout(
        panel=panel,
        successive=np.stack([order[:-1][same], order[1:][same]]).astype(np.intp),
        counts=None if panel.cell is None else np.bincount(panel.cell),
    )


def statistics(
    rows: Layout, outcomes: FloatArray, residuals: FloatArray, classes: IntArray, n_classes: int
) -> FloatArray:
    """Every statistic of every outcome in every class.

    Parameters
    ----------
    outcomes, residuals
        (N, m), less their cells' means where cells are absorbed.
    classes
        (G,) class of every unit, counted from 0.

    Returns
    -------
    (len(STATISTICS), n_classes, m); NaN where a class has too few rows or units, or the
    statistic says nothing: of means after absorption, of units with one row each.
    """
    by_row = classes[rows.panel.unit]
    first, second = rows.successive
    levels = unit_means(rows.panel, residuals)
    found = np.full((len(STATISTICS), n_classes, outcomes.shape[1]), np.nan)
    for k in range(n_classes):
        own = by_row == k
        if not own.any():
            continue
        values = outcomes[own]
        found[0, k], found[2, k] = values.mean(axis=0), values.max(axis=0)
        found[1, k] = _spread(values)
        pairs = by_row[first] == k
        if pairs.any():
            found[3, k] = _correlation(residuals[first[pairs]], residuals[second[pairs]])
        found[4, k] = _spread(levels[classes == k])
    if rows.counts is not None:
        found[0] = np.nan  # absorption makes means zero, those of units too
    if rows.counts is not None or rows.panel.n_units == rows.panel.n_rows:
        found[4] = np.nan
    return found


def unit_means(panel: Panel, values: FloatArray) -> FloatArray:
    """(G, q) means over the rows of each unit of columns (N, q)."""
    counts = np.bincount(panel.unit, minlength=panel.n_units)
    sums = [np.bincount(panel.unit, column, len(counts)) for column in values.T]
    return np.asarray(np.stack(sums, axis=1) / counts[:, None])


def _spread(values: FloatArray) -> FloatArray:
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    return np.asarray(values.std(axis=0, ddof=1))


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
