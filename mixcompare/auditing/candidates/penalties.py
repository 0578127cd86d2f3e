"""Candidates for what a program makes of its weighted least squares.

They take `Assigned` and `Regression` and give the regression with other coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.candidates.weights import DAMPING, DAMPING_STATEMENT, damped_fraction
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import candidate, slope
from mixcompare.auditing.regression import Regression
from mixcompare.base.arrays import FloatArray

type Fitted = tuple[Assigned, Regression]

RIDGE: Final = "ridge"
_RIDGE_END: Final = (
    " That pulls the coefficients towards zero and is not this likelihood's maximum. Add nothing, "
    "or write the penalty into the model as a prior."
)


@candidate("penalty", "", "", kind="exact")
def least_squares(_: Assigned, regression: Regression) -> Regression:
    """Weighted least squares."""
    return regression


@candidate(
    "penalty",
    "coefficients not updated",
    "The coefficients stay what they were. Set them to those of the weighted regressions.",
)
def not_updated(given: Assigned, regression: Regression) -> Regression:
    """The coefficients before the step."""
    return regression.at(given.before.coefficients)


def _fraction(given: Sequence[Fitted], after: Sequence[Parameters]) -> float:
    left, right = [], []
    for (one, regression), new in zip(given, after, strict=True):
        old = one.before.coefficients
        left.append((regression.least_squares - old)[regression.determined].ravel())
        right.append((new.coefficients - old)[regression.determined].ravel())
    return damped_fraction(np.concatenate(left), np.concatenate(right))


@candidate("penalty", DAMPING, "The coefficients" + DAMPING_STATEMENT, estimate=_fraction)
def damped(given: Assigned, regression: Regression, fraction: float) -> Regression:
    """Between the old coefficients and the M-step's."""
    old = given.before.coefficients
    return regression.at(old + fraction * (regression.least_squares - old))


type Sizes = Callable[[Assigned, Regression], FloatArray]


def _one(_: Assigned, regression: Regression) -> FloatArray:
    return np.ones(len(regression.gram))


def _mass(given: Assigned, regression: Regression) -> FloatArray:
    weights = regression.weights
    units = given.rows.are_units(weights)
    return np.asarray(given.rows.n_rows @ weights if units else weights.sum(axis=0))


def _variance(given: Assigned, _: Regression) -> FloatArray:
    scale = given.rows.raw_scale
    return np.asarray(np.diagonal(given.before.covariance, axis1=1, axis2=2).mean(axis=1)) * float(
        np.square(scale).mean()
    )


def _kept(given: Assigned, *, intercept: bool) -> FloatArray:
    """(p,) whether a raw coefficient is penalised."""
    constant = given.rows.is_constant
    return np.ones(len(constant)) if intercept else np.where(constant, 0.0, 1.0)


def _estimate(
    sizes: Sizes, given: Sequence[Fitted], after: Sequence[Parameters], *, intercept: bool
) -> float:
    """From X'W(y - X b) = c size_k b, which is linear in c (raw units, in whitened coordinates)."""
    if not intercept and not given[0][0].rows.is_constant.any():
        return np.nan
    left, right = [], []
    for (one, regression), new in zip(given, after, strict=True):
        rows, (gram, cross) = one.rows, regression.normal_equations
        raw = rows.pooled + rows.unwhiten @ new.coefficients * rows.raw_scale
        pull = rows.unwhiten.T @ (_kept(one, intercept=intercept)[:, None] * raw) / rows.raw_scale
        mass = np.maximum(_mass(one, regression), 1e-9)[:, None, None]
        left.append((sizes(one, regression)[:, None, None] * pull / mass).ravel())
        right.append(((cross - gram @ new.coefficients) / mass).ravel())
    found = slope(np.concatenate(left), np.concatenate(right))
    return found if found > 0 else np.nan


def _penalised(
    sizes: Sizes, given: Assigned, regression: Regression, constant: float, *, intercept: bool
) -> Regression:
    rows, (gram, cross) = given.rows, regression.normal_equations
    kept = _kept(given, intercept=intercept)[:, None]
    size = constant * sizes(given, regression)[:, None, None]
    left = gram + size * (rows.unwhiten.T @ (kept * rows.unwhiten))
    right = cross - size * (rows.unwhiten.T @ (kept * rows.pooled) / rows.raw_scale)
    try:
        return regression.at(np.linalg.solve(left, right))
    except np.linalg.LinAlgError:
        return regression.at(np.full_like(right, np.nan))


def _register(sizes: Sizes, what: str, *, intercept: bool) -> None:
    """One candidate of a ridge: its size by class, and whether it pulls the intercept too."""

    def estimate(given: Sequence[Fitted], after: Sequence[Parameters]) -> float:
        return _estimate(sizes, given, after, intercept=intercept)

    def ridge(given: Assigned, regression: Regression, constant: float) -> Regression:
        return _penalised(sizes, given, regression, constant, intercept=intercept)

    pulled = "" if intercept else ", the intercept's excepted"
    statement = (
        f"The regressions are ridge regressions: {{constant}}{what} is added to the diagonal of "
        f"the cross-products of the covariates{pulled}." + _RIDGE_END
    )
    candidate("penalty", RIDGE, statement, estimate=estimate)(ridge)


for _sizes, _what in (
    (_one, ""),
    (_mass, " times the class's rows"),
    (_variance, " times the class's variance"),
):
    _register(_sizes, _what, intercept=True)
    _register(_sizes, _what, intercept=False)
