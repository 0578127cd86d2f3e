"""Coefficients of all classes from their normal equations, in closed form."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from mixcompare.backends.em.prior import StandardPrior
from mixcompare.panel import FloatArray, IntArray


class SingularRegressionError(Exception):
    """The rows of a class do not identify its coefficients."""


def separate(gram: FloatArray, cross: FloatArray) -> FloatArray:
    """Coefficients (K, p, m) where no class depends on another, nor on a covariance.

    All outcomes share the covariates, so that the covariance plays no part.

    Parameters
    ----------
    gram, cross
        (K, p, p) and (K, p, m) weighted cross-products.

    Raises
    ------
    SingularRegressionError
        If a class's coefficients are not identified.
    """
    coefficients = np.empty_like(cross, order="C")
    for k, (g, c) in enumerate(zip(gram, cross, strict=True)):
        coefficients[k] = _solve(g, c)
    return coefficients


def joint(
    gram: FloatArray,
    cross: FloatArray,
    covariance: FloatArray | None,
    n_common: int,
    prior: StandardPrior | None,
) -> FloatArray:
    """Coefficients (K, p, m) with common rows or a prior: one system for all classes.

    Generalised least squares given the covariances, the coefficients' conditional
    maximisation of an ECM step (Meng & Rubin 1993). With a shared covariance and no prior
    it does not depend on them.

    Parameters
    ----------
    covariance
        (K, m, m); None for the pooled fit's residual covariance as it is in standardised
        units, about the identity.
    n_common
        How many of the last rows are the same in all classes.

    Raises
    ------
    SingularRegressionError
        If the coefficients are not identified.
    """
    k, p, m = cross.shape
    place = positions(k, p, m, n_common)
    size = int(place.max()) + 1
    system, right = np.zeros((size, size)), np.zeros(size)
    precision = np.broadcast_to(np.eye(m), (k, m, m))
    if covariance is not None:
        precision = np.linalg.inv(covariance)
    for own, g, c, weight in zip(place, gram, cross, precision, strict=True):
        system[np.ix_(own, own)] += np.kron(g, weight)
        right[own] += (c @ weight).ravel()
        if prior is not None:
            system[np.ix_(own, own)] += prior.precision
            right[own] += prior.shift
    if prior is not None:
        system[np.ix_(place[0], place[0])] += prior.common_precision
        right[place[0]] += prior.common_shift
    return np.asarray(_solve(system, right[:, None])[place, 0].reshape(k, p, m))


def positions(n_components: int, p: int, m: int, n_common: int) -> IntArray:
    """(K, p m) places of every class's coefficients, row by row, in one vector.

    Classes' own rows come first, class by class, then the common rows once.
    """
    own = (p - n_common) * m
    first = np.arange(n_components)[:, None] * own + np.arange(own)
    common = n_components * own + np.arange(n_common * m)
    return np.concatenate([first, np.tile(common, (n_components, 1))], axis=1).astype(np.intp)


def _solve(gram: FloatArray, cross: FloatArray) -> FloatArray:
    # LAPACK itself: scipy's checks take longer than so small a system.
    _, coefficients, info = dposv(gram, cross, lower=1)
    if info > 0:
        raise SingularRegressionError
    return np.ascontiguousarray(coefficients)
