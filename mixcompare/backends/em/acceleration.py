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

from mixcompare.backends.em.standardise import Parameters, Standardised
from mixcompare.panel import FloatArray


def extrapolate(
    data: Standardised, iterates: Sequence[Parameters], longest: float
) -> Parameters | None:
    """Propose a mixture beyond three successive iterates.

    Parameters
    ----------
    data
        What average class probabilities are taken over.
    iterates
        theta0, theta1, theta2 of plain EM.
    longest
        Largest step ``-a`` allowed; a step of 1 is theta2 itself.

    Returns
    -------
    None if the step is not longer than EM's own or the proposal is not finite.
    """
    start, middle, end = (unbounded(parameters) for parameters in iterates)
    r = middle - start
    v = (end - middle) - r
    curvature = float(np.linalg.norm(v))
    step = min(float(np.linalg.norm(r)) / curvature, longest) if curvature > 0 else 0.0
    if not step > 1:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        proposed = bounded(data, start + 2 * step * r + step**2 * v, iterates[0])
        finite = all(
            np.all(np.isfinite(array))
            for array in (proposed.weights, proposed.coefficients, proposed.covariance)
        )
    return proposed if finite else None


def unbounded(parameters: Parameters) -> FloatArray:
    """Log-odds of the classes, coefficients and covariance roots as one vector."""
    roots = np.linalg.cholesky(parameters.covariance)
    m = roots.shape[-1]
    below = roots[:, *np.tril_indices(m, -1)]
    diagonal = np.log(np.diagonal(roots, axis1=1, axis2=2))
    odds = parameters.membership_coefficients
    if odds is None:
        with np.errstate(divide="ignore"):  # an empty class has no logarithm and no proposal
            odds = np.log(parameters.weights / parameters.weights[-1])
    parts = (odds, parameters.coefficients, diagonal, below)
    return np.concatenate([part.ravel() for part in parts])


def bounded(data: Standardised, vector: FloatArray, like: Parameters) -> Parameters:
    """The inverse of `unbounded`, for parameters of the shape of `like`."""
    k, p, m = like.coefficients.shape
    n_odds = k if like.membership_coefficients is None else like.membership_coefficients.size
    sizes = np.cumsum([n_odds, k * p * m, k * m])
    odds, coefficients, diagonal, below = np.split(vector, sizes)
    roots = np.zeros((k, m, m))
    roots[:, *np.tril_indices(m, -1)] = below.reshape(k, -1)
    roots[:, range(m), range(m)] = np.exp(diagonal.reshape(k, m))
    b, sigma = coefficients.reshape(k, p, m), roots @ roots.mT
    if like.membership_coefficients is not None:
        odds = odds.reshape(k, -1)
        return Parameters(data.average_weights(odds), b, sigma, odds)
    relative = np.exp(odds - odds.max())
    return Parameters(relative / relative.sum(), b, sigma)
