"""The log posterior density in the sampler's coordinates and its gradient, compiled.

This is the density of `mixcompare.backends.pymc.model`, transforms included, written by hand:
from free variables to the likelihood's maps, one pass over the units, and the chain rule
back. Sizes are read at run time, so that one program serves every model.
"""

from __future__ import annotations

import numba
import numpy as np

from mixcompare.backends.pymc.density.block import free_variables, read_constants, read_sizes
from mixcompare.backends.pymc.density.likelihood_kernels import INNER, log_likelihood
from mixcompare.base.kernel_cache import njit


@njit(**INNER)
def _standard_normal(offset, spread, v, standard, gradient):
    """Log density, less constants, of v (d,) such that offset + spread v is standard normal.

    That is written to `standard` (d,), and the slopes are added to `gradient` (d,).
    """
    total = 0.0
    for i in range(offset.size):
        value = offset[i]
        for j in range(v.size):
            value += spread[i, j] * v[j]
        standard[i] = value
        total -= 0.5 * value * value
    _subtract(spread, standard, gradient)
    return total


@njit(**INNER)
def _subtract(spread, standard, gradient):
    """Subtract ``spread' standard`` of (d, n) and (d,) from a gradient (n,)."""
    for i in range(standard.size):
        for j in range(gradient.size):
            gradient[j] -= spread[i, j] * standard[i]


@njit(**INNER)
def _weights(free, concentration, log_weights):
    """Log weights (K,) of coordinates (K - 1,), whose last is minus their sum; the log density."""
    last = log_weights.size - 1
    for j in range(last):
        log_weights[j] = free[j]
        log_weights[last] -= free[j]
    top, total, result = log_weights[0], 0.0, 0.0
    for j in range(last):
        top = max(top, log_weights[j + 1])
    for j in range(log_weights.size):
        total += np.exp(log_weights[j] - top)
    for j in range(log_weights.size):
        log_weights[j] -= top + np.log(total)
        result += concentration[j] * log_weights[j]
    return result


@njit(**INNER)
def _weights_pullback(log_weights, concentration, counts, gradient):
    """Add to the gradient (K - 1,) what units expected by class (K,) and the prior give."""
    last, total = log_weights.size - 1, 0.0
    for j in range(log_weights.size):
        counts[j] += concentration[j]
        total += counts[j]
    for j in range(log_weights.size):
        counts[j] -= np.exp(log_weights[j]) * total
    for j in range(last):
        gradient[j] += counts[j] - counts[last]


@njit(**INNER)
def _membership(free, constants, scores, gradient):
    """Maps (K, c) of unit covariates to logits, of contrasts (K - 1, c), and their log density."""
    n_contrasts, c = free.shape
    zero, standard = np.zeros(c), np.empty(c)
    result = 0.0
    for j in range(n_contrasts):
        spread = constants.membership_spread
        result += _standard_normal(zero, spread, free[j], standard, gradient[j])
        for a in range(n_contrasts + 1):
            for i in range(c):
                scores[a, i] += constants.contrasts[j, a] * free[j, i]
    return result


@njit(**INNER)
def _membership_pullback(contrasts, score_slopes, gradient):
    """Add to the gradient (K - 1, c) what the slopes (K, c) of the logits' maps give."""
    for j in range(contrasts.shape[0]):
        for a in range(contrasts.shape[1]):
            for i in range(gradient.shape[1]):
                gradient[j, i] += contrasts[j, a] * score_slopes[a, i]


@njit(**INNER)
def _deviations(free, constants, deviations, gradient):
    """Deviations (K, p m) of the coefficients, and their log density."""
    n_varying, n_shared = constants.offset.size, free.common.size
    standard, shift, common_standard = np.empty(n_varying), np.empty(n_varying), np.empty(n_shared)
    offset, spread = constants.common_offset, constants.common_spread
    result = _standard_normal(offset, spread, free.common, common_standard, gradient.common)
    for i in range(n_varying):
        shift[i] = constants.offset[i]
        for j in range(n_shared):
            shift[i] += constants.common_share[i, j] * free.common[j]
    for a in range(free.varying.shape[0]):
        varying = free.varying[a]
        for i in range(n_varying):
            deviations[a, i] = varying[i]
        for i in range(n_shared):
            deviations[a, n_varying + i] = free.common[i]
        result += _standard_normal(shift, constants.spread, varying, standard, gradient.varying[a])
        _subtract(constants.common_share, standard, gradient.common)
    return result


@njit(**INNER)
def _whiteners(free, constants, m, roots, whiteners, log_determinants):
    """Whiteners (C, m m) and log determinants (C,), and the log density of what makes them.

    That is the logarithms of squares (C, c), whose roots are written to `roots`, and elements
    below the diagonal (C, n_below).
    """
    squares, below = free.squares, free.below
    n_squares = squares.shape[1]
    result = 0.0
    for b in range(squares.shape[0]):
        log_determinants[b] = constants.log_determinant_constant
        for i in range(n_squares):
            roots[b, i] = np.exp(0.5 * squares[b, i])
            result += 0.5 * (constants.squares_df[i] * squares[b, i] - roots[b, i] ** 2)
            log_determinants[b] -= (m // n_squares) * squares[b, i]
            for j in range(whiteners.shape[1]):
                whiteners[b, j] += roots[b, i] * constants.squares_map[i, j]
        for i in range(below.shape[1]):
            result -= 0.5 * below[b, i] ** 2
            for j in range(whiteners.shape[1]):
                whiteners[b, j] += below[b, i] * constants.below_map[i, j]
    return result


@njit(**INNER)
def _whiteners_pullback(below, constants, m, roots, slopes, rows, gradient):
    """Write the gradient of squares and of elements below (C, n_below).

    From the slopes (C, m m) of the whiteners and the rows (C,) expected by covariance.
    """
    n_squares = roots.shape[1]
    for b in range(roots.shape[0]):
        for i in range(n_squares):
            slope = constants.squares_df[i] / roots[b, i] - roots[b, i]
            for j in range(slopes.shape[1]):
                slope += constants.squares_map[i, j] * slopes[b, j]
            gradient.squares[b, i] = 0.5 * (roots[b, i] * slope + (m // n_squares) * rows[b])
        for i in range(below.shape[1]):
            slope = -below[b, i]
            for j in range(slopes.shape[1]):
                slope += constants.below_map[i, j] * slopes[b, j]
            gradient.below[b, i] = slope


@njit(**INNER)
def _maps(deviations, whiteners, full, maps):
    """Maps (K, m, q) of the rows to whitened residuals, outcomes from last to first.

    From deviations (K, p m) and whiteners (C, m m), of each class or of all.
    """
    k, m, q = maps.shape
    p = q - m
    for a in range(k):
        whitener = whiteners[a % whiteners.shape[0]]
        for i in range(m):
            for j in range(i, m if full else i + 1):
                maps[a, i, q - 1 - j] = whitener[j * m + i]
                for s in range(p):
                    maps[a, i, s] -= deviations[a, s * m + j] * whitener[j * m + i]


@njit(**INNER)
def _maps_pullback(deviations, whiteners, full, slopes, gradient, whitener_slopes):
    """Subtract from the gradients of the deviations what slopes (K, m, q) of the maps give.

    The slopes of the whiteners (C, m m) are added to.
    """
    k, m, q = slopes.shape
    p, n_varying = q - m, gradient.varying.shape[1]
    for a in range(k):
        b = a % whiteners.shape[0]
        for i in range(m):
            for j in range(i, m if full else i + 1):
                slope = slopes[a, i, q - 1 - j]
                for s in range(p):
                    slope -= deviations[a, s * m + j] * slopes[a, i, s]
                    part = slopes[a, i, s] * whiteners[b, j * m + i]
                    if s * m + j < n_varying:
                        gradient.varying[a, s * m + j] -= part
                    else:
                        gradient.common[s * m + j - n_varying] -= part
                whitener_slopes[b, j * m + i] += slope


@njit(**INNER, inline="always")
def _log_density(x, gradient, block):
    """Log density at a point (D,), whose gradient (D,) is written."""
    s = read_sizes(block)
    constants = read_constants(block, s)
    k, m, c, full = s.n_components, s.n_outcomes, s.n_concomitants, s.full > 0
    n_covariances = s.n_covariances
    gradient[:] = 0.0
    free, back = free_variables(x, s), free_variables(gradient, s)

    result = constants.log_constant
    log_weights, scores = np.zeros(k), np.zeros((k, c))
    if c:
        result += _membership(free.classes, constants, scores, back.classes)
    else:
        result += _weights(free.classes[0], constants.concentration, log_weights)
    deviations = np.empty((k, (s.n_varying + s.n_common) * m))
    result += _deviations(free, constants, deviations, back)
    roots, log_determinants = np.empty((n_covariances, s.n_squares)), np.empty(n_covariances)
    whiteners = np.zeros((n_covariances, m * m))
    result += _whiteners(free, constants, m, roots, whiteners, log_determinants)
    maps = np.zeros((k, m, s.n_varying + s.n_common + m))
    _maps(deviations, whiteners, full, maps)

    slopes, score_slopes = np.zeros(maps.shape), np.zeros((k, c))
    counts, rows = np.zeros(k), np.zeros(n_covariances)
    tiles, first, gradients = constants.tiles, constants.first, (slopes, score_slopes, counts, rows)
    result += log_likelihood(
        tiles, first, full, log_weights, scores, maps, log_determinants, gradients
    )

    if c:
        _membership_pullback(constants.contrasts, score_slopes, back.classes)
    else:
        _weights_pullback(log_weights, constants.concentration, counts, back.classes[0])
    whitener_slopes = np.zeros(whiteners.shape)
    _maps_pullback(deviations, whiteners, full, slopes, back, whitener_slopes)
    _whiteners_pullback(free.below, constants, m, roots, whitener_slopes, rows, back)
    return result


@njit(cache=True, error_model="numpy", nogil=True)
def log_densities(points, block, values, gradients):
    """Log densities at points, with their gradients.

    Parameters
    ----------
    points
        (n, D) unconstrained values of the model's free variables.
    block
        See `mixcompare.backends.pymc.density.packing.pack`.
    values, gradients
        (n,) and (n, D), to be filled.
    """
    for i in range(points.shape[0]):
        values[i] = _log_density(points[i], gradients[i], block)


def log_density(n, point, gradient, value, numbers):
    """Log density at a point, with its gradient, as nutpie calls it.

    Parameters
    ----------
    point, gradient, value
        Addresses of the n unconstrained values of the model's free variables, and of the n
        numbers and the one number that are written.
    numbers
        Address of a block, see `mixcompare.backends.pymc.density.packing.pack`.

    Returns
    -------
    Zero, or another number where the density or its gradient is not finite.
    """
    x, slopes = numba.carray(point, (n,)), numba.carray(gradient, (n,))
    size = int(numba.carray(numbers, (1,), np.float64)[0])
    block = numba.carray(numbers, (size,), np.float64)
    result = _log_density(x, slopes, block)
    numba.carray(value, (1,))[0] = result
    total = result
    for i in range(n):
        total += slopes[i]
    return 0 if np.isfinite(total) else 3


def copy_point(n, n_out, point, out, numbers):  # noqa: ARG001 (nutpie's signature)
    """Write what nutpie stores of a point: the point itself."""
    at, kept = numba.carray(point, (n,)), numba.carray(out, (n_out,))
    for i in range(n):
        kept[i] = at[i]
    return 0


def standard_normal(n, point, gradient, value, numbers):  # noqa: ARG001 (nutpie's signature)
    """Log density of independent normal variables, less constants, as `log_density` has it."""
    x, slopes = numba.carray(point, (n,)), numba.carray(gradient, (n,))
    total = 0.0
    for i in range(n):
        slopes[i] = -x[i]
        total -= 0.5 * x[i] * x[i]
    numba.carray(value, (1,))[0] = total
    return 0
