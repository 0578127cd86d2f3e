"""One compiled pass for Gaussian mixtures: an E-step and the moments of the next M-step.

Units of one row and an intercept are read once per iteration, in tiles with the unit as the
fastest axis, and nothing of the size of units times classes is written. Moments are centred
on the means that the E-step was made of. `expectation` and `statistics` hold
the NumPy arithmetic.

Outcomes lie in strips of four: as parts of one array at known distances they need no check
at run time that they do not overlap, of which the compiler allows few.
"""

from __future__ import annotations

import numpy as np

from mixcompare.backends.em.kernels.moment_kernels import add_moments, symmetric
from mixcompare.backends.em.kernels.posterior_kernels import OPTIONS, TILE, posterior
from mixcompare.base.kernel_cache import njit


@njit(**OPTIONS)
def pack(values):
    """(tiles, strips, 4 TILE) of (G, m) values, filled up with zeros."""
    units, m = values.shape
    strips = (m + 3) // 4
    tiles = np.zeros(((units + TILE - 1) // TILE, strips, 4 * TILE))
    for g in range(units):
        for j in range(m):
            tiles[g // TILE, j // 4, j % 4 * TILE + g % TILE] = values[g, j]
    return tiles


@njit(**OPTIONS)
def _e_step(tiles, units, unit_weights, at, results, room):
    """Return the sums of log-likelihood, Q and entropy; fill the moments of the next M-step.

    Parameters
    ----------
    tiles, units
        What `pack` gives, and the number of units.
    unit_weights
        (G,) how often each unit counts, or empty.
    at
        Means (K, 4 strips); inverse roots (K, 4 strips, 4 strips), lower triangles L^-1 of
        Sigma = L L', both filled up with zeros; (K,) log-tau_t at the mean plus log-weight; and
        (K, G) what is added to it by unit, or (K, 0).
    results
        Joint and tau (K, G), and unit (G,), to be filled, or empty.
    room
        (K,), (K, 4 strips) and (K, 4 strips, 4 strips), zero before: weighted counts, sums
        and cross-products of the differences from the means.
    """
    means, inverse_roots, constants, by_unit = at
    joint, tau, unit = results
    total, first, second = room
    n_classes, strips = means.shape[0], tiles.shape[1]
    tau_t = np.empty((n_classes, TILE))
    centred, weighted = np.empty((strips, 4 * TILE)), np.empty(4 * TILE)
    z = np.empty(4 * TILE)
    counts, largest, shares = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    inverse, slopes = np.empty(TILE), np.empty(TILE)
    log_likelihood = entropy = 0.0
    for t in range(tiles.shape[0]):
        _counts(unit_weights, units, t, counts)
        for k in range(n_classes):
            _start(constants[k], by_unit[k], t, tau_t[k])
            _log_density(tiles[t], means[k], inverse_roots[k], centred, z, tau_t[k])
        if joint.size > 0:
            _store(tau_t, t, joint)
        sums = posterior(tau_t, counts, largest, shares, inverse, slopes)
        log_likelihood += sums[0]
        entropy += sums[1]
        if joint.size > 0:
            _store(tau_t, t, tau)
            held = min(units - t * TILE, TILE)
            for u in range(held):
                unit[t * TILE + u] = largest[u] + shares[u]
        for k in range(n_classes):
            for u in range(TILE):
                tau_t[k, u] *= counts[u]
            add_moments(
                tiles[t],
                means[k],
                tau_t[k],
                centred,
                weighted,
                total[k : k + 1],
                first[k],
                second[k],
            )
    for k in range(n_classes):
        symmetric(second[k])
    return log_likelihood, log_likelihood - entropy, entropy


@njit(**OPTIONS)
def e_steps(tiles, units, unit_weights, at, results, room, sums):
    """The E-steps of all starts: arrays of `_e_step` with an axis in front; fill (S, 3) sums.

    Unit weights are (1, G), (S, G) or (1, 0).
    """
    means, inverse_roots, constants, by_unit = at
    joint, tau, unit = results
    total, first, second = room
    for s in range(means.shape[0]):
        sums[s, 0], sums[s, 1], sums[s, 2] = _e_step(
            tiles,
            units,
            unit_weights[s if unit_weights.shape[0] > 1 else 0],
            (means[s], inverse_roots[s], constants[s], by_unit[s]),
            (joint[s], tau[s], unit[s]),
            (total[s], first[s], second[s]),
        )


@njit(**OPTIONS)
def moments(tiles, tau, means, total, first, second):
    """Fill the moments of all starts, for weights (S, G, K) and means (S, K, 4 strips).

    These are ``room`` of `_e_step` with an axis of starts in front.
    """
    for s in range(means.shape[0]):
        _moments_of_one(tiles, tau[s], means[s], total[s], first[s], second[s])


@njit(**OPTIONS)
def _moments_of_one(tiles, tau, means, total, first, second):
    """As `moments`, of one start."""
    strips = tiles.shape[1]
    centred, weighted = np.empty((strips, 4 * TILE)), np.empty(4 * TILE)
    weight = np.empty(TILE)
    for t in range(tiles.shape[0]):
        held = min(tau.shape[0] - t * TILE, TILE)
        weight[held:] = 0.0
        for k in range(means.shape[0]):
            for u in range(held):
                weight[u] = tau[t * TILE + u, k]
            add_moments(
                tiles[t], means[k], weight, centred, weighted, total[k : k + 1], first[k], second[k]
            )
    for k in range(means.shape[0]):
        symmetric(second[k])


@njit(**OPTIONS)
def _counts(unit_weights, units, t, counts):
    """(TILE,) how often the units of a tile count; those beyond the last do not."""
    begin = t * TILE
    held = min(units - begin, TILE)
    counts[:held] = 1.0
    counts[held:] = 0.0
    if unit_weights.size > 0:
        counts[:held] = unit_weights[begin : begin + held]


@njit(**OPTIONS)
def _start(constant, by_unit, t, out):
    """(TILE,) a constant, plus a tile's part of the values (G,) by unit if there are any."""
    out[:] = constant
    if by_unit.size > 0:
        begin = t * TILE
        for u in range(min(by_unit.size - begin, TILE)):
            out[u] += by_unit[begin + u]


@njit(**OPTIONS)
def _store(tile, t, out):
    """Copy a tile's (K, TILE) values to where they belong in (K, G)."""
    begin = t * TILE
    for k in range(out.shape[0]):
        for u in range(min(out.shape[1] - begin, TILE)):
            out[k, begin + u] = tile[k, u]


@njit(**OPTIONS)
def _log_density(tile, mean, inverse_root, centred, z, out):
    """Subtract half the squared norms of z = L^-1 (y - mean) of a tile's units from (TILE,).

    From the tile (strips, 4 TILE), mean (4 strips,) and L^-1 (4 strips, 4 strips). The centred
    tile and a strip z (4 TILE,) are workspace.
    """
    for j in range(tile.shape[0]):
        z[:] = 0.0
        for i in range(j):
            _multiply(centred[i], inverse_root, 4 * j, 4 * i, z)
        _finish(tile[j], mean, inverse_root, 4 * j, centred[j], z, out)


@njit(**OPTIONS)
def _multiply(x, c, i, j, z):
    """Add the product of the four by four coefficients at (i, j) with a strip to z (4 TILE,)."""
    c00, c01, c02, c03 = c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3]
    i += 1
    c10, c11, c12, c13 = c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3]
    i += 1
    c20, c21, c22, c23 = c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3]
    i += 1
    c30, c31, c32, c33 = c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3]
    for u in range(TILE):
        x0, x1, x2, x3 = x[u], x[u + TILE], x[u + 2 * TILE], x[u + 3 * TILE]
        z[u] += c00 * x0 + c01 * x1 + c02 * x2 + c03 * x3
        z[u + TILE] += c10 * x0 + c11 * x1 + c12 * x2 + c13 * x3
        z[u + 2 * TILE] += c20 * x0 + c21 * x1 + c22 * x2 + c23 * x3
        z[u + 3 * TILE] += c30 * x0 + c31 * x1 + c32 * x2 + c33 * x3


@njit(**OPTIONS)
def _finish(strip, mean, c, i, centred, z, out):
    """Centre strip i, add its product with the triangle there to z, subtract half the squares."""
    b0, b1, b2, b3 = mean[i], mean[i + 1], mean[i + 2], mean[i + 3]
    c00, c10, c11 = c[i, i], c[i + 1, i], c[i + 1, i + 1]
    c20, c21, c22 = c[i + 2, i], c[i + 2, i + 1], c[i + 2, i + 2]
    c30, c31, c32, c33 = c[i + 3, i], c[i + 3, i + 1], c[i + 3, i + 2], c[i + 3, i + 3]
    for u in range(TILE):
        x0, x1 = strip[u] - b0, strip[u + TILE] - b1
        x2, x3 = strip[u + 2 * TILE] - b2, strip[u + 3 * TILE] - b3
        centred[u] = x0
        centred[u + TILE] = x1
        centred[u + 2 * TILE] = x2
        centred[u + 3 * TILE] = x3
        z0 = z[u] + c00 * x0
        z1 = z[u + TILE] + (c10 * x0 + c11 * x1)
        z2 = z[u + 2 * TILE] + (c20 * x0 + c21 * x1 + c22 * x2)
        z3 = z[u + 3 * TILE] + (c30 * x0 + c31 * x1 + c32 * x2 + c33 * x3)
        out[u] -= 0.5 * ((z0 * z0 + z1 * z1) + (z2 * z2 + z3 * z3))
