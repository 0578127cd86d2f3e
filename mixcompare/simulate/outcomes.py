"""New outcomes for a panel's design from a mixture with known parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel
from mixcompare.model.covariances import root


def simulate(
    panel: Panel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    rng: np.random.Generator,
    membership_coefficients: FloatArray | None = None,
) -> tuple[Panel, IntArray]:
    """Draw every unit's class, then its rows given the class.

    Parameters
    ----------
    panel
        Units, cells and covariates; its outcomes are replaced. Effects of absorbed cells
        are zero, since whatever they are they leave no trace in a fit.
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m), in the data's units.
    membership_coefficients
        (K, c) log-odds by unit covariate, in place of the weights.

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
    classes = draw_classes(panel, weights, membership_coefficients, rng)
    outcomes = draw_outcomes(panel, classes, coefficients, covariance, rng)
    return replace(panel, outcomes=outcomes), classes


def draw_outcomes(
    panel: Panel,
    classes: IntArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw every row given its unit's class.

    Parameters
    ----------
    classes
        (G,) classes of the units, counted from 0.
    coefficients, covariance
        (K, p, m) and (K, m, m), in the data's units.

    Returns
    -------
    (N, m) outcomes, without effects of absorbed cells.
    """
    noise = rng.normal(size=panel.outcomes.shape)
    outcomes = np.empty_like(panel.outcomes)
    by_row = classes[panel.unit]
    for c in range(len(coefficients)):
        own = by_row == c
        outcomes[own] = panel.covariates[own] @ coefficients[c] + noise[own] @ root(covariance[c]).T
    return outcomes


def draw_classes(
    panel: Panel, weights: FloatArray, odds: FloatArray | None, rng: np.random.Generator
) -> IntArray:
    """Draw every unit's class.

    Parameters
    ----------
    weights
        (K,) class probabilities.
    odds
        (K, c) log-odds by unit covariate, in place of the weights; None without.

    Returns
    -------
    (G,) classes, counted from 0.

    Raises
    ------
    DataError
        If the log-odds do not suit the panel's unit covariates.
    """
    if odds is None:
        return rng.choice(len(weights), size=panel.n_units, p=weights).astype(np.intp)
    if panel.concomitants is None or odds.shape != (len(weights), panel.concomitants.shape[1]):
        raise DataError(
            f"membership_coefficients of shape {odds.shape} do not suit {len(weights)} classes and "
            f"the panel's unit covariates ({', '.join(panel.concomitant_names) or 'none'})."
        )
    # The largest of log-odds plus Gumbel noise is a draw from their softmax.
    noise = rng.gumbel(size=(panel.n_units, len(weights)))
    return (panel.concomitants @ odds.T + noise).argmax(axis=1).astype(np.intp)
