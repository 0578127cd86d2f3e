"""Candidates for the M-step: weights, alignment, data, residuals and divisor.

``weights`` candidates take `Assigned` and give (K,); ``alignment`` candidates take it and
give regression weights by unit (G, K) or by row (N, K); ``data`` candidates take `Rows` and
name a version; ``residuals`` candidates take `Assigned` and `Regression` and give
cross-products (K, m, m); ``divisor`` candidates take `Counts` and give (K,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.auditing.registry import candidate
from mixcompare.auditing.regression import Regression, cross_products
from mixcompare.auditing.rows import Rows
from mixcompare.backends.em.parameters import Parameters
from mixcompare.panel import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """Rows, responsibilities (G, K), and the parameters before the step."""

    rows: Rows
    responsibilities: FloatArray
    before: Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What a variance may be divided by; of all classes together if it is shared.

    Attributes
    ----------
    contrasts, weighted_rows, units
        (K,) weighted degrees of freedom, rows and units.
    rows, covariates, components
        N, p, K.
    rank
        Rank of the stacked design: a class without weight adds nothing.
    shared
        Whether one variance is pooled over the classes.
    """

    contrasts: FloatArray
    weighted_rows: FloatArray
    units: FloatArray
    rows: int
    covariates: int
    rank: int
    components: int
    shared: bool


@candidate("weights", "", "", kind="exact")
def exact_weights(given: Assigned) -> FloatArray:
    """Mean responsibility of the units."""
    return np.asarray(given.responsibilities.mean(axis=0))


@candidate(
    "weights",
    "weights count rows instead of units",
    "The class weights average over rows, so that long units count more. A unit is in one class: "
    "average its probabilities once per unit.",
)
def row_weights(given: Assigned) -> FloatArray:
    """Mean responsibility of the rows."""
    return given.rows.n_rows @ given.responsibilities / given.rows.total


@candidate(
    "weights",
    "weights divided by the number of rows",
    "The class weights sum over units but are divided by the number of rows, so that they do not "
    "sum to one. Divide by the number of units.",
)
def over_rows(given: Assigned) -> FloatArray:
    """Sum over the units divided by N."""
    return np.asarray(given.responsibilities.sum(axis=0) / given.rows.total)


@candidate(
    "weights",
    "weights divided by the number of units less one",
    "The class weights are divided by the number of units less one, so that they do not sum to "
    "one. Divide by the number of units.",
)
def over_units_less_one(given: Assigned) -> FloatArray:
    """Sum over the units divided by G - 1."""
    tau = given.responsibilities
    return np.asarray(tau.sum(axis=0) / max(len(tau) - 1, 1))


@candidate(
    "weights",
    "weights not updated",
    "The class weights stay what they were. Set them to the mean responsibilities.",
)
def old_weights(given: Assigned) -> FloatArray:
    """The weights before the step."""
    return given.before.weights


@candidate("alignment", "", "", kind="exact")
def aligned(given: Assigned) -> FloatArray:
    """Each row is weighted by its own unit's responsibilities."""
    return given.responsibilities


def _stacked(given: Assigned, order: IntArray) -> FloatArray:
    """Weights of row n and class j that stand at place j N + n of the observation-major order."""
    by_row = given.responsibilities[given.rows.unit][order]
    n, k = by_row.shape
    back = np.empty((n, k))
    back[order] = by_row.ravel().reshape(k, n).T
    return back


def _concatenated(given: Assigned, order: IntArray) -> FloatArray:
    """The reverse: segment-major weights against an observation-major design."""
    by_row = given.responsibilities[given.rows.unit][order]
    n, k = by_row.shape
    back = np.empty((n, k))
    back[order] = by_row.T.ravel().reshape(n, k)
    return back


_MISALIGNED = "weights in observation-major order"
_MISALIGNED_STATEMENT = (
    "The regression's weights are stacked observation by observation (as DataFrame.stack of an "
    "(N, K) table does) while its design is stacked class by class (as kron(I_K, X) is), so that "
    "rows are weighted by other rows' probabilities of other classes. Stack both alike: "
    "weights.T.ravel()."
)
_REVERSED = "weights in class-major order"
_REVERSED_STATEMENT = (
    "The regression's weights are stacked class by class while its design is stacked observation "
    "by observation, so that rows are weighted by other rows' probabilities. Stack both alike."
)


@candidate("alignment", _MISALIGNED, _MISALIGNED_STATEMENT)
def stacked_as_given(given: Assigned) -> FloatArray:
    """Rows in the order of the table."""
    return _stacked(given, given.rows.table_order)


@candidate("alignment", _MISALIGNED, _MISALIGNED_STATEMENT)
def stacked_sorted(given: Assigned) -> FloatArray | None:
    """Rows sorted by unit and cell."""
    order = np.arange(given.rows.total)
    return None if np.array_equal(order, given.rows.table_order) else _stacked(given, order)


@candidate("alignment", _REVERSED, _REVERSED_STATEMENT)
def concatenated_as_given(given: Assigned) -> FloatArray:
    """Rows in the order of the table."""
    return _concatenated(given, given.rows.table_order)


@candidate("alignment", _REVERSED, _REVERSED_STATEMENT)
def concatenated_sorted(given: Assigned) -> FloatArray | None:
    """Rows sorted by unit and cell."""
    order = np.arange(given.rows.total)
    return None if np.array_equal(order, given.rows.table_order) else _concatenated(given, order)


@candidate(
    "alignment",
    "regression weights squared",
    "The rows are multiplied by the probabilities, not by their square roots, so that the "
    "regression's weights are squared. Multiply rows by the square root.",
)
def squared(given: Assigned) -> FloatArray:
    """Rows times tau."""
    return given.responsibilities**2


@candidate(
    "alignment",
    "regression weights rooted",
    "The square roots of the probabilities are passed as weights to a routine that takes the root "
    "itself. Pass the probabilities.",
)
def rooted(given: Assigned) -> FloatArray:
    """Rows times the fourth root."""
    return np.sqrt(given.responsibilities)


@candidate(
    "alignment",
    "regression without weights",
    "Every class's regression weights all rows alike, so that all classes get the pooled fit. Pass "
    "the class's probabilities as weights.",
)
def unweighted(given: Assigned) -> FloatArray:
    """Ordinary least squares."""
    return np.ones_like(given.responsibilities)


def _version(rows: Rows, name: str) -> str | None:
    return name if name in rows.versions else None


@candidate("data", "", "", kind="exact")
def exact_data(rows: Rows) -> str | None:
    """Rows with the effects removed."""
    return _version(rows, "exact")


@candidate(
    "data",
    "M-step without removing the effects",
    "The M-step regresses raw outcomes on raw covariates, so that the absorbed effects bias the "
    "coefficients. Use the within-transformed rows.",
)
def raw_data(rows: Rows) -> str | None:
    """Raw outcomes and covariates."""
    return _version(rows, "raw")


@candidate(
    "data",
    "M-step mixes raw covariates with transformed outcomes",
    "The M-step regresses within-transformed outcomes on raw covariates. Transform both.",
)
def raw_covariates(rows: Rows) -> str | None:
    """Only the outcomes have lost their effects."""
    return _version(rows, "raw covariates")


@candidate(
    "data",
    "M-step mixes raw outcomes with transformed covariates",
    "The M-step regresses raw outcomes on within-transformed covariates: the coefficients are "
    "right, but the effects stay in the residuals. Transform both.",
)
def raw_outcomes(rows: Rows) -> str | None:
    """Only the covariates have lost their effects."""
    return _version(rows, "raw outcomes")


@candidate(
    "data",
    "M-step centred by unit",
    "The M-step's rows are centred by unit, not by the absorbed cells. Centre by the cells.",
)
def centred_by_unit(rows: Rows) -> str | None:
    """Deviations from the unit's mean."""
    return _version(rows, "centred by unit")


@candidate("residuals", "", "", kind="exact")
def own_residuals(_: Assigned, regression: Regression) -> FloatArray:
    """Residuals of the step's own regression."""
    return regression.scatter


@candidate(
    "residuals",
    "variance from other weights than the coefficients",
    "The variance weights the residuals rightly, but the coefficients come from a regression "
    "with other weights or rows.",
    kind="note",
)
def aligned_residuals(given: Assigned, regression: Regression) -> FloatArray:
    """Exact rows and weights, the step's coefficients."""
    return _residuals_at(given, regression.coefficients)


@candidate(
    "residuals",
    "variance from the previous coefficients",
    "The variance is computed from the residuals of the coefficients before the step. The "
    "log-likelihood still rises (an ECM step), only more slowly. Use the new ones.",
    kind="note",
)
def old_residuals(given: Assigned, _: Regression) -> FloatArray:
    """Exact rows and weights, the previous coefficients."""
    return _residuals_at(given, given.before.coefficients)


def _residuals_at(given: Assigned, coefficients: FloatArray) -> FloatArray:
    gram = np.tensordot(given.responsibilities, given.rows.versions["exact"].gram, axes=(0, 0))
    return cross_products(gram, coefficients)
