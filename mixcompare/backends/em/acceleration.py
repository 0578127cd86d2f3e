"""SQUAREM: extrapolation of the EM map, guarded by the log-likelihood.

Squared polynomial extrapolation with the third step length of Varadhan & Roland (2008,
eq. 7 and 9): from three successive EM iterates with ``r = theta1 - theta0`` and
``v = (theta2 - theta1) - r``, the proposal is ``theta0 - 2 a r + a^2 v``, ``a = -|r|/|v|``.
Extrapolation happens in coordinates without bounds (log-ratios of weights, coefficients,
covariance roots with log diagonals), so that every proposal is a valid mixture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.covariances import roots
from mixcompare.backends.em.degeneracy import is_regular
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised
from mixcompare.base.arrays import FloatArray


def extrapolate(
    data: Standardised, iterates: Sequence[Parameters], longest: FloatArray
) -> tuple[Parameters, NDArray[np.bool_]]:
    """Propose a mixture beyond three successive iterates, for S starts.

    Parameters
    ----------
    data
        What average class probabilities are taken over.
    iterates
        theta0, theta1, theta2 of plain EM, with an axis of starts in front.
    longest
        (S,) largest step ``-a`` allowed; a step of 1 is theta2 itself.

    Returns
    -------
    proposals
        For those starts that have one.
    proposed
        (S,) which these are: the step is longer than EM's own, the proposal finite and its
        covariances regular.
    """
    start, middle, end = (unbounded(parameters) for parameters in iterates)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = middle - start
        v = (end - middle) - r
        step = np.linalg.norm(r, axis=1) / np.linalg.norm(v, axis=1)
        step = np.minimum(step, longest)[:, None]
        vectors = start + 2 * step * r + step**2 * v
        proposed = (step[:, 0] > 1) & np.isfinite(vectors).all(axis=1)
        proposals = bounded(data.of(proposed), vectors[proposed], iterates[0])
    finite = np.isfinite(proposals.weights).all(axis=1)
    finite &= np.isfinite(proposals.coefficients).all(axis=(1, 2, 3))
    proposals = proposals[finite]
    regular = is_regular(data, proposals.coefficients, proposals.covariance).all(axis=1)
    finite[finite] = regular
    proposed[proposed] = finite
    return proposals[regular], proposed


def unbounded(parameters: Parameters) -> FloatArray:
    """(S, n) log-odds of the classes, coefficients and covariance roots as vectors."""
    lower = roots(parameters.covariance)
    m = lower.shape[-1]
    below = lower[..., *np.tril_indices(m, -1)]
    diagonal = np.log(np.diagonal(lower, axis1=-2, axis2=-1))
    odds = parameters.membership_coefficients
    if odds is None:
        with np.errstate(divide="ignore"):  # an empty class has no logarithm and no proposal
            odds = np.log(parameters.weights / parameters.weights[..., -1:])
    parts = (odds, parameters.coefficients, diagonal, below)
    return np.concatenate([part.reshape(len(lower), -1) for part in parts], axis=1)


def bounded(data: Standardised, vectors: FloatArray, like: Parameters) -> Parameters:
    """The inverse of `unbounded`, for parameters of the shape of `like`."""
    starts, (k, p, m) = len(vectors), like.coefficients.shape[-3:]
    n_odds = k if like.membership_coefficients is None else like.membership_coefficients[0].size
    sizes = np.cumsum([n_odds, k * p * m, k * m])
    odds, coefficients, diagonal, below = np.split(vectors, sizes, axis=1)
    lower = np.zeros((starts, k, m, m))
    lower[..., *np.tril_indices(m, -1)] = below.reshape(starts, k, m * (m - 1) // 2)
    lower[..., range(m), range(m)] = np.exp(diagonal.reshape(starts, k, m))
    b, sigma = coefficients.reshape(starts, k, p, m), lower @ lower.mT
    if like.membership_coefficients is not None:
        odds = odds.reshape(starts, *like.membership_coefficients.shape[1:])
        return Parameters(data.average_weights(odds), b, sigma, odds)
    relative = np.exp(odds - odds.max(axis=1, keepdims=True))
    return Parameters(relative / relative.sum(axis=1, keepdims=True), b, sigma)
