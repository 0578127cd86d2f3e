"""Normal densities given the class as PyTensor expressions, on compressed rows.

For unit g and class k, with the unit's rows ``R = [Z W]`` in standard coordinates,

    l_gk = -1/2 [nu_g (m log 2 pi + log|Sigma_k|) + |W M_k - Z D_k M_k|^2],

where ``M_k M_k' = Sigma~_k^-1`` whitens: one matrix product of all rows with the stacked
``[-D_k M_k; M_k]`` gives every class's whitened residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytensor.tensor as pt

from mixcompare.backends.pymc.affine_normal import LOG_2PI
from mixcompare.backends.pymc.graphs import compiled
from mixcompare.base.arrays import FloatArray


def class_log_density(data: Sequence[Any], classes: Sequence[Any]) -> Any:
    """Log density of every unit's rows given each class, l_gk.

    Parameters
    ----------
    data
        Outcomes (G, r, m) and covariates (G, r, p) in standard coordinates, and (G,) rows that
        count.
    classes
        Of C classes, coefficients (C, p, m) in standard coordinates, M (C, m, m), and log|Sigma|
        (C,) in original units, so that densities are in original units too.

    Returns
    -------
    (G, C).
    """
    outcomes, covariates, degrees_of_freedom = data
    deviations, whitener, log_determinant = classes
    n_units, n_rows, n_outcomes = outcomes.shape
    n_classes, n_covariates, _ = deviations.shape
    rows = pt.concatenate([covariates, outcomes], axis=-1).reshape((n_units * n_rows, -1))
    slopes = -(deviations[:, :, :, None] * whitener[:, None, :, :]).sum(axis=2)
    maps = pt.concatenate([slopes, whitener], axis=1).transpose((1, 0, 2))
    residuals = rows @ maps.reshape((n_covariates + n_outcomes, n_classes * n_outcomes))
    squares = pt.sqr(residuals).reshape((n_units, n_rows, n_classes, n_outcomes))
    constant = n_outcomes * LOG_2PI + log_determinant
    return -0.5 * (degrees_of_freedom[:, None] * constant + squares.sum(axis=(1, 3)))


@cache
def class_log_densities() -> Callable[..., FloatArray]:
    """`class_log_density` as a function of arrays."""
    data = [pt.tensor3("outcomes"), pt.tensor3("covariates"), pt.vector("degrees_of_freedom")]
    classes = [pt.tensor3("deviations"), pt.tensor3("whitener"), pt.vector("log_determinant")]
    return compiled([*data, *classes], class_log_density(data, classes))
