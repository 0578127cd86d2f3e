"""Compiled responsibilities of a tile of units, with vectorised exponential and logarithm."""

from __future__ import annotations

import numpy as np

from mixcompare.base.kernel_cache import njit

TILE = 384  # not a power of two: such distances share few lines of the cache
OPTIONS = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract"},
}
# Reassociation would undo the rounding by `_ROUNDER`.
EXACT = {**OPTIONS, "fastmath": {"contract"}}
_LOG_ZERO = -600.0  # as in `expectation`

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ROUNDER = 6755399441055744.0  # 1.5 * 2^52: adding it leaves an integer in the low bits
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


@njit(inline="always", **EXACT)
def exponential(x):
    """Exponential of x, not positive; an exact zero at and below -600.

    exp(x) = 2^n exp(x - n log 2): the remainder lies in +-log(2)/2, where the Taylor
    polynomial of degree 13 is exact to rounding.
    """
    value = x if x > _LOG_ZERO else _LOG_ZERO
    power = value * _LOG2_E + _ROUNDER
    n = power - _ROUNDER
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
    bits = np.int64(np.float64(power).view(np.int64) + 1023)
    scale = np.int64(bits << 52).view(np.float64)
    return ((e * s) * s + s + 1.0) * scale if x > _LOG_ZERO else 0.0


@njit(inline="always", **EXACT)
def logarithm(x):
    """Logarithm of a positive, normal x.

    log(x) = n log 2 + log(1 + f) with 1 + f between the roots of 1/2 and 2, and
    log(1 + f) = 2 artanh(s), s = f / (2 + f), by its series.
    """
    bits = np.float64(x).view(np.int64)
    n = (bits - _SQRT_HALF_BITS) >> 52
    f = np.int64(bits - (n << 52)).view(np.float64) - 1.0
    s = f / (2.0 + f)
    w = s * s
    e = 2 / 23.0
    e = e * w + 2 / 21.0
    e = e * w + 2 / 19.0
    e = e * w + 2 / 17.0
    e = e * w + 2 / 15.0
    e = e * w + 2 / 13.0
    e = e * w + 2 / 11.0
    e = e * w + 2 / 9.0
    e = e * w + 2 / 7.0
    e = e * w + 2 / 5.0
    e = e * w + 2 / 3.0
    # 2 artanh(s) = 2 s + s w e, where 2 s = f - f s.
    return n * _LN2_HIGH + (n * _LN2_LOW + (f - s * (f - w * e)))


@njit(**EXACT)
def posterior(joint, counts, largest, shares, inverse, slopes):
    """Turn joint log-densities (K, TILE) into responsibilities, by log-sum-exp.

    Arrays of units are (TILE,), of which the last two are workspace. Returns the tile's counted
    sums of log-likelihoods and of entropies, the latter
    ``log s - sum_k e_k log(e_k) / s`` with e_k relative to the largest and s their sum.
    The unit's log-likelihood is left in two parts, `largest` and `shares`.
    """
    n_classes = joint.shape[0]
    largest[:] = joint[0]
    for k in range(1, n_classes):
        values = joint[k]
        for u in range(TILE):
            largest[u] = values[u] if values[u] > largest[u] else largest[u]
    shares[:] = 0.0
    slopes[:] = 0.0
    for k in range(n_classes):
        _add_class(joint[k], largest, shares, slopes)
    for u in range(TILE):
        inverse[u] = 1.0 / shares[u]
    for k in range(n_classes):
        values = joint[k]
        for u in range(TILE):
            values[u] *= inverse[u]
    return _sums(counts, largest, shares, inverse, slopes)


@njit(**EXACT)
def _add_class(values, largest, shares, slopes):
    """Exponentials of (TILE,) log-densities relative to the largest, added to the shares."""
    for u in range(TILE):
        x = values[u] - largest[u]
        e = exponential(x)
        values[u] = e
        shares[u] += e
        slopes[u] += e * (x if x > _LOG_ZERO else _LOG_ZERO)


@njit(**OPTIONS)
def _sums(counts, largest, shares, inverse, slopes):
    """Counted sums of log-likelihoods and entropies, from what `posterior` has by unit."""
    for u in range(TILE):
        slopes[u] *= inverse[u]
        shares[u] = logarithm(shares[u])
    log_likelihood = entropy = 0.0
    for u in range(TILE):
        log_likelihood += counts[u] * (largest[u] + shares[u])
        entropy += counts[u] * (shares[u] - slopes[u])
    return log_likelihood, entropy
