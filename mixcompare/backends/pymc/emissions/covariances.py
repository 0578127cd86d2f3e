"""PyMC's arithmetic of the structures that `mixcompare.model.covariances` declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from scipy.special import gammaln

from mixcompare.backends.pymc.emissions.bartlett import BartlettPrior, inverse_factor
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import Covariance


class Arithmetic(Protocol):
    """What PyMC computes of one structure of m outcomes, see `bartlett`."""

    def n_squares(self, m: int) -> int:
        """Chi-squared variables of one covariance: 1 or m."""

    def n_below(self, m: int) -> int:
        """Normal variables of one covariance: none, or all below the diagonal."""

    def outcome_scale(self, residual: FloatArray, total: float) -> FloatArray:
        """(m, m) lower triangular scale of residuals (N, m) that keeps the structure."""

    def prior(self, nu: float, psi: FloatArray) -> BartlettPrior:
        """Constants of the prior, psi (m, m) in the coordinates of the covariance."""

    def log_prior(self, nu: float, psi: FloatArray, squares: FloatArray, below: Any) -> FloatArray:
        """(S, C) log-densities of C covariances in S draws.

        From squares (S, C, c) and, where there are any, elements below (S, C, n_below).
        """


class Full:
    """Inverse-Wishart."""

    def n_squares(self, m: int) -> int:
        """See `Arithmetic`."""
        return m

    def n_below(self, m: int) -> int:
        """See `Arithmetic`."""
        return m * (m - 1) // 2

    def outcome_scale(self, residual: FloatArray, total: float) -> FloatArray:
        """The Cholesky factor of the residuals' covariance."""
        sd = np.linalg.norm(residual, axis=0) / np.sqrt(total)
        if len(sd) == 1:
            return np.diag(sd)
        triangle = np.linalg.qr(residual / sd, mode="r")
        return np.asarray((triangle * sd).T / np.sqrt(total))

    def prior(self, nu: float, psi: FloatArray) -> BartlettPrior:
        """See `Arithmetic`."""
        degrees = nu - np.arange(len(psi), dtype=np.float64)
        return BartlettPrior(inverse_factor(psi), degrees, self.n_below(len(psi)))

    def log_prior(self, nu: float, psi: FloatArray, squares: FloatArray, below: Any) -> FloatArray:
        """``tr(Psi Sigma^-1)`` is the squared length of A."""
        m = len(psi)
        below = np.zeros((*squares.shape[:-1], 0)) if below is None else below
        _, log_scale = np.linalg.slogdet(psi)
        trace = squares.sum(axis=-1) + (below**2).sum(axis=-1)
        log_determinant = log_scale - np.log(squares).sum(axis=-1)
        steps = gammaln((nu - np.arange(m)) / 2).sum() + m * (m - 1) / 4 * np.log(np.pi)
        constant = nu / 2 * (log_scale - m * np.log(2)) - steps
        return np.asarray(constant - 0.5 * ((nu + m + 1) * log_determinant + trace))


class Diagonal:
    """Inverse-gamma densities of the variances."""

    def n_squares(self, m: int) -> int:
        """See `Arithmetic`."""
        return m

    def n_below(self, _m: int) -> int:
        """None."""
        return 0

    def outcome_scale(self, residual: FloatArray, total: float) -> FloatArray:
        """Standard deviations."""
        return np.diag(np.linalg.norm(residual, axis=0) / np.sqrt(total))

    def prior(self, nu: float, psi: FloatArray) -> BartlettPrior:
        """See `Arithmetic`."""
        factor = np.diag(1 / np.sqrt(np.diag(psi)))
        return BartlettPrior(factor, np.full(len(psi), nu), 0)

    def log_prior(self, nu: float, psi: FloatArray, squares: FloatArray, _: Any) -> FloatArray:
        """See `Arithmetic`."""
        return _log_inverse_gamma(nu, np.diag(psi), squares)


class Spherical:
    """Inverse-gamma density of the one variance."""

    def n_squares(self, _m: int) -> int:
        """One."""
        return 1

    def n_below(self, _m: int) -> int:
        """None."""
        return 0

    def outcome_scale(self, residual: FloatArray, total: float) -> FloatArray:
        """One standard deviation for all outcomes."""
        sd = np.linalg.norm(residual, axis=0) / np.sqrt(total)
        return np.asarray(np.sqrt(np.mean(sd**2)) * np.eye(len(sd)))

    def prior(self, nu: float, psi: FloatArray) -> BartlettPrior:
        """See `Arithmetic`."""
        mean = np.trace(psi) / len(psi)
        return BartlettPrior(np.eye(len(psi)) / np.sqrt(mean), np.array([nu]), 0)

    def log_prior(self, nu: float, psi: FloatArray, squares: FloatArray, _: Any) -> FloatArray:
        """See `Arithmetic`."""
        return _log_inverse_gamma(nu, np.diag(psi).mean(keepdims=True), squares)


ARITHMETIC: Final[Mapping[Covariance, Arithmetic]] = {
    "spherical": Spherical(),
    "diagonal": Diagonal(),
    "full": Full(),
}
"""PyMC's arithmetic of every structure that the model declares."""


def log_covariance_prior(
    covariance: Covariance, nu: float, psi: FloatArray, variables: Mapping[str, FloatArray]
) -> FloatArray:
    """(S,) inverse-Wishart or inverse-gammas of S draws of the model's variables."""
    squares, below = variables["precision_squares"], variables.get("precision_below")
    return np.asarray(ARITHMETIC[covariance].log_prior(nu, psi, squares, below).sum(axis=-1))


def _log_inverse_gamma(nu: float, scale: FloatArray, squares: FloatArray) -> FloatArray:
    variance = scale / squares
    constant = nu / 2 * np.log(scale / 2) - gammaln(nu / 2)
    return np.asarray((constant - (nu / 2 + 1) * np.log(variance) - squares / 2).sum(axis=-1))
