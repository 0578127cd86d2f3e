"""The prepared panel in coordinates in which sampling is well conditioned.

Covariates are replaced by ``Z = X T`` whose columns are near orthonormal, outcomes by
``W = (Y - X B0) C^-T``: what the pooled least-squares fit ``B0`` leaves, divided by the
pooled residuals' own scale. The model's coefficients then are deviations ``D`` with

    B_k = B0 + T D_k C',        Sigma_k = C Sigma~_k C',

both linear and exact, so that the posterior is that of the original coordinates while
the sampler and floating point see numbers near one, also with a calendar year beside
its square or an outcome far from zero. ``T`` whitens the rows together with the prior,
whose precision enters as p more rows: where data say little the prior conditions.

``T`` is upper triangular once covariates with common coefficients come last, so that the
last rows of ``D`` alone make the common coefficients: these rows are common too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from mixcompare.backends.pymc.emissions.covariances import ARITHMETIC
from mixcompare.backends.pymc.whitening import whiten
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.covariances import Covariance
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import ResolvedPriors


@dataclass(frozen=True, slots=True, eq=False)
class StandardPanel:
    """A panel in standard coordinates, with the way back.

    Attributes
    ----------
    covariates
        (G, r, p) Z, rows of zeros where a unit is short.
    outcomes
        (G, r, m) W.
    degrees_of_freedom
        (G,) rows that the unit's density counts.
    centre
        (p, m) pooled coefficients B0 in original units.
    directions
        (p, p) T; rows as the covariates, columns with the common ones last.
    order
        (p,) the covariates with common ones last: ``directions[order]`` is triangular.
    scale
        (m, m) lower triangular C; diagonal for a diagonal covariance and a multiple of
        the identity for a spherical one, so that the structure survives the change.
    """

    covariates: FloatArray
    outcomes: FloatArray
    degrees_of_freedom: FloatArray
    centre: FloatArray
    directions: FloatArray
    order: IntArray
    scale: FloatArray

    @property
    def log_volume(self) -> float:
        """log|det C|: what each row's density loses by the change of units."""
        return float(np.log(np.abs(np.diag(self.scale))).sum())

    def deviations(self, coefficients: FloatArray) -> FloatArray:
        """Deviations D (..., p, m) of coefficients (..., p, m) in original units."""
        moved = (coefficients - self.centre)[..., self.order, :]
        p, m = self.centre.shape
        # Back substitution, so that equal common rows give equal rows.
        columns = np.moveaxis(moved, -2, 0).reshape(p, -1)
        whitened = solve_triangular(self.directions[self.order], columns)
        rows = np.moveaxis(whitened.reshape(p, *moved.shape[:-2], m), 0, -2)
        return np.asarray(rows @ np.linalg.inv(self.scale).T)

    def coefficients(self, deviations: FloatArray) -> FloatArray:
        """Coefficients (..., p, m) in original units of deviations D."""
        return np.asarray(self.centre + self.directions @ deviations @ self.scale.T)

    def standard_covariance(self, covariance: FloatArray) -> FloatArray:
        """C^-1 Sigma C^-T for covariances (..., m, m) or a scale matrix of their prior."""
        inverse = np.linalg.inv(self.scale)
        return np.asarray(inverse @ covariance @ inverse.T)

    def standard_rows(self, rows: PreparedPanel) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Outcomes, covariates and degrees of freedom of other units in these coordinates."""
        x, y = rows.covariate_factor, rows.outcome_factor
        outcomes = (y - x @ self.centre) @ np.linalg.inv(self.scale).T
        return outcomes, x @ self.directions, rows.degrees_of_freedom.astype(float)


def standardise(
    prepared: PreparedPanel, priors: ResolvedPriors, covariance: Covariance
) -> StandardPanel:
    """Change a prepared panel to standard coordinates, in which C keeps a structure."""
    n_units, n_rows, _ = prepared.factor.shape
    x, y = np.split(prepared.pooled_rows, [prepared.n_covariates], axis=1)
    total = prepared.total_degrees_of_freedom
    centre, residual = _pooled_fit(x, y)
    scale = ARITHMETIC[covariance].outcome_scale(residual, total)
    variance = np.sum(residual**2, axis=0) / total
    prior_rows = np.diag(np.sqrt(np.mean(variance / priors.coefficient_sd**2, axis=1)))
    common = np.isin(prepared.covariate_names, prepared.common_names)
    order = np.argsort(common, kind="stable")
    z, triangle = whiten(x[:, order], prior_rows[:, order], total)
    directions = np.zeros_like(triangle)
    directions[order] = triangle
    w = solve_triangular(scale, residual.T, lower=True).T
    # Pooled rows are those of the weighted panel; a unit's own density knows no weight.
    root = np.sqrt(prepared.replicated)[:, None, None]
    return StandardPanel(
        covariates=z.reshape(n_units, n_rows, -1) / root,
        outcomes=w.reshape(n_units, n_rows, -1) / root,
        degrees_of_freedom=prepared.degrees_of_freedom.astype(float),
        centre=centre,
        directions=directions,
        order=order,
        scale=scale,
    )


def _pooled_fit(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least-squares coefficients and ``y - x @ coefficients`` for exactly these."""
    norm = np.linalg.norm(x, axis=0)
    q, triangle = np.linalg.qr(x / norm)
    coefficients = np.zeros((x.shape[1], y.shape[1]))
    residual = y
    for _ in range(2):  # the second pass removes what rounding left of a large mean
        step = solve_triangular(triangle, q.T @ residual)
        coefficients = coefficients + step / norm[:, None]
        residual = y - x @ coefficients
    return coefficients, residual
