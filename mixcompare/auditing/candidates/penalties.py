"""Candidates for what a program makes of its weighted least squares.

They take `Assigned` and `Regression` and give the regression with other coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.candidates.weights import DAMPING, DAMPING_STATEMENT
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import Sides, candidate, damping, positive, slope
from mixcompare.auditing.regression import Regression
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray

type Fitted = tuple[Assigned, Regression]

RIDGE: Final = "ridge"


@candidate("penalty")
def least_squares(_: Assigned, regression: Regression) -> Regression:
    """Weighted least squares."""
    return regression


@candidate("penalty", "coefficients not updated")
def not_updated(given: Assigned, regression: Regression) -> Regression:
    """The coefficients before the step.

    The coefficients stay what they were. Set them to those of the weighted regressions.
    """
    return regression.at(given.before.coefficients)


def _fraction(given: Sequence[Fitted], after: Sequence[Parameters]) -> float:
    def sides(assigned: Assigned, regression: Regression, new: FloatArray) -> Sides:
        old, determined = assigned.before.coefficients, regression.determined
        return (
            (regression.least_squares - old)[determined].ravel(),
            (new - old)[determined].ravel(),
        )

    steps = zip(given, after, strict=True)
    return float(damping(slope(sides(*fitted, new.coefficients) for fitted, new in steps)))


@candidate("penalty", DAMPING, statement="The coefficients" + DAMPING_STATEMENT, estimate=_fraction)
def damped(given: Assigned, regression: Regression, fraction: float) -> Regression:
    """Between the old coefficients and the M-step's."""
    old = given.before.coefficients
    return regression.at(old + fraction * (regression.least_squares - old))


# By class, what a ridge's constant is multiplied with.
type Sizes = Callable[[Assigned, Regression], FloatArray]


def _one(_: Assigned, regression: Regression) -> FloatArray:
    return np.ones(len(regression.gram))


def _mass(given: Assigned, regression: Regression) -> FloatArray:
    return given.rows.mass(regression.weights)


def _variance(given: Assigned, _: Regression) -> FloatArray:
    scale = given.rows.raw_scale
    return np.asarray(np.diagonal(given.before.covariance, axis1=1, axis2=2).mean(axis=1)) * float(
        np.square(scale).mean()
    )


def _penalised(rows: Rows, *, intercept: bool) -> FloatArray:
    """(p, 1) whether a raw coefficient is penalised."""
    constant = rows.is_constant[:, None]
    return np.ones(constant.shape) if intercept else np.where(constant, 0.0, 1.0)


def _estimate(
    ridge: tuple[Sizes, bool], given: Sequence[Fitted], after: Sequence[Parameters]
) -> float:
    """From X'W(y - X b) = c size_k b, which is linear in c (raw units, in whitened coordinates)."""
    sizes, intercept = ridge
    if not intercept and not given[0][0].rows.is_constant.any():
        return np.nan

    def sides(assigned: Assigned, regression: Regression, new: FloatArray) -> Sides:
        rows, (gram, cross) = assigned.rows, regression.normal_equations
        raw = rows.pooled + rows.unwhiten @ new * rows.raw_scale
        pull = rows.unwhiten.T @ (_penalised(rows, intercept=intercept) * raw) / rows.raw_scale
        mass = np.maximum(_mass(assigned, regression), 1e-9)[:, None, None]
        left = sizes(assigned, regression)[:, None, None] * pull / mass
        return left.ravel(), ((cross - gram @ new) / mass).ravel()

    steps = zip(given, after, strict=True)
    return float(positive(slope(sides(*fitted, new.coefficients) for fitted, new in steps)))


def _ridge(
    ridge: tuple[Sizes, bool], given: Assigned, regression: Regression, constant: float
) -> Regression:
    sizes, intercept = ridge
    rows, (gram, cross) = given.rows, regression.normal_equations
    penalised = _penalised(rows, intercept=intercept)
    size = constant * sizes(given, regression)[:, None, None]
    left = gram + size * (rows.unwhiten.T @ (penalised * rows.unwhiten))
    right = cross - size * (rows.unwhiten.T @ (penalised * rows.pooled) / rows.raw_scale)
    try:
        return regression.at(np.linalg.solve(left, right))
    except np.linalg.LinAlgError:
        return regression.at(np.full_like(right, np.nan))


for _sizes, _times in (
    (_one, ""),
    (_mass, " times the class's rows"),
    (_variance, " times the class's variance"),
):
    for _intercept, _but in ((True, ""), (False, ", the intercept's excepted")):
        candidate(
            "penalty",
            RIDGE,
            statement=f"The regressions are ridge regressions: {{constant}}{_times} is added to "
            f"the diagonal of the cross-products of the covariates{_but}. That pulls the "
            "coefficients towards zero and is not this likelihood's maximum. Add nothing, or write "
            "the penalty into the model as a prior.",
            variants=((_sizes, _intercept),),
            estimate=_estimate,
        )(_ridge)
