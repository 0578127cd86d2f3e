"""Candidates for the rows of an M-step's regressions, and their weights.

``alignment`` candidates take `Assigned` and give regression weights by unit (G, K) or by row
(N, K); ``data`` candidates take `Rows` and name a version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.batches import (
    FIRST_BATCH,
    FIRST_BATCH_STATEMENT,
    LAST_BATCH,
    LAST_BATCH_STATEMENT,
    masked,
    rows_in,
)
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import candidate
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray, IntArray

MEAN_OF_ROWS: Final = "mean in place of sum"


@candidate("alignment", "", "", kind="exact")
def aligned(given: Assigned) -> FloatArray:
    """Each row is weighted by its own unit's responsibilities."""
    return given.responsibilities


def _stacked(given: Assigned, order: IntArray) -> FloatArray:
    """Weights of row n and class j that stand at place j N + n of the observation-major order."""
    by_row = given.by_row[order]
    n, k = by_row.shape
    back = np.empty((n, k))
    back[order] = by_row.ravel().reshape(k, n).T
    return back


def _concatenated(given: Assigned, order: IntArray) -> FloatArray:
    """The reverse: segment-major weights against an observation-major design."""
    by_row = given.by_row[order]
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


@candidate(
    "alignment",
    "M-step from the previous responsibilities",
    "The regressions are weighted by the probabilities of the iteration before. Use the newest in "
    "all of the M-step.",
)
def previous(given: Assigned) -> FloatArray | None:
    """Responsibilities one step ago."""
    return given.previous


@candidate(
    "alignment",
    MEAN_OF_ROWS,
    "The M-step averages over a unit's rows where it should sum, so that a long unit counts no "
    "more than a short one. Weight every row with its unit's probability.",
)
def units_alike(given: Assigned) -> FloatArray | None:
    """Each unit with the weight of one row."""
    rows = given.rows
    if (rows.n_rows == rows.n_rows[0]).all() or not rows.are_units(given.responsibilities):
        return None
    return given.responsibilities / rows.n_rows[:, None]


@candidate(
    "alignment",
    "M-step with hard assignment",
    "The regressions take each unit wholly for its most probable class, although the class weights "
    "are averages of the probabilities. Weight with the probabilities.",
)
def hard(given: Assigned) -> FloatArray:
    """Zeros and ones."""
    tau = given.responsibilities
    return np.eye(tau.shape[1])[tau.argmax(axis=1)]


def _last_rows(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    return rows_in(given[0][0].rows.table_order, given, after)


@candidate("alignment", LAST_BATCH, LAST_BATCH_STATEMENT, estimate=_last_rows)
def last_batch(given: Assigned, size: float) -> FloatArray:
    """Rows at the end of the table."""
    return masked(given, given.rows.table_order[-int(size) :])


def _last_sorted(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    rows = given[0][0].rows
    order = np.arange(rows.total)
    return np.nan if np.array_equal(order, rows.table_order) else rows_in(order, given, after)


@candidate("alignment", LAST_BATCH, LAST_BATCH_STATEMENT, estimate=_last_sorted)
def last_batch_sorted(given: Assigned, size: float) -> FloatArray:
    """Rows of the last units when these are sorted."""
    return masked(given, np.arange(given.rows.total)[-int(size) :])


def _first_rows(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    return rows_in(given[0][0].rows.table_order[::-1], given, after)


@candidate("alignment", FIRST_BATCH, FIRST_BATCH_STATEMENT, estimate=_first_rows)
def first_batch(given: Assigned, size: float) -> FloatArray:
    """Rows at the beginning of the table."""
    return masked(given, given.rows.table_order[: int(size)])


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
