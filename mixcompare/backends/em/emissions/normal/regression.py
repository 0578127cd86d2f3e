"""Coefficients of all classes from their normal equations, in closed form."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from mixcompare.backends.em.emissions.normal.prior import NormalPrior
from mixcompare.base.arrays import FloatArray, IntArray

# Share of a column that the columns before it leave, of which rounding leaves some digits.
_UNIDENTIFIED = 1e-14


def separate(gram: FloatArray, cross: FloatArray) -> FloatArray:
    """Coefficients (..., K, p, m) where no class depends on another, nor on a covariance.

    From weighted cross-products (..., K, p, p) and (..., K, p, m). All outcomes share the
    covariates, so that the covariance plays no part. NaN where a class's are not identified.
    """
    coefficients = np.empty_like(cross, order="C")
    p, m = cross.shape[-2:]
    each, grams = coefficients.reshape(-1, p, m), gram.reshape(-1, p, p)
    left = np.empty(grams.shape[:2])
    for i, (g, c) in enumerate(zip(grams, cross.reshape(-1, p, m), strict=True)):
        # LAPACK itself: scipy's checks take longer than so small a system.
        factor, solution, info = dposv(g, c, lower=1)
        each[i] = solution if info == 0 else np.nan
        left[i] = factor.diagonal()
    if p > 1:
        known = left**2 > _UNIDENTIFIED * np.diagonal(grams, axis1=1, axis2=2)
        each[~known.all(axis=1)] = np.nan
    return coefficients


def joint(
    gram: FloatArray,
    cross: FloatArray,
    covariance: FloatArray | None,
    n_common: int,
    prior: NormalPrior | None,
) -> FloatArray:
    """Coefficients (..., K, p, m) with common rows or a prior: one system for all classes.

    Generalised least squares given the covariances, the coefficients' conditional
    maximisation of an ECM step (Meng & Rubin 1993). With a shared covariance and no prior
    it does not depend on them.

    Covariances are (..., K, m, m), or None for the pooled fit's residual covariance as it is in
    standardised units, about the identity. The last `n_common` rows are the same in all classes.

    NaN where the coefficients are not identified: in the classes that are to blame, if it is not
    the common ones.
    """
    *starts, k, p, m = cross.shape
    place = positions(k, p, m, n_common)
    size = int(place.max()) + 1
    system, right = np.zeros((*starts, size, size)), np.zeros((*starts, size))
    precision = np.broadcast_to(np.eye(m), (*starts, k, m, m))
    if covariance is not None:
        precision = np.linalg.inv(covariance)
    normal = np.einsum("...ab,...ij->...aibj", gram, precision).reshape(*starts, k, p * m, p * m)
    shift = (cross @ precision).reshape(*starts, k, p * m)
    if prior is not None:
        normal, shift = normal + prior.precision, shift + prior.shift
    for c, at in enumerate(place):
        system[..., at[:, None], at] += normal[..., c, :, :]
        right[..., at] += shift[..., c, :]
    if prior is not None:
        system[..., place[0][:, None], place[0]] += prior.common_precision
        right[..., place[0]] += prior.common_shift
    solved = separate(system, right[..., None])[..., 0]
    coefficients = np.asarray(solved[..., place].reshape(cross.shape))
    if np.isnan(solved).any():
        _blame(coefficients, gram, cross, p - n_common)
    return coefficients


def _blame(coefficients: FloatArray, gram: FloatArray, cross: FloatArray, p: int) -> None:
    """Leave NaN only in classes whose rows do not identify their own coefficients, if any."""
    if not p:
        return
    alone = separate(gram[..., :p, :p], cross[..., :p, :])
    culprit = np.isnan(alone).any(axis=(-2, -1))
    coefficients[culprit.any(axis=-1, keepdims=True) & ~culprit] = 0.0


def positions(n_components: int, p: int, m: int, n_common: int) -> IntArray:
    """(K, p m) places of every class's coefficients, row by row, in one vector.

    Classes' own rows come first, class by class, then the common rows once.
    """
    varying = (p - n_common) * m
    first = np.arange(n_components)[:, None] * varying + np.arange(varying)
    common = n_components * varying + np.arange(n_common * m)
    return np.concatenate([first, np.tile(common, (n_components, 1))], axis=1).astype(np.intp)
