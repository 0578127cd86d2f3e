"""PyMC's arithmetic of the structures that `mixcompare.model.covariances` declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import gammaln

from mixcompare.backends.pymc.emissions.bartlett import BartlettPrior, inverse_factor
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import Covariance


def n_squares(covariance: Covariance, m: int) -> int:
    """Chi-squared variables of one covariance of m outcomes."""
    return 1 if covariance == "spherical" else m


def n_below(covariance: Covariance, m: int) -> int:
    """Normal variables of one covariance of m outcomes."""
    return m * (m - 1) // 2 if covariance == "full" else 0


def outcome_scale(residual: FloatArray, total: float, covariance: Covariance) -> FloatArray:
    """(m, m) lower triangular scale of residuals (N, m) that keeps the structure."""
    sd = np.linalg.norm(residual, axis=0) / np.sqrt(total)
    if covariance == "spherical":
        return np.asarray(np.sqrt(np.mean(sd**2)) * np.eye(len(sd)))
    if covariance == "diagonal" or len(sd) == 1:
        return np.diag(sd)
    triangle = np.linalg.qr(residual / sd, mode="r")
    return np.asarray((triangle * sd).T / np.sqrt(total))


def bartlett_prior(
    covariance: Covariance, degrees_of_freedom: float, scale: FloatArray
) -> BartlettPrior:
    """Constants for a covariance structure.

    Parameters
    ----------
    covariance
        ``"full"``, ``"diagonal"`` or ``"spherical"``.
    degrees_of_freedom, scale
        nu and the (m, m) matrix Psi, in the coordinates of the covariance.
    """
    m = len(scale)
    if covariance == "spherical":
        mean = np.trace(scale) / m
        return BartlettPrior(np.eye(m) / np.sqrt(mean), np.array([degrees_of_freedom]), 0)
    if covariance == "diagonal":
        factor = np.diag(1 / np.sqrt(np.diag(scale)))
        return BartlettPrior(factor, np.full(m, degrees_of_freedom), 0)
    degrees = degrees_of_freedom - np.arange(m, dtype=np.float64)
    return BartlettPrior(inverse_factor(scale), degrees, n_below(covariance, m))


def log_covariance_prior(
    covariance: Covariance, nu: float, psi: FloatArray, variables: Mapping[str, FloatArray]
) -> FloatArray:
    """(S,) inverse-Wishart or inverse-gammas of S draws of the model's variables.

    ``tr(Psi Sigma^-1)`` is the squared length of A, see `bartlett`.
    """
    squares = variables["precision_squares"]
    m = len(psi)
    if covariance == "full":
        below = variables.get("precision_below", np.zeros((*squares.shape[:-1], 0)))
        _, log_scale = np.linalg.slogdet(psi)
        trace = squares.sum(axis=-1) + (below**2).sum(axis=-1)
        log_determinant = log_scale - np.log(squares).sum(axis=-1)
        steps = gammaln((nu - np.arange(m)) / 2).sum() + m * (m - 1) / 4 * np.log(np.pi)
        constant = nu / 2 * (log_scale - m * np.log(2)) - steps
        each = constant - 0.5 * ((nu + m + 1) * log_determinant + trace)
    else:
        scale = np.diag(psi)
        if covariance == "spherical":
            scale = scale.mean(keepdims=True)
        variance = scale / squares
        constant = nu / 2 * np.log(scale / 2) - gammaln(nu / 2)
        each = (constant - (nu / 2 + 1) * np.log(variance) - squares / 2).sum(axis=-1)
    return np.asarray(each.sum(axis=-1))
