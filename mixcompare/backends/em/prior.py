"""The specification's priors in the EM's coordinates, where they act like further data.

The mode sought is that of the posterior density in ``(weights, B, Sigma)`` themselves. A
Normal prior adds its precision to the normal equations. An inverse-Wishart adds its scale to
the scatter and ``nu + m + 1`` to the rows; the inverse-gammas of the simpler structures do so
likewise. A Dirichlet adds ``a - 1`` units to every class (Fraley & Raftery 2007, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from mixcompare.backends.em.covariances import log_covariance_prior, pseudo_rows
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.resolved_priors import ResolvedPriors

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class StandardPrior:
    """Priors as additions to the M-step, in standardised units.

    Attributes
    ----------
    raw
        The priors in the data's own units.
    precision, shift
        (p m, p m) and (p m,): what the prior of the coefficients that vary adds to each
        class's normal equations, coefficients row by row.
    common_precision, common_shift
        The same for common coefficients, to be added once.
    rows, scatter
        Rows and cross-products (m, m) that the prior adds to each covariance.
    membership_precision
        (c, c) for the standardised unit covariates, or None.
    """

    raw: ResolvedPriors
    precision: FloatArray
    shift: FloatArray
    common_precision: FloatArray
    common_shift: FloatArray
    rows: float
    scatter: FloatArray
    membership_precision: FloatArray | None

    @property
    def units(self) -> float:
        """Units that the prior adds to every class."""
        return self.raw.concentration - 1


def standard_prior(
    spec: MixtureSpec,
    raw: ResolvedPriors,
    pooled: FloatArray,
    unwhiten: FloatArray,
    scale: FloatArray,
    is_common: np.ndarray,
    unmix: FloatArray | None,
) -> StandardPrior:
    """Express priors in standardised units, see `Standardised` for the maps."""
    rows, scatter = pseudo_rows(spec, raw)
    own = _normal(raw, pooled, unwhiten, scale, ~is_common)
    common = _normal(raw, pooled, unwhiten, scale, is_common)
    membership = raw.membership_precision
    if membership is not None and unmix is not None:
        membership = unmix.T @ membership @ unmix
    return StandardPrior(raw, *own, *common, rows, scatter / np.outer(scale, scale), membership)


def _normal(
    raw: ResolvedPriors,
    pooled: FloatArray,
    unwhiten: FloatArray,
    scale: FloatArray,
    rows: np.ndarray,
) -> tuple[FloatArray, FloatArray]:
    """Precision and shift of ``pooled + unwhiten @ B * scale ~ Normal``, of these rows."""
    p, m = pooled.shape
    precision, shift = np.zeros((p, m, p, m)), np.zeros((p, m))
    for j in range(m):
        weighted = unwhiten[rows].T * (scale[j] / raw.coefficient_sd[rows, j] ** 2)
        precision[:, j, :, j] = weighted @ unwhiten[rows] * scale[j]
        shift[:, j] = weighted @ (raw.coefficient_mean - pooled)[rows, j]
    return precision.reshape(p * m, p * m), shift.ravel()


def log_prior(
    spec: MixtureSpec,
    raw: ResolvedPriors,
    is_common: np.ndarray,
    weights: FloatArray,
    membership: FloatArray | None,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """(...,) log-density of the prior with all constants, in the data's own units.

    Coefficients and covariances that classes share count once. With membership covariates
    the density is that of the zero-sum coefficients and the weights have none.
    """
    normal = -0.5 * (
        ((coefficients - raw.coefficient_mean) / raw.coefficient_sd) ** 2
        + _LOG_2PI
        + 2 * np.log(raw.coefficient_sd)
    )
    # Flat, so that starts that run together are summed in the same order as alone.
    own, common = normal[..., ~is_common, :], normal[..., 0, is_common, :]
    total = own.reshape(*weights.shape[:-1], -1).sum(axis=-1)
    if is_common.any():
        total = total + common.reshape(*weights.shape[:-1], -1).sum(axis=-1)
    distinct = covariance if spec.covariance_by == "component" else covariance[..., :1, :, :]
    total = total + log_covariance_prior(spec, raw, distinct).sum(axis=-1)
    if membership is not None:
        return np.asarray(total + _log_zero_sum(raw, membership))
    k, a = weights.shape[-1], raw.concentration
    with np.errstate(divide="ignore"):
        kernel = (a - 1) * np.log(weights).sum(axis=-1) if a != 1 else 0.0
    return np.asarray(total + gammaln(k * a) - k * gammaln(a) + kernel)


def _log_zero_sum(raw: ResolvedPriors, membership: FloatArray) -> FloatArray:
    precision = raw.membership_precision
    assert precision is not None
    k, c = membership.shape[-2:]
    centred = membership - membership.mean(axis=-2, keepdims=True)
    quadratic = np.einsum("...ki,ij,...kj->...", centred, precision, centred)
    return np.asarray(
        0.5 * ((k - 1) * (np.linalg.slogdet(precision)[1] - c * _LOG_2PI) - quadratic)
    )
