"""Values less the means of the rows that share a cell."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray

# Passes over the rows are made in parts that stay in the cache.
_ROWS_AT_A_TIME = 2048


def within_cells(values: FloatArray, cell: IntArray | None) -> FloatArray:
    """Subtract the means of the rows of each cell.

    Parameters
    ----------
    values
        (..., N, q) columns.
    cell
        (N,) cell of each row, in any order; None where nothing is absorbed.

    Returns
    -------
    (..., N, q) differences; the values themselves without cells.
    """
    if cell is None:
        return values
    if (np.diff(cell) >= 0).all():
        return within_runs(values, np.flatnonzero(np.diff(cell, prepend=-1)))
    order = np.argsort(cell, kind="stable")
    within = np.empty_like(values)
    within[..., order, :] = within_cells(values[..., order, :], cell[order])
    return within


def within_runs(values: FloatArray, starts: IntArray) -> FloatArray:
    """Subtract the means of runs of rows; many runs at a time, but never all rows.

    Parameters
    ----------
    values
        (..., N, q) columns.
    starts
        Ascending first rows of the runs, 0 among them.
    """
    values = values.copy()
    n_rows = values.shape[-2]
    counts = np.diff(np.append(starts, n_rows))
    groups = np.flatnonzero(np.diff(starts // _ROWS_AT_A_TIME, prepend=-1))
    for first, last in pairwise([*groups.tolist(), len(starts)]):
        begins, count = starts[first:last] - starts[first], counts[first:last]
        part = values[..., starts[first] : starts[first] + count.sum(), :]
        for _ in range(2):  # the second pass removes what rounding left of a large mean
            means = np.add.reduceat(part, begins, axis=-2) / count[:, None]
            part -= np.repeat(means, count, axis=-2)
    return values
