"""EM's arithmetic of the covariance structures; for the rest see `mixcompare.model.covariances`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
from scipy.special import gammaln, multigammaln

from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import Covariance, elements
from mixcompare.model.responses import Response
from mixcompare.prepared.resolved_priors import ResolvedPriors


def basis_of(structure: Response, m: int) -> FloatArray:
    """(q, m, m) matrices whose combinations are the covariances of the structure."""
    free = elements(structure.covariance, m)
    basis = np.zeros((len(free), m, m))
    for matrix, places in zip(basis, free, strict=True):
        for i, j in places:
            matrix[i, j] = 1.0
    return basis


def common_scale(structure: Response, scale: FloatArray) -> FloatArray:
    """(m,) scales of the outcomes, the same where outcomes share a variance."""
    scale = scale.copy()
    for places in elements(structure.covariance, len(scale)):
        shared = [i for i, j in places if i == j]
        if len(shared) > 1:
            scale[shared] = np.sqrt(np.mean(scale[shared] ** 2))
    return scale


class Arithmetic(Protocol):
    """What EM computes of one structure."""

    def structured(self, covariance: FloatArray) -> FloatArray:
        """(..., m, m) that maximise the likelihood, from unrestricted ones of m > 1 outcomes."""

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """What the prior adds to a component's rows and to its scatter (m, m) in the M-step."""

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """(..., K) log-densities of covariances (..., K, m, m)."""


class Full:
    """Any covariance, inverse-Wishart."""

    def structured(self, covariance: FloatArray) -> FloatArray:
        """As they are."""
        return np.ascontiguousarray(covariance)

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """See `Arithmetic`."""
        return nu + len(psi) + 1, psi

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """See `Arithmetic`."""
        m = len(psi)
        constant = 0.5 * nu * (np.linalg.slogdet(psi)[1] - m * np.log(2))
        trace = np.trace(np.linalg.solve(covariance, psi), axis1=-2, axis2=-1)
        kernel = (nu + m + 1) * np.linalg.slogdet(covariance)[1] + trace
        return np.asarray(constant - multigammaln(nu / 2, m) - 0.5 * kernel)


class Diagonal:
    """Variances, inverse-gamma each."""

    def structured(self, covariance: FloatArray) -> FloatArray:
        """Without what is off the diagonal."""
        return np.asarray(covariance * np.eye(covariance.shape[-1]))

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """See `Arithmetic`."""
        return nu + 2, np.diag(np.diag(psi))

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """See `Arithmetic`."""
        variances = np.diagonal(covariance, axis1=-2, axis2=-1)
        return _log_inverse_gamma(nu, np.diag(psi), variances).sum(axis=-1)


class Spherical:
    """One variance, inverse-gamma."""

    def structured(self, covariance: FloatArray) -> FloatArray:
        """The mean of the variances."""
        m = covariance.shape[-1]
        variance = np.trace(covariance, axis1=-2, axis2=-1) / m
        return np.asarray(variance[..., None, None] * np.eye(m))

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """See `Arithmetic`."""
        m = len(psi)
        return (nu + 2) / m, np.trace(psi) / m / m * np.eye(m)

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """See `Arithmetic`."""
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)[..., 0]
        return _log_inverse_gamma(nu, np.trace(psi) / len(psi), variance)


ARITHMETIC: Final[Mapping[Covariance, Arithmetic]] = {
    "spherical": Spherical(),
    "diagonal": Diagonal(),
    "full": Full(),
}
"""EM's arithmetic of every structure that the model declares."""


def structured(structure: Response, covariance: FloatArray) -> FloatArray:
    """(..., m, m) covariances that maximise the likelihood, from unrestricted ones."""
    if covariance.shape[-1] == 1:
        return np.ascontiguousarray(covariance)
    return ARITHMETIC[structure.covariance].structured(covariance)


def roots(covariance: FloatArray) -> FloatArray:
    """(..., m, m) lower triangular factors; NaN for all if one has none up to rounding.

    No iterate is such (`degeneracy`), but parameters that come from elsewhere may be.
    """
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return np.full(covariance.shape, np.nan)


def pseudo_rows(structure: Response, raw: ResolvedPriors) -> tuple[float, FloatArray]:
    """What the prior adds to a component's rows and to its scatter (m, m) in the M-step."""
    return ARITHMETIC[structure.covariance].pseudo_rows(raw.covariance_df, raw.covariance_scale)


def log_covariance_prior(
    structure: Response, raw: ResolvedPriors, covariance: FloatArray
) -> FloatArray:
    """(..., K) of covariances (..., K, m, m)."""
    nu, psi = raw.covariance_df, raw.covariance_scale
    return ARITHMETIC[structure.covariance].log_prior(nu, psi, covariance)


def _log_inverse_gamma(nu: float, scale: FloatArray | float, value: FloatArray) -> FloatArray:
    a, b = nu / 2, np.asarray(scale) / 2
    return np.asarray(a * np.log(b) - gammaln(a) - (a + 1) * np.log(value) - b / value)
