"""New outcomes for a panel's design from a mixture with known parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel
from mixcompare.model.spec import MixtureSpec
from mixcompare.simulate.samplers import sampler_of


def simulate(
    spec: MixtureSpec, panel: Panel, parameters: Mapping[str, FloatArray], rng: np.random.Generator
) -> tuple[Panel, IntArray]:
    """Draw every unit's class, then its rows given the class.

    Parameters
    ----------
    panel
        Units, cells and covariates; its outcomes are replaced. Effects of absorbed cells
        are zero, since whatever they are they leave no trace in a fit.
    parameters
        (K, ...) each by the name of its block, in the data's units; log-odds by unit covariate
        are in place of the weights.

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
    SpecificationError
        If there is no sampler of the family.
    """
    odds = parameters.get("membership_coefficients")
    classes = draw_classes(panel, parameters["weights"], odds, rng)
    outcomes = draw_outcomes(spec, panel, classes, parameters, rng)
    return replace(panel, outcomes=outcomes), classes


def draw_outcomes(
    spec: MixtureSpec,
    panel: Panel,
    classes: IntArray,
    parameters: Mapping[str, FloatArray],
    rng: np.random.Generator,
) -> FloatArray:
    """Draw every row given its unit's class.

    Parameters
    ----------
    classes
        (G,) classes of the units, counted from 0.
    parameters
        (K, ...) each, in the data's units.

    Returns
    -------
    (N, m) outcomes, without effects of absorbed cells.

    Raises
    ------
    DataError
        If the shapes do not suit the panel or one another.
    SpecificationError
        If there is no sampler of the family.
    """
    draw = sampler_of(spec)
    outcomes = draw(parameters, classes[panel.unit], panel.covariates, rng)
    if outcomes.shape != panel.outcomes.shape:
        raise DataError(
            f"the parameters draw outcomes of shape {outcomes.shape}, and the panel's have shape "
            f"{panel.outcomes.shape}."
        )
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
