"""The log-likelihood and its gradient in one compiled pass over tiles of units.

With the whitened residuals ``e = W M_k - Z D_k M_k`` of unit g and class k (see `mixcompare.
backends.pymc.emissions.normal_density`), responsibilities ``tau_gk`` and unit weights w_g, the
gradient with respect to the stacked map ``[-D_k M_k; M_k]`` is
``-sum_g w_g tau_gk [Z W]_g' e``: residuals are made once, kept while their tile is in the
cache, and used for both. The unit is the fastest axis, so that every inner loop runs over
the lanes of a tile, whatever the numbers of rows, covariates and outcomes are.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mixcompare.base.kernel_cache import njit

LANES = 64

# Only compiled code calls these, and wrappers for Python take time to compile. They are part of
# what calls them: a process that has just compiled would call them as they were compiled alone,
# one that reads the caller from numba's cache as they were compiled with it, and the two differ
# in the outcome digit.
_OPTIONS = {
    "cache": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "forceinline": True,
}
# Sums may be reordered to vectorise; nothing else of floating point is bent.
INNER = {**_OPTIONS, "fastmath": {"reassoc", "contract"}}
# Adding a number and taking it away again is how these round: no reordering here.
_EXACT = {**_OPTIONS, "fastmath": {"contract"}}

_LOG_2PI = float(np.log(2 * np.pi))
_ROUND = 1.5 * 2.0**52
_ROUND_BITS = int(np.float64(_ROUND).view(np.int64))
_ROOT_HALF_BITS = int(np.sqrt(np.float64(0.5)).view(np.int64))
# Smaller responsibilities are zero: products with them would be slow subnormal numbers.
_NOTHING = -600.0


@intrinsic
def _bits(typing_context, number):  # noqa: ARG001 (numba's own signature)
    def code(context, builder, signature, arguments):  # noqa: ARG001
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


@intrinsic
def _from_bits(typing_context, number):  # noqa: ARG001
    def code(context, builder, signature, arguments):  # noqa: ARG001
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


@njit(**_EXACT)
def exponential(x):
    """exp(x) of x <= 0 by a rational function (Moshier 1989, Cephes)."""
    shifted = x * 1.4426950408889634 + _ROUND
    n = shifted - _ROUND
    r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6
    s = r * r
    p = r * ((1.26177193074810590878e-4 * s + 3.02994407707441961300e-2) * s + 1.0)
    q = (3.00198505138664455042e-6 * s + 2.52448340349684104192e-3) * s
    q = (q + 2.27265548208155028766e-1) * s + 2.0
    value = 1.0 + 2.0 * p / (q - p)
    # The low bits of the shifted number are n, which goes to the exponent.
    scaled = _from_bits(_bits(value) + (_bits(shifted) << 52))
    return scaled if x > _NOTHING else 0.0


@njit(**_EXACT)
def logarithm(x):
    """log(x) of x >= 1 by the series of the inverse hyperbolic tangent."""
    bits = _bits(x)
    exponent = (bits - _ROOT_HALF_BITS) >> 52
    mantissa = _from_bits(bits - (exponent << 52))
    n = _from_bits(exponent + _ROUND_BITS) - _ROUND
    f = (mantissa - 1.0) / (mantissa + 1.0)
    s = f * f
    t = (s * (1 / 19) + 1 / 17) * s + 1 / 15
    t = ((t * s + 1 / 13) * s + 1 / 11) * s + 1 / 9
    t = ((t * s + 1 / 7) * s + 1 / 5) * s + 1 / 3
    return n * 0.6931471805599453 + (2.0 * f + 2.0 * f * s * t)


@njit(**INNER)
def _combine(columns, coefficients, out):
    """Add columns, (n lanes,) one after the other, times coefficients (n,) to `out` (lanes,)."""
    n = coefficients.size
    for i in range(0, n - 3, 4):
        x = columns[i * LANES : (i + 4) * LANES]
        a, b, c, d = coefficients[i], coefficients[i + 1], coefficients[i + 2], coefficients[i + 3]
        for u in range(LANES):
            out[u] += (a * x[u] + b * x[u + LANES]) + (c * x[u + 2 * LANES] + d * x[u + 3 * LANES])
    for i in range(n - n % 4, n):
        x = columns[i * LANES : (i + 1) * LANES]
        a = coefficients[i]
        for u in range(LANES):
            out[u] += a * x[u]


@njit(**INNER)
def _gather(columns, lanes, sign, out):
    """Add products of columns (n lanes,) with `lanes`, summed over these, times a sign to (n,)."""
    n = out.size
    for i in range(0, n - 3, 4):
        x = columns[i * LANES : (i + 4) * LANES]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for u in range(LANES):
            a += lanes[u] * x[u]
            b += lanes[u] * x[u + LANES]
            c += lanes[u] * x[u + 2 * LANES]
            d += lanes[u] * x[u + 3 * LANES]
        out[i] += sign * a
        out[i + 1] += sign * b
        out[i + 2] += sign * c
        out[i + 3] += sign * d
    for i in range(n - n % 4, n):
        x = columns[i * LANES : (i + 1) * LANES]
        a = 0.0
        for u in range(LANES):
            a += lanes[u] * x[u]
        out[i] += sign * a


@njit(**INNER)
def _squared_residuals(rows, first, p, full, maps, residuals, squares):
    """Residuals (K, m, r, lanes) of a tile's rows, and their sums of squares (K, lanes)."""
    n_classes, m, q = maps.shape
    squares[:] = 0.0
    for k in range(n_classes):
        total = squares[k]
        for i in range(m):
            at = 0
            for j in range(first.size):
                begin = int(first[j])
                end = max(q - i if full else p, begin)
                e = residuals[k, i, j]
                e[:] = 0.0
                _combine(rows[at * LANES :], maps[k, i, begin:end], e)
                if not full and q - 1 - i >= begin:
                    outcome = q - 1 - i
                    column = at + outcome - begin
                    _combine(rows[column * LANES :], maps[k, i, outcome : outcome + 1], e)
                for u in range(LANES):
                    total[u] += e[u] * e[u]
                at += q - begin


@njit(**INNER)
def _map_gradient(rows, first, p, full, tau, residuals, weighted, gradient):
    """Add a tile's part of the gradient (K, m, q) with respect to the maps."""
    n_classes, m, q = gradient.shape
    for k in range(n_classes):
        share = tau[k]
        for i in range(m):
            at = 0
            for j in range(first.size):
                begin = int(first[j])
                end = max(q - i if full else p, begin)
                e = residuals[k, i, j]
                for u in range(LANES):
                    weighted[u] = share[u] * e[u]
                _gather(rows[at * LANES :], weighted, -1.0, gradient[k, i, begin:end])
                if not full and q - 1 - i >= begin:
                    outcome = q - 1 - i
                    column = at + outcome - begin
                    _gather(
                        rows[column * LANES :],
                        weighted,
                        -1.0,
                        gradient[k, i, outcome : outcome + 1],
                    )
                at += q - begin


@njit(**INNER)
def _normalise(joint, log_sum, scale):
    """Turn logarithms (K, lanes) into shares of their sum, whose logarithm (lanes,) is written."""
    n_classes = joint.shape[0]
    log_sum[:] = -np.inf
    for k in range(n_classes):
        of_class = joint[k]
        for u in range(LANES):
            log_sum[u] = max(log_sum[u], of_class[u])
    scale[:] = 0.0
    for k in range(n_classes):
        of_class = joint[k]
        for u in range(LANES):
            share = exponential(of_class[u] - log_sum[u])
            of_class[u] = share
            scale[u] += share
    for u in range(LANES):
        log_sum[u] += logarithm(scale[u])
        scale[u] = 1.0 / scale[u]
    for k in range(n_classes):
        of_class = joint[k]
        for u in range(LANES):
            of_class[u] *= scale[u]


@njit(**INNER)
def _joint(tile, degrees, first, full, maps, log_determinants, residuals, prior, joint):
    """Log class probability plus log density of a tile's units given the class, (K, lanes)."""
    n_classes, m, q = maps.shape
    _squared_residuals(tile, first, q - m, full, maps, residuals, joint)
    for k in range(n_classes):
        of_class, before = joint[k], prior[k]
        constant = m * _LOG_2PI + log_determinants[k % log_determinants.size]
        for u in range(LANES):
            of_class[u] = before[u] - 0.5 * (degrees[u] * constant + of_class[u])


@njit(**INNER)
def _count(tau, weight, degrees, counts, rows):
    """Weight responsibilities (K, lanes); add units by class (K,) and rows by covariance (C,)."""
    for k in range(tau.shape[0]):
        of_class = tau[k]
        units, total = 0.0, 0.0
        for u in range(LANES):
            of_class[u] *= weight[u]
            units += of_class[u]
            total += of_class[u] * degrees[u]
        counts[k] += units
        rows[k % rows.size] += total


@njit(**INNER)
def log_likelihood(tiles, first, full, log_weights, scores, maps, log_determinants, gradients):
    """Summed log-likelihood, with its gradient.

    Parameters
    ----------
    tiles
        (T, tile) of units: columns of lanes, first row by row those from ``first`` on of
        ``[Z W]``, outcomes outcome to first, then unit covariates, degrees of freedom, weights.
    first
        (r,) first column that a row has.
    full
        Whether maps have all outcomes from the map's of_class on, or its of_class alone.
    log_weights, scores
        (K,) log class probabilities, or (K, c) maps of unit covariates to their logits.
    maps
        (K, m, q) ``[-D_k M_k; M_k]``, transposed, outcomes outcome to first.
    log_determinants
        (C,) log|Sigma|, of each class or of all.
    gradients
        (K, m, q), (K, c), (K,) and (C,) of zeros, to be filled: the gradients with respect to
        maps and scores, expected units by class, and expected rows by covariance.
    """
    slopes, score_slopes, counts, rows = gradients
    n_classes, m, q = maps.shape
    c = scores.shape[1]
    n_columns = tiles.shape[1] // LANES
    residuals = np.empty((n_classes, m, first.size, LANES))
    joint, prior = np.empty((n_classes, LANES)), np.empty((n_classes, LANES))
    log_sum, lanes = np.empty(LANES), np.empty(LANES)
    result = 0.0
    for t in range(tiles.shape[0]):
        tile = tiles[t]
        weight = tile[(n_columns - 1) * LANES :]
        degrees = tile[(n_columns - 2) * LANES :]
        concomitants = tile[(n_columns - 2 - c) * LANES :]
        for k in range(n_classes):
            prior[k] = log_weights[k]
            _combine(concomitants, scores[k], prior[k])
        _joint(tile, degrees, first, full, maps, log_determinants, residuals, prior, joint)
        _normalise(joint, log_sum, lanes)
        for u in range(LANES):
            result += weight[u] * log_sum[u]
        _count(joint, weight, degrees, counts, rows)
        if c:
            _normalise(prior, log_sum, lanes)
            for u in range(LANES):
                result -= weight[u] * log_sum[u]
            for k in range(n_classes):
                for u in range(LANES):
                    lanes[u] = joint[k, u] - weight[u] * prior[k, u]
                _gather(concomitants, lanes, 1.0, score_slopes[k])
        _map_gradient(tile, first, q - m, full, joint, residuals, lanes, slopes)
    return result
