"""New outcomes for a panel's design from a mixture with known parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixcompare.errors import DataError
from mixcompare.panel import FloatArray, IntArray, Panel


def simulate(
    panel: Panel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    rng: np.random.Generator,
) -> tuple[Panel, IntArray]:
    """Draw every unit's class, then its rows given the class.

    Parameters
    ----------
    panel
        Units, cells and covariates; its outcomes are replaced. Effects of absorbed cells
        are zero, since whatever they are they leave no trace in a fit.
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m), in the data's units.

    Returns
    -------
    panel
        The same design with new outcomes.
    classes
        (G,) true classes, counted from 0.

    Raises
    ------
    DataError
        If the shapes do not suit the panel or one another.
    """
    k, p, m = len(weights), panel.covariates.shape[1], panel.outcomes.shape[1]
    if coefficients.shape != (k, p, m) or covariance.shape != (k, m, m):
        raise DataError(
            f"for {k} classes the panel needs coefficients of shape {(k, p, m)} and covariances of "
            f"shape {(k, m, m)}, not {coefficients.shape} and {covariance.shape}."
        )
    classes = rng.choice(k, size=panel.n_units, p=weights)
    noise = rng.normal(size=panel.outcomes.shape)
    outcomes = np.empty_like(panel.outcomes)
    by_row = classes[panel.unit]
    for c in range(k):
        own = by_row == c
        root = np.linalg.cholesky(covariance[c])
        outcomes[own] = panel.covariates[own] @ coefficients[c] + noise[own] @ root.T
    return replace(panel, outcomes=outcomes), classes.astype(np.intp)
