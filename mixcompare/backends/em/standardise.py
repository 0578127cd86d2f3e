"""The EM's own coordinates: whitened covariates, pooled-fit residuals of unit scale.

Cross-products of whitened columns are safe (they are orthogonal over the panel, whatever
the scale, offset or collinearity of the raw ones), so the M-step may use normal equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from scipy.linalg import solve_triangular

from mixcompare.compress import PreparedPanel
from mixcompare.panel import FloatArray, IntArray
from mixcompare.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Weights (K,), coefficients (K, p, m), covariances (K, m, m; equal ones if shared)."""

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray

    def permuted(self, permutation: IntArray) -> Parameters:
        """Return the same mixture with its components renumbered."""
        return Parameters(
            self.weights[permutation], self.coefficients[permutation], self.covariance[permutation]
        )


class Passes(Protocol):
    """Passes over all units, compiled; see `mixcompare.backends.em.compiled.Compiled`."""

    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products of the covariates with themselves and the outcomes."""

    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> FloatArray:
        """Weighted cross-products of the residuals."""

    def e_step(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float]]:
        """Responsibilities, unit log-likelihood, joint, and the sums of Q and entropy."""


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """A prepared panel in the EM's coordinates and the way back.

    With the pooled least-squares fit ``pooled`` (p, m), the linear map ``unwhiten`` (p, p)
    and residual scales ``scale`` (m,), raw coefficients are
    ``pooled + unwhiten @ B * scale`` and raw covariances ``Sigma * outer(scale, scale)``.

    Attributes
    ----------
    covariates, outcomes
        (G, r, p) and (G, r, m) standardised factor rows of each unit.
    degrees_of_freedom
        (G,) as floats.
    noise_floor
        Smallest variance, in these units, that is not rounding error of the data.
    compiled
        Compiled passes over these data, if the steps are to use them and not NumPy.
    log_scale
        Sum of log(scale), by which a log-density falls per degree of freedom in raw units.
    """

    covariates: FloatArray
    outcomes: FloatArray
    degrees_of_freedom: FloatArray
    pooled: FloatArray
    unwhiten: FloatArray
    whiten: FloatArray
    scale: FloatArray
    noise_floor: float
    compiled: Passes | None = field(default=None, init=False)

    def using(self, compiled: Passes) -> Standardised:
        """The same data, whose steps use compiled passes over them.

        A `replace` of these data drops the passes, which hold a copy of the old ones.
        """
        same = replace(self)
        object.__setattr__(same, "compiled", compiled)
        return same

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(G, r, p, m)."""
        return (*self.covariates.shape, self.outcomes.shape[-1])

    @property
    def log_scale(self) -> float:
        """Sum of the logarithms of the outcomes' scales."""
        return float(np.log(self.scale).sum())

    def to_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in the data's own units."""
        return Parameters(
            parameters.weights,
            self.pooled + self.unwhiten @ parameters.coefficients * self.scale,
            parameters.covariance * np.outer(self.scale, self.scale),
        )

    def from_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in standardised units."""
        return Parameters(
            parameters.weights,
            self.whiten @ (parameters.coefficients - self.pooled) / self.scale,
            parameters.covariance / np.outer(self.scale, self.scale),
        )


def standardise(spec: MixtureSpec, prepared: PreparedPanel) -> Standardised:
    """Whiten the covariates and scale the residuals of the pooled fit.

    Outcomes are scaled one by one, by one common scale if the covariance is spherical,
    so that every covariance structure keeps its form.
    """
    p, n = prepared.n_covariates, prepared.total_degrees_of_freedom
    triangle = np.linalg.qr(prepared.factor.reshape(-1, prepared.factor.shape[-1]), mode="r")
    whiten = triangle[:p, :p] / np.sqrt(n)
    pooled = solve_triangular(triangle[:p, :p], triangle[:p, p:])
    unwhiten = solve_triangular(whiten, np.eye(p))
    scale = np.linalg.norm(triangle[p:, p:], axis=0) / np.sqrt(n)
    if spec.covariance == "spherical":
        scale = np.full_like(scale, np.sqrt(np.mean(scale**2)))
    x, y = prepared.covariate_factor, prepared.outcome_factor
    rounding = np.finfo(float).eps * prepared.raw_norm[p:] / np.sqrt(n) / scale
    return Standardised(
        covariates=x @ unwhiten,
        outcomes=(y - x @ pooled) / scale,
        degrees_of_freedom=prepared.degrees_of_freedom.astype(float),
        pooled=pooled,
        unwhiten=unwhiten,
        whiten=whiten,
        scale=scale,
        noise_floor=float(max(10 * rounding.max(), 1e3 * np.finfo(float).eps) ** 2),
    )
