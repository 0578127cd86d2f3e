"""Compiled packing of the units' rows, or of their triangular factors, into tiles."""

from __future__ import annotations

import numpy as np

from mixcompare.backends.em.kernels.panel_kernels import TILE
from mixcompare.base.kernel_cache import njit
from mixcompare.prepared.triangles import LANES, factor_group, room

# Rounding of a triangle's elements relative to their columns' lengths; their squares count.
_NEGLIGIBLE = 1e-13


@njit(cache=True, nogil=True)
def pack(x, y, first, offset, size):
    """(tiles, size, TILE) values of factor rows (G, r, p) and (G, r, m).

    Row i is held from its first used column on; ``offset[i] + column`` is a column's place.
    """
    units, r, p = x.shape
    q = p + y.shape[2]
    tiles = np.zeros(((units + TILE - 1) // TILE, size, TILE))
    for g in range(units):
        t, u = g // TILE, g % TILE
        for i in range(r):
            for a in range(first[i], p):
                tiles[t, offset[i] + a, u] = x[g, i, a]
            for a in range(max(first[i], p), q):
                tiles[t, offset[i] + a, u] = y[g, i, a - p]
    return tiles


@njit(cache=True, nogil=True)
def pack_triangles(x, y, offset, size):
    """As `pack`, of the first r rows of the units' triangular factors.

    Without tiles where something lies beyond those: a triangle of fewer rows than columns
    ends with its rows unless, say, covariates do not vary within units.
    """
    units, r, p = x.shape
    m = y.shape[2]
    q = p + m
    rows_x, rows_y = x.reshape(units * r, p), y.reshape(units * r, m)
    begin, count = np.empty(LANES, dtype=np.int64), np.full(LANES, r)
    factor, rows, head, scale, by = room(q)
    tiles = np.zeros(((units + TILE - 1) // TILE, size, TILE))
    for group in range(0, units, LANES):
        held = min(LANES, units - group)
        for u in range(held):
            begin[u] = (group + u) * r
        factor_group(rows_x, rows_y, begin[:held], count[:held], factor, rows, head, scale, by)
        if _reaches_beyond(factor, r, held):
            return tiles[:0]
        t, at = group // TILE, group % TILE
        for i in range(r):
            for a in range(i, q):
                to, values = tiles[t, offset[i] + a], factor[i, a]
                for u in range(held):
                    to[at + u] = values[u]
    return tiles


@njit(cache=True, nogil=True)
def _reaches_beyond(factor, r, held):
    """Whether rows from r on of the first factors, (q, q, LANES), hold more than rounding."""
    for a in range(r, factor.shape[1]):
        for u in range(held):
            above = beyond = 0.0
            for i in range(r):
                above += factor[i, a, u] * factor[i, a, u]
            for i in range(r, a + 1):
                beyond += factor[i, a, u] * factor[i, a, u]
            if beyond > _NEGLIGIBLE**2 * (above + beyond):
                return True
    return False
