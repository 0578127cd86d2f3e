"""Candidates for the E-step: on which rows, and from densities to responsibilities.

``expectation data`` candidates take `Rows` and name one of its versions; ``expectation``
candidates take `Densities` and give responsibilities, (G, K) of units or (N, K) of rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares
from scipy.special import softmax

from mixcompare.auditing.densities import Densities
from mixcompare.auditing.registry import candidate
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray

NOT_NORMALISED = "responsibilities not normalised"
WRONG_AXIS = "softmax over the wrong axis"


def _has_long_units(densities: Densities) -> bool:
    """Whether a unit has several rows."""
    return bool((densities.rows.n_rows != 1).any())


@candidate("expectation data")
def exact_data(rows: Rows) -> str | None:
    """Rows with the effects removed; effects estimated and added back are the same."""
    return rows.named("exact")


@candidate("expectation data", "E-step without the effects")
def raw_data(rows: Rows) -> str | None:
    """Raw outcomes and covariates, intercepts lost.

    The E-step takes residuals of the raw outcomes from the raw covariates without the absorbed
    effects (the intercepts), while the coefficients are those of within-transformed data. Use the
    within-transformed rows in both steps, or add each class's own effects back.
    """
    return rows.named("raw")


@candidate("expectation data", "E-step mixes raw covariates with transformed outcomes")
def raw_covariates(rows: Rows) -> str | None:
    """Only the outcomes have lost their effects.

    The E-step subtracts predictions from raw covariates from within-transformed outcomes. Transform
    both.
    """
    return rows.named("raw covariates")


@candidate("expectation data", "E-step mixes raw outcomes with transformed covariates")
def raw_outcomes(rows: Rows) -> str | None:
    """Only the covariates have lost their effects.

    The E-step subtracts predictions from within-transformed covariates from raw outcomes. Transform
    both.
    """
    return rows.named("raw outcomes")


@candidate("expectation data", "E-step centred by unit")
def centred_by_unit(rows: Rows) -> str | None:
    """Deviations from the unit's mean.

    The E-step's rows are centred by unit, not by the absorbed cells. Centre by the cells.
    """
    return rows.named("centred by unit")


@candidate("expectation data", "E-step adds the pooled fit's effects back")
def pooled_effects(rows: Rows) -> str | None:
    """Effects of the pooled least-squares fit.

    The E-step adds one set of effects, that of the pooled fit, back for every class. Each class has
    effects of its own: the cell's mean outcome less that class's prediction.
    """
    return rows.named("pooled effects")


@candidate("expectation data", "E-step without the intercept")
def no_intercept(rows: Rows) -> str | None:
    """The constant column is lost.

    The E-step's predictions leave the intercept out. Add it.
    """
    return rows.named("no intercept")


@candidate("expectation")
def bayes(given: Densities) -> FloatArray:
    """Bayes' rule."""
    return np.asarray(softmax(given.joint, axis=1))


@candidate("expectation", "E-step without the class weights")
def without_weights(given: Densities) -> FloatArray:
    """Flat prior on the classes.

    The E-step's class probabilities are computed from the densities alone, as if all classes were
    equally large. Multiply each density by its class's weight.
    """
    return np.asarray(softmax(given.log_density, axis=1))


@candidate("expectation", "hard assignment")
def hard(given: Densities) -> FloatArray:
    """Zeros and ones.

    Each unit is given wholly to its most probable class: that is classification EM (Celeux &
    Govaert 1992), which does not maximise this likelihood. Keep the probabilities.
    """
    return np.eye(given.joint.shape[1])[given.joint.argmax(axis=1)]


@candidate("expectation", NOT_NORMALISED)
def not_normalised(given: Densities) -> FloatArray:
    """Joint densities.

    The E-step's probabilities are weight times density, not divided by their sum over the classes.
    Divide, after subtracting the largest logarithm.
    """
    return np.exp(np.clip(given.joint, -745.0, 700.0))


@candidate("expectation", WRONG_AXIS)
def wrong_axis(given: Densities) -> FloatArray:
    """Columns that sum to one.

    The E-step normalises over the units within each class, so that a class's probabilities sum to
    one over the units; a unit's must sum to one over the classes. Normalise along the other axis.
    """
    return np.asarray(softmax(given.joint, axis=0))


@candidate("expectation", "rows in place of units", when=_has_long_units)
def rows_as_units(given: Densities) -> FloatArray:
    """Bayes' rule for each row.

    The E-step gives every row probabilities of its own, as if each row were a unit, although all
    rows of a unit are in one class. Add the log-densities of a unit's rows before normalising.
    """
    return np.asarray(softmax(given.row_log_density + given.log_weights, axis=1))


@candidate("expectation", "rows' probabilities averaged", when=_has_long_units)
def averaged_rows(given: Densities) -> FloatArray:
    """Mean of the rows' probabilities.

    The E-step gives every row probabilities of its own and averages them over a unit's rows. Add
    the log-densities of a unit's rows before normalising.
    """
    return given.rows.by_unit(rows_as_units(given)) / given.rows.n_rows[:, None]


@candidate("expectation", "mean in place of sum in the E-step", when=_has_long_units)
def mean_of_rows(given: Densities) -> FloatArray:
    """Mean log-density of a unit's rows.

    The E-step takes the mean of the log-densities of a unit's rows where their sum belongs, so that
    a long unit tells no more about its class than a short one. Sum.
    """
    mean = given.log_density / given.rows.n_rows[:, None]
    return np.asarray(softmax(mean + given.log_weights, axis=1))


@candidate("expectation", "class weights counted once per row", when=_has_long_units)
def weights_by_row(given: Densities) -> FloatArray:
    """Weights to the power of the rows.

    The E-step multiplies by the class weight for every row of a unit, although a unit is in one
    class. Add the logarithm of the weight once, after summing over the unit's rows.
    """
    prior = np.outer(given.rows.n_rows, given.log_weights)
    return np.asarray(softmax(given.log_density + prior, axis=1))


@candidate("expectation", "densities added in place of multiplied", when=_has_long_units)
def added_densities(given: Densities) -> FloatArray:
    """Sum of the rows' densities.

    The E-step adds the densities of a unit's rows, where their product belongs. Add the logarithms.
    """
    highest = given.row_log_density.max()
    total = given.rows.by_unit(np.exp(given.row_log_density - highest)) * given.weights
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def temperature(gap: Callable[[float], FloatArray]) -> float:
    """The power whose responsibilities come nearest to the foreign step, by `gap`."""
    grid = np.linspace(-4.0, 3.0, 29)
    start = min(grid, key=lambda power: float(np.square(gap(float(np.exp(power)))).sum()))

    def at(power: FloatArray) -> FloatArray:
        return gap(float(np.exp(power[0])))

    optimum = least_squares(at, np.array([start]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return float(np.exp(optimum.x[0]))


@candidate("expectation", "tempering", estimate=temperature)
def tempered(given: Densities, power: float) -> FloatArray:
    """Joint densities to a power.

    The E-step raises weight times density to the power {constant} before it normalises: that is
    tempered (annealed) EM, whose fixed points are not this likelihood's maxima unless the power
    ends at one. Use the power one.
    """
    return np.asarray(softmax(power * given.joint, axis=1))


@candidate("expectation", "tempering", estimate=temperature)
def tempered_densities(given: Densities, power: float) -> FloatArray:
    """Densities to a power.

    The E-step raises the densities, not the class weights, to the power {constant} before it
    normalises: that is tempered (annealed) EM, whose fixed points are not this likelihood's maxima
    unless the power ends at one. Use the power one.
    """
    return np.asarray(softmax(power * given.log_density + given.log_weights, axis=1))
