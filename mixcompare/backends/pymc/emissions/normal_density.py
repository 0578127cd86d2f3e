"""Normal densities given the class as PyTensor expressions, on compressed rows.

For unit g and class k, with the unit's rows ``R = [Z W]`` in standard coordinates,

    l_gk = -1/2 [nu_g (m log 2 pi + log|Sigma_k|) + |W M_k - Z D_k M_k|^2],

where ``M_k M_k' = Sigma~_k^-1`` whitens: one matrix product of all rows with the stacked
``[-D_k M_k; M_k]`` gives every class's whitened residuals.
"""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt

from mixcompare.backends.pymc.affine_normal import LOG_2PI


def class_log_density(
    outcomes: Any,
    covariates: Any,
    degrees_of_freedom: Any,
    deviations: Any,
    whitener: Any,
    log_determinant: Any,
) -> Any:
    """Log density of every unit's rows given each class, l_gk.

    Parameters
    ----------
    outcomes, covariates
        (G, r, m) and (G, r, p) rows in standard coordinates.
    degrees_of_freedom
        (G,) rows that count.
    deviations
        (C, p, m) coefficients of C classes in standard coordinates.
    whitener
        (C, m, m) M.
    log_determinant
        (C,) log|Sigma| in original units, so that densities are in original units too.

    Returns
    -------
    (G, C).
    """
    n_units, n_rows, n_outcomes = outcomes.shape
    n_classes, n_covariates, _ = deviations.shape
    rows = pt.concatenate([covariates, outcomes], axis=-1).reshape((n_units * n_rows, -1))
    slopes = -(deviations[:, :, :, None] * whitener[:, None, :, :]).sum(axis=2)
    maps = pt.concatenate([slopes, whitener], axis=1).transpose((1, 0, 2))
    residuals = rows @ maps.reshape((n_covariates + n_outcomes, n_classes * n_outcomes))
    squares = pt.sqr(residuals).reshape((n_units, n_rows, n_classes, n_outcomes))
    constant = n_outcomes * LOG_2PI + log_determinant
    return -0.5 * (degrees_of_freedom[:, None] * constant + squares.sum(axis=(1, 3)))
