"""EM's arithmetic of the covariance structures; for the rest see `mixcompare.model.covariances`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import gammaln, multigammaln

from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import Covariance, elements
from mixcompare.model.responses import CovarianceBy
from mixcompare.prepared.resolved_priors import ResolvedPriors


class CovarianceSpec(Protocol):
    """A covariance structure, and whether classes share a covariance; specifications have both."""

    @property
    def covariance(self) -> Covariance:
        """``"full"``, ``"diagonal"`` or ``"spherical"``."""

    @property
    def covariance_by(self) -> CovarianceBy:
        """``"component"`` or ``"shared"``."""


def basis_of(structure: CovarianceSpec, m: int) -> FloatArray:
    """(q, m, m) matrices whose combinations are the covariances of the structure."""
    free = elements(structure.covariance, m)
    basis = np.zeros((len(free), m, m))
    for matrix, places in zip(basis, free, strict=True):
        for i, j in places:
            matrix[i, j] = 1.0
    return basis


def common_scale(structure: CovarianceSpec, scale: FloatArray) -> FloatArray:
    """(m,) scales of the outcomes, the same where outcomes share a variance."""
    scale = scale.copy()
    for places in elements(structure.covariance, len(scale)):
        shared = [i for i, j in places if i == j]
        if len(shared) > 1:
            scale[shared] = np.sqrt(np.mean(scale[shared] ** 2))
    return scale


def structured(structure: CovarianceSpec, covariance: FloatArray) -> FloatArray:
    """(..., m, m) covariances that maximise the likelihood, from unrestricted ones."""
    m = covariance.shape[-1]
    if m == 1 or structure.covariance == "full":
        return np.ascontiguousarray(covariance)
    if structure.covariance == "diagonal":
        return np.asarray(covariance * np.eye(m))
    variance = np.trace(covariance, axis1=-2, axis2=-1) / m
    return np.asarray(variance[..., None, None] * np.eye(m))


def roots(covariance: FloatArray) -> FloatArray:
    """(..., m, m) lower triangular factors; NaN for all if one has none up to rounding.

    No iterate is such (`degeneracy`), but parameters that come from elsewhere may be.
    """
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return np.full(covariance.shape, np.nan)


def pseudo_rows(structure: CovarianceSpec, raw: ResolvedPriors) -> tuple[float, FloatArray]:
    """What the prior adds to a component's rows and to its scatter (m, m) in the M-step."""
    degrees, scale = raw.covariance_df, raw.covariance_scale
    m = len(scale)
    if structure.covariance == "full":
        return degrees + m + 1, scale
    if structure.covariance == "diagonal":
        return degrees + 2, np.diag(np.diag(scale))
    return (degrees + 2) / m, np.trace(scale) / m / m * np.eye(m)


def log_covariance_prior(
    structure: CovarianceSpec, raw: ResolvedPriors, covariance: FloatArray
) -> FloatArray:
    """(..., K) of covariances (..., K, m, m)."""
    nu, psi = raw.covariance_df, raw.covariance_scale
    m = len(psi)
    if structure.covariance == "full":
        constant = 0.5 * nu * (np.linalg.slogdet(psi)[1] - m * np.log(2))
        trace = np.trace(np.linalg.solve(covariance, psi), axis1=-2, axis2=-1)
        kernel = (nu + m + 1) * np.linalg.slogdet(covariance)[1] + trace
        return np.asarray(constant - multigammaln(nu / 2, m) - 0.5 * kernel)
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    if structure.covariance == "diagonal":
        return _log_inverse_gamma(nu, np.diag(psi), variances).sum(axis=-1)
    return _log_inverse_gamma(nu, np.trace(psi) / m, variances[..., 0])


def _log_inverse_gamma(nu: float, scale: FloatArray | float, value: FloatArray) -> FloatArray:
    a, b = nu / 2, np.asarray(scale) / 2
    return np.asarray(a * np.log(b) - gammaln(a) - (a + 1) * np.log(value) - b / value)
