"""When a covariance is singular as far as rounding and the data's resolution can tell.

Rounding leaves an error of about ``eps sqrt(S_ii S_jj)`` in every element of a cross-product S,
so that what counts is the smallest eigenvalue of its correlations, whatever the outcomes' units
and however small the class (Demmel 1989; Higham 2002, theorem 10.7). The residuals themselves
are known to `Standardised.noise_floor`, which is taken off the variances first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray

# Smallest eigenvalue of the correlations, per outcome, that rounding leaves some digits of.
_SINGULAR = 1e3 * float(np.finfo(float).eps)
# How far above its typical size an error may be.
_SPARE = 10.0
# A variance, in standardised units and relative to the largest, that rounding is far from.
_COMFORTABLE = 1e-8


def is_regular(data: Standardised, theta: Blocks) -> NDArray[np.bool_]:
    """(..., K) whether rounding can tell the covariances (..., K, m, m) from singular ones."""
    covariance = theta["covariance"]
    if _is_comfortable(covariance, data.pooled_noise):
        return np.ones(covariance.shape[:-2], dtype=bool)
    m = covariance.shape[-1]
    return smallest_left(data, theta) > (m * _SINGULAR if m > 1 else 0.0)


def smallest_left(data: Standardised, theta: Blocks) -> FloatArray:
    """(..., K) smallest eigenvalues of the correlations, the residuals' rounding taken off.

    Negative where a variance is no more than rounding, or something is not finite.
    """
    covariance, m = theta["covariance"], theta["covariance"].shape[-1]
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    above = variances - data.noise_floor(theta["coefficients"])
    known = np.isfinite(covariance).all(axis=(-1, -2)) & (above > 0).all(axis=-1)
    if m == 1:
        return np.where(known, 1.0, -1.0)
    size = np.sqrt(np.where(known[..., None], variances, 1.0))
    correlation = np.where(known[..., None, None], covariance, np.eye(m))
    correlation = correlation / (size[..., :, None] * size[..., None, :])
    correlation[..., range(m), range(m)] = np.where(known[..., None], above / size**2, 1.0)
    return np.where(known, np.linalg.eigvalsh(correlation)[..., 0], -1.0)


def rounding(data: Standardised, theta: Blocks) -> FloatArray:
    """(...,) error of a log-likelihood that the worst conditioned of (..., K, m, m) causes.

    Relative to the number of rows: what rounding does to a distance, and to an M-step's
    variance, whose error counts squared since the log-likelihood is highest without it.
    """
    eps = np.finfo(float).eps
    left = np.maximum(smallest_left(data, theta).min(axis=-1), eps)
    return np.asarray(_SPARE * (eps / np.sqrt(left) + (eps / left) ** 2))


def why_singular(data: Standardised, theta: Blocks) -> str:
    """The first component that is not regular, of (K, p, m) and (K, m, m), and why."""
    left = smallest_left(data, theta)
    k = int(left.argmin())
    if left[k] > -1:
        return (
            f"the covariance of component {k + 1} has collapsed: the smallest eigenvalue of its "
            f"correlations has fallen to {left[k]:.1e}, which is rounding"
        )
    smallest = np.diag(theta["covariance"][k]).min()
    return f"the variance of component {k + 1} has collapsed to {smallest:.1e} of the pooled fit's"


def _is_comfortable(covariance: FloatArray, noise: float) -> bool:
    """Whether all eigenvalues are far above rounding, at a tenth of the eigenvalues' cost."""
    m = covariance.shape[-1]
    least = max(_COMFORTABLE, 2 * noise)
    if m == 1:
        return bool(covariance.min(initial=np.inf) > least)
    least *= max(1.0, float(covariance.max(initial=0.0)))
    try:
        np.linalg.cholesky(covariance - least * np.eye(m))
    except np.linalg.LinAlgError:
        return False
    return True
