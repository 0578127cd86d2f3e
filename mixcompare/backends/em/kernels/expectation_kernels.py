"""The compiled E-step: distances, log-sum-exp and the sums of Q and entropy, tile by tile.

`expectation` holds the NumPy arithmetic that it equals; for tiles see `kernels`.
"""

from __future__ import annotations

import numpy as np

from mixcompare.backends.em.kernels.panel_kernels import SUMS, TILE, residuals
from mixcompare.backends.em.kernels.posterior_kernels import EXACT, exponential, logarithm
from mixcompare.base.kernel_cache import njit

_LOG_ZERO = -600.0  # as in `expectation`


@njit(cache=True, nogil=True, fastmath=SUMS)
def _whiten(rest, root, distance):
    """Solve for (m, TILE) with the triangular root (m, m) in place; add squares to (TILE,)."""
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


@njit(**EXACT)
def _posterior(joint, tau, unit, top, inverse):
    """Log-sum-exp over the classes of a tile: from joint (K, TILE), fill tau and unit (TILE,).

    The largest of each unit, (TILE,), and the inverse of what follows it are workspace.
    """
    n_classes = joint.shape[0]
    top[:] = joint[0]
    for k in range(1, n_classes):
        for u in range(TILE):
            top[u] = max(top[u], joint[k, u])
    unit[:] = 0.0
    for k in range(n_classes):
        shares = tau[k]
        for u in range(TILE):
            e = exponential(joint[k, u] - top[u])
            shares[u] = e
            unit[u] += e
    for u in range(TILE):
        inverse[u] = 1.0 / unit[u]
        unit[u] = top[u] + logarithm(unit[u])
    for k in range(n_classes):
        shares = tau[k]
        for u in range(TILE):
            shares[u] = shares[u] * inverse[u] if joint[k, u] - unit[u] > _LOG_ZERO else 0.0


@njit(cache=True, nogil=True)
def _distances(tile, first, offset, beta, root, rest, distance):
    """(TILE,) squared Mahalanobis norms of a tile's residuals for one class.

    From coefficients (p, m) and the root (m, m); the residuals (m, TILE) are workspace.
    """
    distance[:] = 0.0
    for i in range(first.size):
        residuals(tile, first, offset, i, beta, rest)
        _whiten(rest, root, distance)


@njit(cache=True, nogil=True, fastmath=SUMS)
def _bound(joint, tau, unit, held):
    """Sums of log-likelihoods, tau log f and -tau log tau over the first units of a tile.

    From joint and tau (K, TILE) and unit (TILE,).
    """
    log_likelihood = expected = entropy = 0.0
    for u in range(held):
        log_likelihood += unit[u]
    for k in range(joint.shape[0]):
        for u in range(held):
            log_density = joint[k, u] if tau[k, u] > 0 else unit[u]  # 0 times log 0 is 0
            expected += tau[k, u] * log_density
            entropy += tau[k, u] * (unit[u] - log_density)
    return log_likelihood, expected, entropy


@njit(cache=True, nogil=True)
def e_step(panel, nu, beta, roots, weights, log_norms, known, room, sums):
    """Fill joint and tau (S, K, G), unit (S, G) and (S, 3) sums, see `_bound`.

    From degrees of freedom nu (G,), coefficients (S, K, p, m), roots (S, K, m, m) and log-norms
    (S, K); for the panel see `panel_kernels`. All S starts use a tile while it is in the cache. The
    second of the log-weights, (S, K, G), adds to the first, (S, K), by unit, or has no columns.
    ``known`` are the `squares` of these coefficients, or without tiles if they are not known.
    """
    tiles, first, offset = panel
    log_weights, by_unit = weights
    joint, tau, unit = room
    starts, n_classes, _, m = beta.shape
    units = nu.size
    tile_joint, tile_tau = np.empty((n_classes, TILE)), np.empty((n_classes, TILE))
    rest = np.empty((m, TILE))
    tile_nu, tile_unit, top = np.zeros(TILE), np.empty(TILE), np.empty(TILE)
    inverse = np.empty(TILE)
    sums[:] = 0.0
    for t in range(tiles.shape[0]):
        begin = t * TILE
        held = min(units - begin, TILE)
        for u in range(held):
            tile_nu[u] = nu[begin + u]
        for s in range(starts):
            for k in range(n_classes):
                distance = tile_joint[k]
                if known.shape[0] > 0:
                    precision = 1.0 / (roots[s, k, 0, 0] * roots[s, k, 0, 0])
                    for u in range(TILE):
                        distance[u] = known[t, s * n_classes + k, u] * precision
                else:
                    _distances(tiles[t], first, offset, beta[s, k], roots[s, k], rest, distance)
                for u in range(TILE):
                    distance[u] = log_weights[s, k] - 0.5 * (
                        tile_nu[u] * log_norms[s, k] + distance[u]
                    )
                if by_unit.shape[2] > 0:
                    for u in range(held):
                        distance[u] += by_unit[s, k, begin + u]
            _posterior(tile_joint, tile_tau, tile_unit, top, inverse)
            log_likelihood, expected, entropy = _bound(tile_joint, tile_tau, tile_unit, held)
            sums[s, 0] += log_likelihood
            sums[s, 1] += expected
            sums[s, 2] += entropy
            for u in range(held):
                unit[s, begin + u] = tile_unit[u]
            for k in range(n_classes):
                for u in range(held):
                    joint[s, k, begin + u] = tile_joint[k, u]
                    tau[s, k, begin + u] = tile_tau[k, u]
