"""Priors of coefficients and covariances in the EM's coordinates, where they act like data.

The mode sought is that of the posterior density in ``(weights, B, Sigma)`` themselves. A
Normal prior adds its precision to the normal equations. An inverse-Wishart adds its scale to
the scatter and ``nu + m + 1`` to the rows; the inverse-gammas of the simpler structures do so
likewise (Fraley & Raftery 2007, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.covariances import log_covariance_prior, pseudo_rows
from mixcompare.backends.em.theta import LOG_2PI
from mixcompare.base.arrays import FloatArray
from mixcompare.model.responses import Response
from mixcompare.prepared.resolved_priors import ResolvedPriors


@dataclass(frozen=True, slots=True, eq=False)
class NormalPrior:
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
    """

    raw: ResolvedPriors
    precision: FloatArray
    shift: FloatArray
    common_precision: FloatArray
    common_shift: FloatArray
    rows: float
    scatter: FloatArray


def standard_prior(
    structure: Response,
    raw: ResolvedPriors,
    pooled: FloatArray,
    unwhiten: FloatArray,
    scale: FloatArray,
    is_common: NDArray[np.bool_],
) -> NormalPrior:
    """Express priors in standardised units, see `Standardised` for the maps."""
    p, m = pooled.shape

    def normal(rows: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """Precision and shift of ``pooled + unwhiten @ B * scale ~ Normal``, of these rows."""
        precision, shift = np.zeros((p, m, p, m)), np.zeros((p, m))
        for j in range(m):
            weighted = unwhiten[rows].T * (scale[j] / raw.coefficient_sd[rows, j] ** 2)
            precision[:, j, :, j] = weighted @ unwhiten[rows] * scale[j]
            shift[:, j] = weighted @ (raw.coefficient_mean - pooled)[rows, j]
        return precision.reshape(p * m, p * m), shift.ravel()

    rows, scatter = pseudo_rows(structure, raw)
    scatter = scatter / np.outer(scale, scale)
    return NormalPrior(raw, *normal(~is_common), *normal(is_common), rows, scatter)


def log_prior(
    structure: Response,
    raw: ResolvedPriors,
    is_common: NDArray[np.bool_],
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """(...,) log-density of the prior with all constants, in the data's own units.

    Coefficients and covariances that classes share count once.
    """
    normal = -0.5 * (
        ((coefficients - raw.coefficient_mean) / raw.coefficient_sd) ** 2
        + LOG_2PI
        + 2 * np.log(raw.coefficient_sd)
    )
    # Flat, so that starts that run together are summed in the same order as alone.
    starts = coefficients.shape[:-3]
    by_class, common = normal[..., ~is_common, :], normal[..., 0, is_common, :]
    total = by_class.reshape(*starts, -1).sum(axis=-1)
    if is_common.any():
        total = total + common.reshape(*starts, -1).sum(axis=-1)
    distinct = covariance if structure.covariance_by == "component" else covariance[..., :1, :, :]
    return np.asarray(total + log_covariance_prior(structure, raw, distinct).sum(axis=-1))
