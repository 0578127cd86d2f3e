"""EM's arithmetic of the covariance structures; for the rest see `mixcompare.model.covariances`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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


class Full:
    """Any covariance; its prior is inverse-Wishart, with nu degrees of freedom and psi (m, m)."""

    def structured(self, covariance: FloatArray) -> FloatArray:
        """(..., m, m) that maximise the likelihood, from unrestricted ones of m > 1 outcomes."""
        return np.ascontiguousarray(covariance)

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """What the prior adds to a component's rows and to its scatter (m, m) in the M-step."""
        return nu + len(psi) + 1, psi

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """(..., K) log-densities of covariances (..., K, m, m)."""
        m = len(psi)
        constant = 0.5 * nu * (np.linalg.slogdet(psi)[1] - m * np.log(2))
        trace = np.trace(np.linalg.solve(covariance, psi), axis1=-2, axis2=-1)
        kernel = (nu + m + 1) * np.linalg.slogdet(covariance)[1] + trace
        return np.asarray(constant - multigammaln(nu / 2, m) - 0.5 * kernel)


@dataclass(frozen=True, slots=True)
class Variances:
    """A variance of each outcome, or one in common, inverse-gamma each; for methods see `Full`."""

    common: bool

    def structured(self, covariance: FloatArray) -> FloatArray:
        """Without what is off the diagonal, or the mean of the variances."""
        m = covariance.shape[-1]
        if self.common:
            covariance = (np.trace(covariance, axis1=-2, axis2=-1) / m)[..., None, None]
        return np.asarray(covariance * np.eye(m))

    def pseudo_rows(self, nu: float, psi: FloatArray) -> tuple[float, FloatArray]:
        """Those of a variance are shared by the outcomes that have it."""
        outcomes = len(psi) if self.common else 1
        return (nu + 2) / outcomes, self.structured(psi) / outcomes

    def log_prior(self, nu: float, psi: FloatArray, covariance: FloatArray) -> FloatArray:
        """Of each distinct variance."""
        distinct = slice(1 if self.common else None)
        variances = np.diagonal(covariance, axis1=-2, axis2=-1)[..., distinct]
        a, b = nu / 2, np.diag(self.structured(psi))[distinct] / 2
        density = a * np.log(b) - gammaln(a) - (a + 1) * np.log(variances) - b / variances
        return np.asarray(density.sum(axis=-1))


ARITHMETIC: Final[Mapping[Covariance, Full | Variances]] = {
    "spherical": Variances(common=True),
    "diagonal": Variances(common=False),
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
