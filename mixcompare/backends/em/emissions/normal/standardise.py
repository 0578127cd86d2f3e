"""The EM's own coordinates: whitened covariates, pooled-fit residuals of unit scale.

Cross-products of whitened columns are safe (they are orthogonal over the panel, whatever
the scale, offset or collinearity of the raw ones), so the M-step may use normal equations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgeqrf, dtrtri, dtrtrs

from mixcompare.backends.em.emissions.normal.covariances import common_scale
from mixcompare.backends.em.emissions.normal.prior import NormalPrior, standard_prior
from mixcompare.backends.em.emissions.normal.tiled_rows import Rows
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.responses import Response
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import ResolvedPriors

_ROWS_AT_A_TIME = 8192
# Rounding of a residual: that of the values that it is the difference of, with some to spare,
# and in standardised units at least so much.
_SPARE, _LEAST_NOISE = 10.0, 1e3 * float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Standardised:
    """A normal response's rows in the EM's coordinates and the way back.

    With the pooled least-squares fit ``pooled`` (p, m), the linear map ``unwhiten`` (p, p)
    and residual scales ``scale`` (m,), raw coefficients are
    ``pooled + unwhiten @ B * scale`` and raw covariances ``Sigma * outer(scale, scale)``.
    Covariates with common coefficients are whitened last, so that the last rows of B are
    common as well.

    Attributes
    ----------
    structure, n_components
        The response, for its covariances, and number of classes.
    covariates, outcomes
        (G, r, p) and (G, r, m) standardised factor rows of each unit; read out of the compiled
        passes' tiles where these hold them.
    degrees_of_freedom
        (G,) as floats.
    rounding
        (p + m,) mean size of the rounding error of covariates and outcomes, in raw units.
    is_common
        (p,) whether a covariate's coefficients are common, in the data's order.
    prior
        The priors, for a mode of the posterior; None for maximum likelihood.
    """

    structure: Response
    n_components: int
    covariates: Rows
    outcomes: Rows
    degrees_of_freedom: FloatArray
    pooled: FloatArray
    unwhiten: FloatArray
    whiten: FloatArray
    scale: FloatArray
    rounding: FloatArray
    is_common: NDArray[np.bool_]
    prior: NormalPrior | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(G, r, p, m)."""
        return (*self.covariates.shape, self.outcomes.shape[-1])

    @cached_property
    def n_common(self) -> int:
        """Number of common rows of the coefficients."""
        return int(self.is_common.sum())

    @cached_property
    def log_scale(self) -> float:
        """Sum of the logarithms of the scales, by which a log-density falls per row."""
        return float(np.log(self.scale).sum())

    def noise_floor(self, coefficients: FloatArray) -> FloatArray:
        """(..., m) variances of residuals, in these units, that may be nothing but rounding.

        Whatever column the covariates' own rounding is in, a coefficient carries it to the
        residuals.
        """
        p = len(self.is_common)
        raw = self.pooled + self.unwhiten @ coefficients * self.scale
        noise = (self.rounding[p:] + self.rounding[:p] @ np.abs(raw)) / self.scale
        return np.asarray(np.maximum(_SPARE * noise, _LEAST_NOISE) ** 2)

    @cached_property
    def pooled_noise(self) -> float:
        """The largest `noise_floor` of the pooled fit."""
        return float(self.noise_floor(np.zeros_like(self.pooled)).max())

    def to_raw(self, theta: Blocks) -> Blocks:
        """Coefficients and covariances in the data's own units."""
        return {
            "coefficients": self.pooled + self.unwhiten @ theta["coefficients"] * self.scale,
            "covariance": theta["covariance"] * np.outer(self.scale, self.scale),
        }

    def from_raw(self, theta: Blocks) -> Blocks:
        """Coefficients and covariances in standardised units."""
        return {
            "coefficients": self.whiten @ (theta["coefficients"] - self.pooled) / self.scale,
            "covariance": theta["covariance"] / np.outer(self.scale, self.scale),
        }

    def of_rows(self, prepared: PreparedPanel) -> Standardised:
        """Other rows with the same columns, in these coordinates."""
        x, y = prepared.covariate_factor, prepared.outcome_factor
        return replace(
            self,
            covariates=x @ self.unwhiten,
            outcomes=(y - x @ self.pooled) / self.scale,
            degrees_of_freedom=prepared.degrees_of_freedom.astype(float),
        )


def standardise(
    structure: Response,
    n_components: int,
    prepared: PreparedPanel,
    priors: ResolvedPriors | None = None,
) -> Standardised:
    """Whiten the covariates and scale the residuals of the pooled fit.

    Outcomes are scaled one by one, by one common scale if the covariance is spherical,
    so that every covariance structure keeps its form. Priors are for a mode of the posterior.
    """
    p, n = prepared.n_covariates, prepared.total_degrees_of_freedom
    is_common = np.isin(prepared.covariate_names, prepared.common_names)
    order = np.concatenate([np.flatnonzero(~is_common), np.flatnonzero(is_common)])
    columns = np.concatenate([order, np.arange(p, p + prepared.n_outcomes)])
    triangle = _triangle(prepared.pooled_rows, columns)
    root = triangle[:p, :p] / np.sqrt(n)
    whiten, unwhiten, pooled = np.zeros((p, p)), np.zeros((p, p)), np.zeros_like(triangle[:p, p:])
    whiten[:, order] = root
    # LAPACK itself: scipy's checks take longer than so small a system.
    unwhiten[order] = dtrtri(root)[0]
    pooled[order] = dtrtrs(triangle[:p, :p], triangle[:p, p:])[0]
    scale = np.linalg.norm(triangle[p:, p:], axis=0) / np.sqrt(n)
    scale = common_scale(structure, scale)
    rows = prepared.factor.reshape(-1, prepared.factor.shape[-1])
    outcomes = rows[:, :p] @ pooled
    np.subtract(rows[:, p:], outcomes, out=outcomes)
    outcomes /= scale
    shape = prepared.factor.shape[:2]
    prior = None
    if priors is not None:
        prior = standard_prior(structure, priors, pooled, unwhiten, scale, is_common)
    return Standardised(
        structure,
        n_components,
        covariates=(rows[:, :p] @ unwhiten).reshape(*shape, p),
        outcomes=outcomes.reshape(*shape, -1),
        degrees_of_freedom=prepared.degrees_of_freedom.astype(float),
        pooled=pooled,
        unwhiten=unwhiten,
        whiten=whiten,
        scale=scale,
        rounding=np.finfo(float).eps * prepared.raw_norm / np.sqrt(n),
        is_common=is_common,
        prior=prior,
    )


def _triangle(rows: FloatArray, columns: IntArray) -> FloatArray:
    """Triangular factor of some columns, a few rows at a time so that all are not copied."""
    triangle = np.empty((0, len(columns)))
    for i in range(0, len(rows), _ROWS_AT_A_TIME):
        # The transpose of contiguous columns is what LAPACK can overwrite.
        part = rows[i : i + _ROWS_AT_A_TIME].T[columns]
        if i:
            part = np.concatenate([triangle.T, part], axis=1)
        triangle = np.triu(dgeqrf(part.T, overwrite_a=True)[0][: len(columns)])
    return triangle
