"""The EM's own coordinates: whitened covariates, pooled-fit residuals of unit scale.

Cross-products of whitened columns are safe (they are orthogonal over the panel, whatever
the scale, offset or collinearity of the raw ones), so the M-step may use normal equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dgeqrf, dtrtri, dtrtrs

from mixcompare.backends.em.covariances import common_scale
from mixcompare.backends.em.membership import log_class_probabilities
from mixcompare.backends.em.parameters import Index, Parameters
from mixcompare.backends.em.passes import Passes
from mixcompare.backends.em.prior import StandardPrior, log_prior, standard_prior
from mixcompare.backends.em.tiled_rows import Rows
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import resolve_priors

_ROWS_AT_A_TIME = 8192
# Rounding of a residual: that of the values that it is the difference of, with some to spare,
# and in standardised units at least so much.
_SPARE, _LEAST_NOISE = 10.0, 1e3 * float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Standardised:
    """A prepared panel in the EM's coordinates and the way back.

    With the pooled least-squares fit ``pooled`` (p, m), the linear map ``unwhiten`` (p, p)
    and residual scales ``scale`` (m,), raw coefficients are
    ``pooled + unwhiten @ B * scale`` and raw covariances ``Sigma * outer(scale, scale)``.
    Covariates with common coefficients are whitened last, so that the last rows of B are
    common as well.

    Attributes
    ----------
    covariates, outcomes
        (G, r, p) and (G, r, m) standardised factor rows of each unit; read out of the compiled
        passes' tiles where these hold them.
    degrees_of_freedom
        (G,) as floats.
    rounding
        (p + m,) mean size of the rounding error of covariates and outcomes, in raw units.
    is_common
        (p,) whether a covariate's coefficients are common, in the data's order.
    unit_weights
        (G,) how often each unit counts, or (S, G) if that differs between starts that run
        together; None where all count once.
    concomitants, unmix
        (G, c) whitened unit covariates of the class membership, and (c, c) such that raw
        log-odds are ``membership_coefficients @ unmix.T``; or None.
    prior
        The priors, for a mode of the posterior; None for maximum likelihood.
    compiled
        Compiled passes over these data, if the steps are to use them and not NumPy.
    log_scale
        Sum of log(scale), by which a log-density falls per degree of freedom in raw units.
    """

    covariates: Rows
    outcomes: Rows
    degrees_of_freedom: FloatArray
    pooled: FloatArray
    unwhiten: FloatArray
    whiten: FloatArray
    scale: FloatArray
    rounding: FloatArray
    is_common: NDArray[np.bool_]
    unit_weights: FloatArray | None = None
    concomitants: FloatArray | None = None
    unmix: FloatArray | None = None
    prior: StandardPrior | None = None
    compiled: Passes | None = field(default=None, init=False)

    def using(self, compiled: Passes) -> Standardised:
        """The same data, whose steps use compiled passes over them.

        A `replace` of these data drops the passes, which hold a copy of the old ones.
        """
        covariates, outcomes = compiled.rows or (self.covariates, self.outcomes)
        same = replace(self, covariates=covariates, outcomes=outcomes)
        object.__setattr__(same, "compiled", compiled)
        return same

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(G, r, p, m)."""
        return (*self.covariates.shape, self.outcomes.shape[-1])

    @cached_property
    def n_common(self) -> int:
        """Number of common rows of the coefficients."""
        return int(self.is_common.sum())

    def of(self, starts: Index) -> Standardised:
        """The data of some of the starts that run together."""
        weights = self.unit_weights
        if weights is None or weights.ndim == 1:
            return self
        return self.weighing(weights[starts])

    def weighing(self, unit_weights: FloatArray) -> Standardised:
        """The same data with other unit weights."""
        same = replace(self, unit_weights=unit_weights)
        return same if self.compiled is None else same.using(self.compiled)

    @cached_property
    def total_units(self) -> FloatArray:
        """Number of units, each counted by its weight; (S,) if weights are (S, G)."""
        weights = self.unit_weights
        return np.asarray(float(self.shape[0]) if weights is None else weights.sum(axis=-1))

    def weigh(self, responsibilities: FloatArray) -> FloatArray:
        """(..., G, K) responsibilities times the units' weights."""
        weights = self.unit_weights
        return responsibilities if weights is None else responsibilities * weights[..., None]

    def average_weights(self, membership_coefficients: FloatArray) -> FloatArray:
        """(..., K) class probabilities averaged over the units."""
        assert self.concomitants is not None
        each = np.exp(log_class_probabilities(self.concomitants, membership_coefficients))
        return np.asarray(self.weigh(each).sum(axis=-2) / self.total_units[..., None])

    def log_prior(self, spec: MixtureSpec, parameters: Parameters) -> FloatArray:
        """(...,) log-density of the prior in raw units; zero for maximum likelihood."""
        if self.prior is None:
            return np.zeros(parameters.weights.shape[:-1])
        raw = self.to_raw(parameters)
        odds = raw.membership_coefficients
        return log_prior(
            spec,
            self.prior.raw,
            self.is_common,
            raw.weights,
            odds,
            raw.coefficients,
            raw.covariance,
        )

    @cached_property
    def log_scale(self) -> float:
        """Sum of the logarithms of the outcomes' scales."""
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

    def to_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in the data's own units."""
        odds = parameters.membership_coefficients
        return Parameters(
            parameters.weights,
            self.pooled + self.unwhiten @ parameters.coefficients * self.scale,
            parameters.covariance * np.outer(self.scale, self.scale),
            None if odds is None or self.unmix is None else odds @ self.unmix.T,
        )

    def from_raw(self, parameters: Parameters) -> Parameters:
        """Parameters in standardised units."""
        odds = parameters.membership_coefficients
        return Parameters(
            parameters.weights,
            self.whiten @ (parameters.coefficients - self.pooled) / self.scale,
            parameters.covariance / np.outer(self.scale, self.scale),
            None if odds is None or self.unmix is None else np.linalg.solve(self.unmix, odds.mT).mT,
        )


def standardise(
    spec: MixtureSpec, prepared: PreparedPanel, *, with_prior: bool = False
) -> Standardised:
    """Whiten the covariates and scale the residuals of the pooled fit.

    Outcomes are scaled one by one, by one common scale if the covariance is spherical,
    so that every covariance structure keeps its form.

    Parameters
    ----------
    with_prior
        Whether the specification's priors enter, for a mode of the posterior.
    """
    p, n = prepared.n_covariates, prepared.total_degrees_of_freedom
    is_common = np.isin(prepared.covariate_names, prepared.common_names)
    order = np.concatenate([np.flatnonzero(~is_common), np.flatnonzero(is_common)])
    columns = np.concatenate([order, np.arange(p, p + prepared.n_outcomes)])
    triangle = _triangle(prepared.pooled_rows, columns)
    own = triangle[:p, :p] / np.sqrt(n)
    whiten, unwhiten, pooled = np.zeros((p, p)), np.zeros((p, p)), np.zeros_like(triangle[:p, p:])
    whiten[:, order] = own
    # LAPACK itself: scipy's checks take longer than so small a system.
    unwhiten[order] = dtrtri(own)[0]
    pooled[order] = dtrtrs(triangle[:p, :p], triangle[:p, p:])[0]
    scale = np.linalg.norm(triangle[p:, p:], axis=0) / np.sqrt(n)
    scale = common_scale(spec, scale)
    rows = prepared.factor.reshape(-1, prepared.factor.shape[-1])
    outcomes = rows[:, :p] @ pooled
    np.subtract(rows[:, p:], outcomes, out=outcomes)
    outcomes /= scale
    shape = prepared.factor.shape[:2]
    concomitants, unmix = _whiten_concomitants(prepared)
    prior = None
    if with_prior:
        raw = resolve_priors(spec, prepared)
        prior = standard_prior(spec, raw, pooled, unwhiten, scale, is_common, unmix)
    return Standardised(
        covariates=(rows[:, :p] @ unwhiten).reshape(*shape, p),
        outcomes=outcomes.reshape(*shape, -1),
        degrees_of_freedom=prepared.degrees_of_freedom.astype(float),
        pooled=pooled,
        unwhiten=unwhiten,
        whiten=whiten,
        scale=scale,
        rounding=np.finfo(float).eps * prepared.raw_norm / np.sqrt(n),
        is_common=is_common,
        unit_weights=prepared.unit_weights,
        concomitants=concomitants,
        unmix=unmix,
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


def _whiten_concomitants(prepared: PreparedPanel) -> tuple[FloatArray | None, FloatArray | None]:
    """Unit covariates with orthonormal columns over the units, and the way back."""
    if prepared.concomitants is None:
        return None, None
    weighted = prepared.concomitants * np.sqrt(prepared.replicated)[:, None]
    triangle = np.linalg.qr(weighted, mode="r") / np.sqrt(prepared.total_units)
    unmix = solve_triangular(triangle, np.eye(len(triangle)))
    return prepared.concomitants @ unmix, unmix
