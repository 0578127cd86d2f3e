"""What an E-step works with: residuals, precisions and determinants, by row, unit and class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The iterates up to the one that a step starts from.

    Attributes
    ----------
    iterates
        The start first, in the EM's coordinates.
    by_component
        Whether the covariances differ by class.
    """

    iterates: tuple[Parameters, ...]
    by_component: bool

    @property
    def now(self) -> Parameters:
        """What the step starts from."""
        return self.iterates[-1]

    @property
    def earlier(self) -> Past | None:
        """The same one step before, if there is one."""
        if len(self.iterates) < 2:
            return None
        return Past(self.iterates[:-1], self.by_component)


@dataclass(frozen=True, eq=False)
class Densities:
    """What an E-step may use, in raw units.

    Attributes
    ----------
    residuals
        (K, N, m).
    covariance, precision
        (K, m, m), and what the exponent multiplies the residuals with.
    log_determinant
        (K,) of the covariances.
    counts
        (G,) degrees of freedom that the likelihood counts.
    weights
        (K,) class weights.
    by_component
        Whether the covariances differ by class.
    """

    residuals: FloatArray
    covariance: FloatArray
    precision: FloatArray
    log_determinant: FloatArray
    rows: Rows
    counts: FloatArray
    weights: FloatArray
    by_component: bool

    @property
    def n_outcomes(self) -> int:
        """Number of outcomes, m."""
        return int(self.residuals.shape[-1])

    @cached_property
    def row_distance(self) -> FloatArray:
        """(N, K) squared Mahalanobis lengths of the residuals."""
        return np.asarray(((self.residuals @ self.precision) * self.residuals).sum(axis=-1).T)

    @property
    def constant(self) -> FloatArray:
        """(K,) normalising constants of a row, doubled."""
        return np.asarray(self.n_outcomes * np.log(2 * np.pi) + self.log_determinant)

    @property
    def row_log_density(self) -> FloatArray:
        """(N, K) log-densities of single rows."""
        return -0.5 * (self.constant + self.row_distance)

    @cached_property
    def log_density(self) -> FloatArray:
        """(G, K) log-densities given the class, all constants in."""
        distance = self.rows.by_unit(self.row_distance)
        return np.asarray(-0.5 * (np.outer(self.counts, self.constant) + distance))

    @property
    def log_weights(self) -> FloatArray:
        """(K,) logarithms of the class weights."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.weights))

    @property
    def joint(self) -> FloatArray:
        """(G, K) logarithms of weight times density."""
        return self.log_density + self.log_weights


def densities(rows: Rows, name: str, parameters: Parameters, by_component: bool) -> Densities:
    """Densities on one version of the rows."""
    version = rows.versions[name]
    residuals = (version.outcomes - version.covariates @ parameters.coefficients) * rows.raw_scale
    sizes = np.outer(rows.raw_scale, rows.raw_scale)
    log_determinant = np.linalg.slogdet(parameters.covariance)[1] + 2 * np.log(rows.raw_scale).sum()
    return Densities(
        residuals,
        parameters.covariance * sizes,
        np.linalg.inv(parameters.covariance) / sizes,
        log_determinant,
        rows,
        rows.degrees_of_freedom,
        parameters.weights,
        by_component,
    )
