"""An M-step that has only seen the end (or the beginning) of the data: how much of it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from mixcompare.auditing.assigned import Assigned
    from mixcompare.auditing.parameters import Parameters

LAST_BATCH: Final = "last batch only"
LAST_BATCH_STATEMENT: Final = (
    "The M-step uses only the last {constant} of the rows (or units), as a loop over batches does "
    "that overwrites its sums where it should add to them. Add up over all batches before dividing."
)
FIRST_BATCH: Final = "first batch only"
FIRST_BATCH_STATEMENT: Final = (
    "The M-step uses only the first {constant} of the rows (or units), as a loop over batches does "
    "that is left too early. Add up over all batches before dividing."
)
# Rows beyond which no batch is looked for: cumulated cross-products would not fit.
_MOST_ROWS: Final = 50_000


def _nearest(squares: FloatArray) -> float:
    """Size from 1 to just below all with the least sum of squares."""
    squares = np.where(np.isfinite(squares), squares, np.inf)[:-1]
    if not squares.size or not np.isfinite(squares.min()):
        return np.nan
    return float(squares.argmin() + 1)


def _units(
    given: Sequence[tuple[Assigned]], after: Sequence[Parameters], *, over_all: bool
) -> float:
    squares = np.zeros(len(given[0][0].responsibilities))
    if len(squares) < 2 or given[0][0].responsibilities.shape[1] < 2:
        return np.nan
    for (one,), new in zip(given, after, strict=True):
        tau = one.responsibilities[_order_of(one)][::-1]
        sums = tau.cumsum(axis=0)
        size = len(tau) if over_all else np.arange(1, len(tau) + 1)[:, None]
        squares += np.square(sums / size - new.weights).sum(axis=1)
    return _nearest(squares)


def _order_of(given: Assigned) -> IntArray:
    """Units, or rows where responsibilities are by row, in the order of the table."""
    rows = given.rows
    if rows.are_units(given.responsibilities):
        return rows.appearance
    return rows.table_order


def last_units(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    """Number of units at the end whose mean responsibilities are the weights."""
    return _units(given, after, over_all=False)


def last_units_over_all(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    """Number of units at the end whose summed responsibilities over G are the weights."""
    return _units(given, after, over_all=True)


def last(given: Assigned, size: float) -> FloatArray:
    """Responsibilities of the last units (or rows) in the order of the table."""
    return np.asarray(given.responsibilities[_order_of(given)[-int(size) :]])


def rows_in(
    order: IntArray, given: Sequence[tuple[Assigned]], after: Sequence[Parameters]
) -> float:
    """Number of rows, from the end of an order, whose normal equations the coefficients solve."""
    if len(order) > _MOST_ROWS:
        return np.nan
    squares = np.zeros(len(order))
    for (one,), new in zip(given, after, strict=True):
        version = one.rows.versions["exact"]
        x, y = version.covariates[order][::-1], version.outcomes[order][::-1]
        for tau, b in zip(one.by_row[order][::-1].T, new.coefficients, strict=True):
            score = (tau[:, None, None] * x[:, :, None] * (y - x @ b)[:, None, :]).cumsum(axis=0)
            gap = score / np.maximum(tau.cumsum(), np.finfo(float).tiny)[:, None, None]
            squares += np.square(gap).sum(axis=(1, 2))
    return _nearest(squares)


def masked(given: Assigned, kept: IntArray) -> FloatArray:
    """Responsibilities with zeros for all rows but some; by unit where units are whole."""
    mask = np.zeros(given.rows.total)
    mask[kept] = 1.0
    share = np.bincount(given.rows.unit, mask) / given.rows.n_rows
    whole = ((share == 0) | (share == 1)).all()
    if whole and given.rows.are_units(given.responsibilities):
        return np.asarray(given.responsibilities * share[:, None])
    return np.asarray(given.by_row * mask[:, None])
