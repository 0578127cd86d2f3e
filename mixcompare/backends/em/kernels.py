"""Compiled passes over the units.

`expectation` and `statistics` hold the NumPy arithmetic that they equal.

Units are processed in tiles, with the unit as the fastest axis, so that every inner loop
runs over the units of a tile: it vectorises whatever the numbers of covariates, outcomes
and components are, and a tile stays in the cache for all components. Classes come first
in the arrays of units and classes, (K, G), for the same reason.

Sums over units may be reordered by the compiler (`_SUMS`), which changes nothing but their
rounding; no assumption is made about NaN, infinities or signed zeros.
"""

from __future__ import annotations

import numpy as np
from numba import njit

TILE = 128
_SUMS = {"reassoc", "contract"}
_LOG_ZERO = -600.0  # as in `expectation`

# exp(x) = 2^n exp(x - n log 2): the remainder lies in +-log(2)/2, where the Taylor
# polynomial of degree 13 is exact to rounding. Adding 1.5 * 2^52 rounds to an integer
# and leaves it in the low bits.
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93145751953125e-1
_LN2_LOW = 1.42860682030941723212e-6
_ROUNDER = 6755399441055744.0


@njit(cache=True, nogil=True)
def pack(factor, first, offset, size):
    """(tiles, size, TILE) values of the factor rows from their first used column on."""
    units, r, q = factor.shape
    tiles = np.zeros(((units + TILE - 1) // TILE, size, TILE))
    for g in range(units):
        t, u = g // TILE, g % TILE
        for i in range(r):
            for a in range(first[i], q):
                tiles[t, offset[i] + a, u] = factor[g, i, a]
    return tiles


@njit(cache=True, nogil=True)
def _load(values, t, tile):
    """Copy a tile's part of (K, G) values; units beyond the last are zero."""
    begin = t * TILE
    held = min(values.shape[1] - begin, TILE)
    for k in range(values.shape[0]):
        for u in range(held):
            tile[k, u] = values[k, begin + u]
        for u in range(held, TILE):
            tile[k, u] = 0.0


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _dot(x, y):
    total = 0.0
    for u in range(TILE):
        total += x[u] * y[u]
    return total


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _multiply(tile, first, offset, p, q, own):
    """Cross-products (pairs, TILE) of the covariates with what follows, row by row."""
    own[:] = 0.0
    for i in range(first.size):
        for a in range(first[i], p):
            x = tile[offset[i] + a]
            pair = a * q - a * (a - 1) // 2 - a
            for b in range(a, q):
                y, product = tile[offset[i] + b], own[pair + b]
                for u in range(TILE):
                    product[u] += x[u] * y[u]


@njit(cache=True, nogil=True, fastmath=_SUMS)
def products(tiles, first, offset, p, m):
    """(tiles, pairs, TILE) cross-products of the covariates with all columns, by unit."""
    q = p + m
    own = np.empty((tiles.shape[0], p * q - p * (p - 1) // 2, TILE))
    for t in range(tiles.shape[0]):
        _multiply(tiles[t], first, offset, p, q, own[t])
    return own


@njit(cache=True, nogil=True, fastmath=_SUMS)
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
        own = known[t] if known.shape[0] > 0 else formed
        for k in range(n_classes):
            _add_products(weight[k], own, pairs - 1, sums[k])
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


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _residuals(tile, first, offset, i, beta, out):
    """(m, TILE) residuals of row i of every unit of a tile, given coefficients (p, m)."""
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


@njit(cache=True, nogil=True, fastmath=_SUMS)
def squares(tiles, first, offset, beta):
    """(tiles, K, TILE) sums of squared residuals of a single outcome."""
    n_classes = beta.shape[0]
    total = np.zeros((tiles.shape[0], n_classes, TILE))
    rest = np.empty((1, TILE))
    for t in range(tiles.shape[0]):
        for k in range(n_classes):
            own = total[t, k]
            for i in range(first.size):
                _residuals(tiles[t], first, offset, i, beta[k], rest)
                e = rest[0]
                for u in range(TILE):
                    own[u] += e[u] * e[u]
    return total


@njit(cache=True, nogil=True, fastmath=_SUMS)
def weighted_squares(own, tau):
    """(K, 1, 1) weighted sums over the units of what `squares` gives."""
    n_classes = tau.shape[0]
    total = np.zeros((n_classes, 1, 1))
    weight = np.empty((n_classes, TILE))
    for t in range(own.shape[0]):
        _load(tau, t, weight)
        for k in range(n_classes):
            total[k, 0, 0] += _dot(weight[k], own[t, k])
    return total


@njit(cache=True, nogil=True, fastmath=_SUMS)
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
                _residuals(tiles[t], first, offset, i, beta[k], rest)
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


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _add_products(weighted, rest, last, total):
    """Add the sums of products with the rows 0..last, four at a time to share the load."""
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


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _whiten(rest, root, distance):
    """Solve with the triangular root in place and add the squares to the distances."""
    for j in range(rest.shape[0]):
        z = rest[j]
        other = 0
        while other + 3 < j:
            c0, c1 = root[j, other], root[j, other + 1]
            c2, c3 = root[j, other + 2], root[j, other + 3]
            if c0 != 0 or c1 != 0 or c2 != 0 or c3 != 0:  # diagonal roots are cheap
                x0, x1, x2, x3 = rest[other], rest[other + 1], rest[other + 2], rest[other + 3]
                for u in range(TILE):
                    z[u] = z[u] - c0 * x0[u] - c1 * x1[u] - c2 * x2[u] - c3 * x3[u]
            other += 4
        while other < j:
            c0, x0 = root[j, other], rest[other]
            for u in range(TILE):
                z[u] -= c0 * x0[u]
            other += 1
        scale = 1.0 / root[j, j]
        for u in range(TILE):
            z[u] *= scale
            distance[u] += z[u] * z[u]


@njit(cache=True, nogil=True)
def _exp(x, out, power, bits):
    """Exponential of the tile's x, none positive; an exact zero at and below -600.

    `bits` is a view of `power` as integers. Not compiled with `_SUMS`, which would undo
    the rounding by `_ROUNDER`.
    """
    for u in range(TILE):
        value = x[u] if x[u] > _LOG_ZERO else _LOG_ZERO
        power[u] = value * _LOG2_E + _ROUNDER
        n = power[u] - _ROUNDER
        s = (value - n * _LN2_HIGH) - n * _LN2_LOW
        e = 1 / 6227020800.0
        e = e * s + 1 / 479001600.0
        e = e * s + 1 / 39916800.0
        e = e * s + 1 / 3628800.0
        e = e * s + 1 / 362880.0
        e = e * s + 1 / 40320.0
        e = e * s + 1 / 5040.0
        e = e * s + 1 / 720.0
        e = e * s + 1 / 120.0
        e = e * s + 1 / 24.0
        e = e * s + 1 / 6.0
        e = e * s + 0.5
        out[u] = (e * s) * s + s + 1.0
    for u in range(TILE):
        bits[u] = (bits[u] + 1023) << 52
    for u in range(TILE):
        out[u] = out[u] * power[u] if x[u] > _LOG_ZERO else 0.0


@njit(cache=True, nogil=True)
def _posterior(joint, tau, unit, top, shifted, power, bits):
    """Log-sum-exp over the classes of a tile, all in place."""
    n_classes = joint.shape[0]
    top[:] = joint[0]
    for k in range(1, n_classes):
        for u in range(TILE):
            top[u] = max(top[u], joint[k, u])
    unit[:] = 0.0
    for k in range(n_classes):
        own = tau[k]
        for u in range(TILE):
            shifted[u] = joint[k, u] - top[u]
        _exp(shifted, own, power, bits)
        for u in range(TILE):
            unit[u] += own[u]
    for u in range(TILE):
        power[u] = 1.0 / unit[u]
        unit[u] = top[u] + np.log(unit[u])
    for k in range(n_classes):
        own = tau[k]
        for u in range(TILE):
            own[u] = own[u] * power[u] if joint[k, u] - unit[u] > _LOG_ZERO else 0.0


@njit(cache=True, nogil=True)
def _distances(tile, first, offset, beta, root, rest, distance):
    """Squared Mahalanobis norms of the residuals of a tile's units for one class."""
    distance[:] = 0.0
    for i in range(first.size):
        _residuals(tile, first, offset, i, beta, rest)
        _whiten(rest, root, distance)


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _bound(joint, tau, unit, held):
    """Sums of tau log f and of -tau log tau over the first units of a tile."""
    expected = entropy = 0.0
    for k in range(joint.shape[0]):
        for u in range(held):
            log_density = joint[k, u] if tau[k, u] > 0 else unit[u]  # 0 times log 0 is 0
            expected += tau[k, u] * log_density
            entropy += tau[k, u] * (unit[u] - log_density)
    return expected, entropy


@njit(cache=True, nogil=True)
def e_step(
    tiles,
    first,
    offset,
    nu,
    beta,
    roots,
    log_weights,
    by_unit,
    log_norms,
    known,
    joint,
    tau,
    unit,
    sums,
):
    """Fill joint and tau (S, K, G), unit (S, G) and sums (S, 2) of Q and of the entropy.

    All S starts use a tile while it is in the cache. ``by_unit`` (S, K, G) adds to the
    log-weights, or has no columns. ``known`` are the `squares` of these coefficients, or
    without tiles if they are not known.
    """
    starts, n_classes, _, m = beta.shape
    units = nu.size
    own_joint, own_tau = np.empty((n_classes, TILE)), np.empty((n_classes, TILE))
    rest = np.empty((m, TILE))
    own_nu, own_unit, top = np.zeros(TILE), np.empty(TILE), np.empty(TILE)
    shifted, power = np.empty(TILE), np.empty(TILE)
    bits = power.view(np.int64)
    sums[:] = 0.0
    for t in range(tiles.shape[0]):
        begin = t * TILE
        held = min(units - begin, TILE)
        for u in range(held):
            own_nu[u] = nu[begin + u]
        for s in range(starts):
            for k in range(n_classes):
                distance = own_joint[k]
                if known.shape[0] > 0:
                    precision = 1.0 / (roots[s, k, 0, 0] * roots[s, k, 0, 0])
                    for u in range(TILE):
                        distance[u] = known[t, s * n_classes + k, u] * precision
                else:
                    _distances(tiles[t], first, offset, beta[s, k], roots[s, k], rest, distance)
                for u in range(TILE):
                    distance[u] = log_weights[s, k] - 0.5 * (
                        own_nu[u] * log_norms[s, k] + distance[u]
                    )
                if by_unit.shape[2] > 0:
                    for u in range(held):
                        distance[u] += by_unit[s, k, begin + u]
            _posterior(own_joint, own_tau, own_unit, top, shifted, power, bits)
            expected, entropy = _bound(own_joint, own_tau, own_unit, held)
            sums[s, 0] += expected
            sums[s, 1] += entropy
            for u in range(held):
                unit[s, begin + u] = own_unit[u]
            for k in range(n_classes):
                for u in range(held):
                    joint[s, k, begin + u] = own_joint[k, u]
                    tau[s, k, begin + u] = own_tau[k, u]
