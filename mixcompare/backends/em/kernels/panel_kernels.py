"""Compiled passes over the units.

`expectation` and `statistics` hold the NumPy arithmetic that they equal.

Units are processed in tiles, with the unit as the fastest axis, so that every inner loop
runs over the units of a tile: it vectorises whatever the numbers of covariates, outcomes
and components are, and a tile stays in the cache for all components. Classes come first
in the arrays of units and classes, (K, G), for the same reason.

Arguments that kernels share: ``tiles`` (tiles, size, TILE) of factor rows, of which row i is held
from column ``first[i]`` on at ``offset[i] + column``, both (r,); p covariates and m outcomes;
weights ``tau`` (K, G) and coefficients ``beta`` (K, p, m), K being the classes of all starts.

Sums over units may be reordered by the compiler (`SUMS`), which changes nothing but their
rounding; no assumption is made about NaN, infinities or signed zeros.
"""

from __future__ import annotations

import numpy as np

from mixcompare.base.kernel_cache import njit

TILE = 128
SUMS = {"reassoc", "contract"}
_UNIDENTIFIED = 1e-14  # as in `regression`


@njit(cache=True, nogil=True)
def _load(values, t, tile):
    """Copy a tile's part of (K, G) values to (K, TILE); units beyond the last are zero."""
    begin = t * TILE
    held = min(values.shape[1] - begin, TILE)
    for k in range(values.shape[0]):
        for u in range(held):
            tile[k, u] = values[k, begin + u]
        for u in range(held, TILE):
            tile[k, u] = 0.0


@njit(cache=True, nogil=True, fastmath=SUMS)
def _dot(x, y):
    """Sum of products of (TILE,) and (TILE,)."""
    total = 0.0
    for u in range(TILE):
        total += x[u] * y[u]
    return total


@njit(cache=True, nogil=True, fastmath=SUMS)
def _multiply(tile, first, offset, p, q, sums):
    """Sums (pairs, TILE) of a tile's cross-products of covariates with what follows them."""
    sums[:] = 0.0
    for i in range(first.size):
        for a in range(first[i], p):
            x = tile[offset[i] + a]
            pair = a * q - a * (a - 1) // 2 - a
            for b in range(a, q):
                y, product = tile[offset[i] + b], sums[pair + b]
                for u in range(TILE):
                    product[u] += x[u] * y[u]


@njit(cache=True, nogil=True, fastmath=SUMS)
def products(tiles, first, offset, p, m):
    """(tiles, pairs, TILE) cross-products of the covariates with all columns, by unit."""
    q = p + m
    by_unit = np.empty((tiles.shape[0], p * q - p * (p - 1) // 2, TILE))
    for t in range(tiles.shape[0]):
        _multiply(tiles[t], first, offset, p, q, by_unit[t])
    return by_unit


@njit(cache=True, nogil=True, fastmath=SUMS)
def normal_equations(tiles, first, offset, p, m, known, tau):
    """Weighted cross-products (K, p, p + m) of the covariates with all columns.

    ``known`` are the `products`, or without tiles if they are to be formed, once per tile.
    """
    q, n_classes = p + m, tau.shape[0]
    pairs = p * q - p * (p - 1) // 2
    sums = np.zeros((n_classes, pairs))
    formed = np.empty((pairs, TILE))
    weight = np.empty((n_classes, TILE))
    for t in range(tiles.shape[0]):
        _load(tau, t, weight)
        if known.shape[0] == 0:
            _multiply(tiles[t], first, offset, p, q, formed)
        by_unit = known[t] if known.shape[0] > 0 else formed
        for k in range(n_classes):
            _add_products(weight[k], by_unit, pairs - 1, sums[k])
    total = np.empty((n_classes, p, q))
    for k in range(n_classes):
        pair = 0
        for a in range(p):
            for b in range(a, q):
                total[k, a, b] = sums[k, pair]
                if b < p:
                    total[k, b, a] = sums[k, pair]
                pair += 1
    return total


@njit(cache=True, nogil=True, fastmath=SUMS)
def regressions(tiles, first, offset, p, m, known, tau):
    """Weighted least-squares coefficients (K, p, m); NaN where they are not identified.

    Arguments as for `normal_equations`, which are solved by their Cholesky factors.
    """
    total = normal_equations(tiles, first, offset, p, m, known, tau)
    coefficients = np.empty((tau.shape[0], p, m))
    for k in range(tau.shape[0]):
        _solve(total[k], p, coefficients[k])
    return coefficients


@njit(cache=True, nogil=True, fastmath=SUMS)
def _solve(system, p, out):
    """Solve ``A x = b`` for the upper triangle of A (p, p) and b (p, m) side by side, in place.

    The solution (p, m) is in ``out``.
    """
    q = system.shape[1]
    size = np.empty(p)
    for j in range(p):
        size[j] = system[j, j]
    for j in range(p):
        if not system[j, j] > _UNIDENTIFIED * size[j]:
            out[:] = np.nan
            return
        scale = 1.0 / np.sqrt(system[j, j])
        for b in range(j, q):
            system[j, b] *= scale
        for i in range(j + 1, p):
            by = system[j, i]
            for b in range(i, q):
                system[i, b] -= by * system[j, b]
    for j in range(p - 1, -1, -1):
        for b in range(q - p):
            left = system[j, p + b]
            for i in range(j + 1, p):
                left -= system[j, i] * out[i, b]
            out[j, b] = left / system[j, j]


@njit(cache=True, nogil=True, fastmath=SUMS)
def residuals(tile, first, offset, i, beta, out):
    """Fill (m, TILE) residuals of row i of every unit of a tile, given coefficients (p, m)."""
    p, m = beta.shape
    for j in range(m):
        rest = out[j]
        if p + j >= first[i]:
            y = tile[offset[i] + p + j]
            for u in range(TILE):
                rest[u] = y[u]
        else:
            rest[:] = 0.0
        a = first[i]
        while a + 1 < p:
            b0, b1 = beta[a, j], beta[a + 1, j]
            x0, x1 = tile[offset[i] + a], tile[offset[i] + a + 1]
            for u in range(TILE):
                rest[u] = rest[u] - x0[u] * b0 - x1[u] * b1
            a += 2
        if a < p:
            b0, x0 = beta[a, j], tile[offset[i] + a]
            for u in range(TILE):
                rest[u] -= x0[u] * b0


@njit(cache=True, nogil=True, fastmath=SUMS)
def squares(tiles, first, offset, beta):
    """(tiles, K, TILE) sums of squared residuals of a single outcome."""
    n_classes = beta.shape[0]
    total = np.zeros((tiles.shape[0], n_classes, TILE))
    rest = np.empty((1, TILE))
    for t in range(tiles.shape[0]):
        for k in range(n_classes):
            distance = total[t, k]
            for i in range(first.size):
                residuals(tiles[t], first, offset, i, beta[k], rest)
                e = rest[0]
                for u in range(TILE):
                    distance[u] += e[u] * e[u]
    return total


@njit(cache=True, nogil=True, fastmath=SUMS)
def weighted_squares(by_unit, tau):
    """(K, 1, 1) weighted sums over the units of the (tiles, K, TILE) that `squares` gives."""
    n_classes = tau.shape[0]
    total = np.zeros((n_classes, 1, 1))
    weight = np.empty((n_classes, TILE))
    for t in range(by_unit.shape[0]):
        _load(tau, t, weight)
        for k in range(n_classes):
            total[k, 0, 0] += _dot(weight[k], by_unit[t, k])
    return total


@njit(cache=True, nogil=True, fastmath=SUMS)
def scatter(tiles, first, offset, beta, tau):
    """(K, m, m) weighted cross-products of the residuals."""
    n_classes, _, m = beta.shape
    total = np.zeros((n_classes, m, m))
    weight = np.empty((n_classes, TILE))
    rest = np.empty((m, TILE))
    weighted = np.empty(TILE)
    for t in range(tiles.shape[0]):
        _load(tau, t, weight)
        for k in range(n_classes):
            w = weight[k]
            for i in range(first.size):
                residuals(tiles[t], first, offset, i, beta[k], rest)
                for j in range(m):
                    e = rest[j]
                    for u in range(TILE):
                        weighted[u] = w[u] * e[u]
                    _add_products(weighted, rest, j, total[k, j])
    for k in range(n_classes):
        for j in range(m):
            for other in range(j):
                total[k, other, j] = total[k, j, other]
    return total


@njit(cache=True, nogil=True, fastmath=SUMS)
def _add_products(weighted, rest, last, total):
    """Add to (n,) the sums of products of (TILE,) with the rows 0..last of (n, TILE).

    Four at a time, to share the load.
    """
    j = 0
    while j + 3 <= last:
        e0, e1, e2, e3 = rest[j], rest[j + 1], rest[j + 2], rest[j + 3]
        s0 = s1 = s2 = s3 = 0.0
        for u in range(TILE):
            s0 += weighted[u] * e0[u]
            s1 += weighted[u] * e1[u]
            s2 += weighted[u] * e2[u]
            s3 += weighted[u] * e3[u]
        total[j] += s0
        total[j + 1] += s1
        total[j + 2] += s2
        total[j + 3] += s3
        j += 4
    for rest_of in range(j, last + 1):
        total[rest_of] += _dot(weighted, rest[rest_of])
