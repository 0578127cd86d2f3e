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


def _version(rows: Rows, name: str) -> str | None:
    return name if name in rows.versions else None


@candidate("expectation data", "", "", kind="exact")
def exact_data(rows: Rows) -> str | None:
    """Rows with the effects removed; effects estimated and added back are the same."""
    return _version(rows, "exact")


@candidate(
    "expectation data",
    "E-step without the effects",
    "The E-step takes residuals of the raw outcomes from the raw covariates without the absorbed "
    "effects (the intercepts), while the coefficients are those of within-transformed data. Use "
    "the within-transformed rows in both steps, or add each class's own effects back.",
)
def raw_data(rows: Rows) -> str | None:
    """Raw outcomes and covariates, intercepts lost."""
    return _version(rows, "raw")


@candidate(
    "expectation data",
    "E-step mixes raw covariates with transformed outcomes",
    "The E-step subtracts predictions from raw covariates from within-transformed outcomes. "
    "Transform both.",
)
def raw_covariates(rows: Rows) -> str | None:
    """Only the outcomes have lost their effects."""
    return _version(rows, "raw covariates")


@candidate(
    "expectation data",
    "E-step mixes raw outcomes with transformed covariates",
    "The E-step subtracts predictions from within-transformed covariates from raw outcomes. "
    "Transform both.",
)
def raw_outcomes(rows: Rows) -> str | None:
    """Only the covariates have lost their effects."""
    return _version(rows, "raw outcomes")


@candidate(
    "expectation data",
    "E-step centred by unit",
    "The E-step's rows are centred by unit, not by the absorbed cells. Centre by the cells.",
)
def centred_by_unit(rows: Rows) -> str | None:
    """Deviations from the unit's mean."""
    return _version(rows, "centred by unit")


@candidate(
    "expectation data",
    "E-step adds the pooled fit's effects back",
    "The E-step adds one set of effects, that of the pooled fit, back for every class. Each class "
    "has effects of its own: the cell's mean outcome less that class's prediction.",
)
def pooled_effects(rows: Rows) -> str | None:
    """Effects of the pooled least-squares fit."""
    return _version(rows, "pooled effects")


@candidate(
    "expectation data",
    "E-step without the intercept",
    "The E-step's predictions leave the intercept out. Add it.",
)
def no_intercept(rows: Rows) -> str | None:
    """The constant column is lost."""
    return _version(rows, "no intercept")


@candidate("expectation", "", "", kind="exact")
def bayes(given: Densities) -> FloatArray:
    """Bayes' rule."""
    return np.asarray(softmax(given.joint, axis=1))


@candidate(
    "expectation",
    "E-step without the class weights",
    "The E-step's class probabilities are computed from the densities alone, as if all classes "
    "were equally large. Multiply each density by its class's weight.",
)
def without_weights(given: Densities) -> FloatArray:
    """Flat prior on the classes."""
    return np.asarray(softmax(given.log_density, axis=1))


@candidate(
    "expectation",
    "hard assignment",
    "Each unit is given wholly to its most probable class: that is classification EM (Celeux & "
    "Govaert 1992), which does not maximise this likelihood. Keep the probabilities.",
)
def hard(given: Densities) -> FloatArray:
    """Zeros and ones."""
    return np.eye(given.joint.shape[1])[given.joint.argmax(axis=1)]


@candidate(
    "expectation",
    NOT_NORMALISED,
    "The E-step's probabilities are weight times density, not divided by their sum over the "
    "classes. Divide, after subtracting the largest logarithm.",
)
def not_normalised(given: Densities) -> FloatArray:
    """Joint densities."""
    return np.exp(np.clip(given.joint, -745.0, 700.0))


@candidate(
    "expectation",
    WRONG_AXIS,
    "The E-step normalises over the units within each class, so that a class's probabilities sum "
    "to one over the units; a unit's must sum to one over the classes. Normalise along the other "
    "axis.",
)
def wrong_axis(given: Densities) -> FloatArray:
    """Columns that sum to one."""
    return np.asarray(softmax(given.joint, axis=0))


@candidate(
    "expectation",
    "rows in place of units",
    "The E-step gives every row probabilities of its own, as if each row were a unit, although all "
    "rows of a unit are in one class. Add the log-densities of a unit's rows before normalising.",
)
def rows_as_units(given: Densities) -> FloatArray | None:
    """Bayes' rule for each row."""
    if (given.n_rows == 1).all():
        return None
    return np.asarray(softmax(given.row_log_density + given.log_weights, axis=1))


@candidate(
    "expectation",
    "rows' probabilities averaged",
    "The E-step gives every row probabilities of its own and averages them over a unit's rows. Add "
    "the log-densities of a unit's rows before normalising.",
)
def averaged_rows(given: Densities) -> FloatArray | None:
    """Mean of the rows' probabilities."""
    by_row = rows_as_units(given)
    return None if by_row is None else given.by_unit(by_row) / given.n_rows[:, None]


@candidate(
    "expectation",
    "mean in place of sum in the E-step",
    "The E-step takes the mean of the log-densities of a unit's rows where their sum belongs, so "
    "that a long unit tells no more about its class than a short one. Sum.",
)
def mean_of_rows(given: Densities) -> FloatArray | None:
    """Mean log-density of a unit's rows."""
    if (given.n_rows == 1).all():
        return None
    mean = given.log_density / given.n_rows[:, None]
    return np.asarray(softmax(mean + given.log_weights, axis=1))


@candidate(
    "expectation",
    "class weights counted once per row",
    "The E-step multiplies by the class weight for every row of a unit, although a unit is in one "
    "class. Add the logarithm of the weight once, after summing over the unit's rows.",
)
def weights_by_row(given: Densities) -> FloatArray | None:
    """Weights to the power of the rows."""
    if (given.n_rows == 1).all():
        return None
    prior = np.outer(given.n_rows, given.log_weights)
    return np.asarray(softmax(given.log_density + prior, axis=1))


@candidate(
    "expectation",
    "densities added in place of multiplied",
    "The E-step adds the densities of a unit's rows, where their product belongs. Add the "
    "logarithms.",
)
def added_densities(given: Densities) -> FloatArray | None:
    """Sum of the rows' densities."""
    if (given.n_rows == 1).all():
        return None
    highest = given.row_log_density.max()
    total = given.by_unit(np.exp(given.row_log_density - highest)) * given.weights
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def temperature(gap: Callable[[float], FloatArray]) -> float:
    """The power whose responsibilities come nearest to the foreign step, by `gap`."""
    grid = np.linspace(-4.0, 3.0, 29)
    start = min(grid, key=lambda power: float(np.square(gap(float(np.exp(power)))).sum()))

    def at(power: FloatArray) -> FloatArray:
        return gap(float(np.exp(power[0])))

    found = least_squares(at, np.array([start]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return float(np.exp(found.x[0]))


@candidate(
    "expectation",
    "tempering",
    "The E-step raises weight times density to the power {constant} before it normalises: that is "
    "tempered (annealed) EM, whose fixed points are not this likelihood's maxima unless the power "
    "ends at one. Use the power one.",
    estimate=temperature,
)
def tempered(given: Densities, power: float) -> FloatArray:
    """Joint densities to a power."""
    return np.asarray(softmax(power * given.joint, axis=1))


@candidate(
    "expectation",
    "tempering",
    "The E-step raises the densities, not the class weights, to the power {constant} before it "
    "normalises: that is tempered (annealed) EM, whose fixed points are not this likelihood's "
    "maxima unless the power ends at one. Use the power one.",
    estimate=temperature,
)
def tempered_densities(given: Densities, power: float) -> FloatArray:
    """Densities to a power."""
    return np.asarray(softmax(power * given.log_density + given.log_weights, axis=1))
