"""Compiled triangular factors of many blocks of rows; `factorise` holds the NumPy reference.

Blocks are processed in groups with the block as the fastest axis, so that every inner loop
runs over the blocks of a group and vectorises whatever the number of columns is. Rows are
taken a few at a time and eliminated into the factor of the rows before them (Golub & Van
Loan 2013, section 5.1.3 and algorithm 5.1.1), so that a group stays in the cache whatever
the length of its blocks is.
"""

from __future__ import annotations

import numpy as np

from mixcompare.base.kernel_cache import njit

LANES = 64
# Four rows lie side by side and are taken together: as parts of one array at known
# distances they need no check at run time that they do not overlap, of which the compiler
# allows few.
ROWS = 16
_OPTIONS = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract"},
}
# What is smaller is nothing beside columns of the sizes that `factorise` sends here.
_NOTHING = 1e-290


@njit(**_OPTIONS)
def triangles(x, y, begin, count, place, out):
    """Write the triangular factors of blocks of rows of ``[x y]``, diagonals not negative.

    Parameters
    ----------
    x, y
        (N, p) and (N, m) columns.
    begin, count
        First row and number of rows of each block; blocks of like length lie together.
    place, out
        Block i's factor fills ``out[place[i]]``, (p + m, p + m), zero before.
    """
    q = x.shape[1] + y.shape[1]
    factor, rows, head, scale, by = room(q)
    for group in range(0, begin.size, LANES):
        end = min(group + LANES, begin.size)
        factor_group(x, y, begin[group:end], count[group:end], factor, rows, head, scale, by)
        for u in range(end - group):
            for i in range(q):
                for a in range(i, q):
                    out[place[group + u], i, a] = factor[i, a, u]


@njit(**_OPTIONS)
def room(q):
    """What `factor_group` writes to: the factors (q, q, LANES), and its own workspace."""
    factor = np.empty((q, q, LANES))
    rows = np.empty((q, ROWS // 4, 4 * LANES))
    return factor, rows, np.empty(LANES), np.empty(LANES), np.empty(LANES)


@njit(**_OPTIONS)
def factor_group(x, y, begin, count, factor, rows, head, scale, by):
    """Factor up to LANES blocks of rows, see `triangles`."""
    longest = 0
    for u in range(begin.size):
        longest = max(longest, count[u])
    factor[:] = 0.0
    for done in range(0, longest, ROWS):
        _load(x, y, begin, count, done, rows)
        used = min(ROWS // 4, (longest - done + 3) // 4)
        _eliminate(rows, used, factor, head, scale, by)


@njit(**_OPTIONS)
def _load(x, y, begin, count, done, rows):
    """Copy the next rows of each block; blocks that have no more give rows of zeros."""
    p, m = x.shape[1], y.shape[1]
    for c in range(ROWS):
        strip, at = c // 4, c % 4 * LANES
        for a in range(p + m):
            to = rows[a, strip, at : at + LANES]
            if begin.size < LANES:
                to[:] = 0.0
            for u in range(begin.size):
                row = begin[u] + done + c
                if done + c >= count[u]:
                    to[u] = 0.0
                elif a < p:
                    to[u] = x[row, a]
                else:
                    to[u] = y[row, a - p]


@njit(**_OPTIONS)
def _eliminate(rows, used, factor, head, scale, by):
    """One Householder reflection per column puts the rows into the factor.

    The reflection's vector is ``head`` at the factor's diagonal and the rows' own column
    below it, since the factor is zero between them.
    """
    q = factor.shape[0]
    for j in range(q):
        _reflection(rows[j], used, factor[j, j], head, scale)
        for a in range(j + 1, q):
            _reflect(rows[j], rows[a], used, factor[j, a], head, scale, by)


@njit(**_OPTIONS)
def _reflection(column, used, diagonal, head, scale):
    """Set head and scale (2 over the vector's squared norm), and the new diagonal."""
    head[:] = 0.0
    for c in range(used):
        b = column[c]
        for u in range(LANES):
            b0, b1, b2, b3 = b[u], b[u + LANES], b[u + 2 * LANES], b[u + 3 * LANES]
            head[u] += (b0 * b0 + b1 * b1) + (b2 * b2 + b3 * b3)
    for u in range(LANES):
        below = head[u]
        norm = np.sqrt(diagonal[u] * diagonal[u] + below)
        # Parlett's form of diagonal - norm, which does not cancel.
        above = -below / (diagonal[u] + norm)
        some = below > _NOTHING
        head[u] = above if some else 0.0
        scale[u] = 2.0 / (above * above + below) if some else 0.0
        diagonal[u] = norm if some else diagonal[u]


@njit(**_OPTIONS)
def _reflect(column, other, used, top, head, scale, by):
    """Apply the reflection of a column to another one."""
    for u in range(LANES):
        by[u] = head[u] * top[u]
    for c in range(used):
        b, y = column[c], other[c]
        for u in range(LANES):
            by[u] += (b[u] * y[u] + b[u + LANES] * y[u + LANES]) + (
                b[u + 2 * LANES] * y[u + 2 * LANES] + b[u + 3 * LANES] * y[u + 3 * LANES]
            )
    for u in range(LANES):
        by[u] *= scale[u]
        top[u] -= by[u] * head[u]
    for c in range(used):
        b, y = column[c], other[c]
        for u in range(LANES):
            y[u] -= by[u] * b[u]
            y[u + LANES] -= by[u] * b[u + LANES]
            y[u + 2 * LANES] -= by[u] * b[u + 2 * LANES]
            y[u + 3 * LANES] -= by[u] * b[u + 3 * LANES]
