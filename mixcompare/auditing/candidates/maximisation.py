"""Candidates for the rows of an M-step's regressions, and their weights.

``alignment`` candidates take `Assigned` and give regression weights by unit (G, K) or by row
(N, K); ``data`` candidates take `Rows` and name a version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
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


def unequal_units(given: Assigned, *_: object) -> bool:
    """Whether units, which the responsibilities are of, differ in their numbers of rows."""
    rows = given.rows
    return bool((rows.n_rows != rows.n_rows[0]).any()) and rows.are_units(given.responsibilities)


@candidate("alignment")
def aligned(given: Assigned) -> FloatArray:
    """Each row is weighted by its own unit's responsibilities."""
    return given.responsibilities


# Of the table as it was given, and sorted by unit and cell if that is another order.
type _Order = Callable[[Rows], IntArray | None]
_ORDERS: Final[tuple[_Order, ...]] = (attrgetter("table_order"), attrgetter("sorted_order"))


@candidate("alignment", "weights in observation-major order", variants=_ORDERS)
def stacked(order: _Order, given: Assigned) -> FloatArray | None:
    """Weights of row n and class j that stand at place j N + n of the observation-major order.

    The regression's weights are stacked observation by observation (as DataFrame.stack of an (N, K)
    table does) while its design is stacked class by class (as kron(I_K, X) is), so that rows are
    weighted by other rows' probabilities of other classes. Stack both alike: weights.T.ravel().
    """
    return _misplaced(order(given.rows), given, lambda w: w.ravel().reshape(w.shape[::-1]).T)


@candidate("alignment", "weights in class-major order", variants=_ORDERS)
def concatenated(order: _Order, given: Assigned) -> FloatArray | None:
    """The reverse: segment-major weights against an observation-major design.

    The regression's weights are stacked class by class while its design is stacked observation by
    observation, so that rows are weighted by other rows' probabilities. Stack both alike.
    """
    return _misplaced(order(given.rows), given, lambda w: w.T.ravel().reshape(w.shape))


def _misplaced(
    order: IntArray | None, given: Assigned, change: Callable[[FloatArray], FloatArray]
) -> FloatArray | None:
    """Responsibilities (N, K) of rows in an order, changed; back in the panel's order."""
    if order is None:
        return None
    weights = np.empty((given.rows.total, given.responsibilities.shape[1]))
    weights[order] = change(given.by_row[order])
    return weights


@candidate("alignment", "regression weights squared")
def squared(given: Assigned) -> FloatArray:
    """Rows times tau.

    The rows are multiplied by the probabilities, not by their square roots, so that the
    regression's weights are squared. Multiply rows by the square root.
    """
    return given.responsibilities**2


@candidate("alignment", "regression weights rooted")
def rooted(given: Assigned) -> FloatArray:
    """Rows times the fourth root.

    The square roots of the probabilities are passed as weights to a routine that takes the root
    itself. Pass the probabilities.
    """
    return np.sqrt(given.responsibilities)


@candidate("alignment", "regression without weights")
def unweighted(given: Assigned) -> FloatArray:
    """Ordinary least squares.

    Every class's regression weights all rows alike, so that all classes get the pooled fit. Pass
    the class's probabilities as weights.
    """
    return np.ones_like(given.responsibilities)


@candidate("alignment", "M-step from the previous responsibilities")
def previous(given: Assigned) -> FloatArray | None:
    """Responsibilities one step ago.

    The regressions are weighted by the probabilities of the iteration before. Use the newest in all
    of the M-step.
    """
    return given.previous


@candidate("alignment", MEAN_OF_ROWS, when=unequal_units)
def units_alike(given: Assigned) -> FloatArray:
    """Each unit with the weight of one row.

    The M-step averages over a unit's rows where it should sum, so that a long unit counts no more
    than a short one. Weight every row with its unit's probability.
    """
    return given.responsibilities / given.rows.n_rows[:, None]


@candidate("alignment", "M-step with hard assignment")
def hard(given: Assigned) -> FloatArray:
    """Zeros and ones.

    The regressions take each unit wholly for its most probable class, although the class weights
    are averages of the probabilities. Weight with the probabilities.
    """
    tau = given.responsibilities
    return np.eye(tau.shape[1])[tau.argmax(axis=1)]


def _size(order: _Order, given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    rows = order(given[0][0].rows)
    return np.nan if rows is None else rows_in(rows, given, after)


def _reversed(rows: Rows) -> IntArray:
    return rows.table_order[::-1]


@candidate(
    "alignment",
    FIRST_BATCH,
    statement=FIRST_BATCH_STATEMENT,
    variants=(_reversed,),
    estimate=_size,
)
@candidate(
    "alignment", LAST_BATCH, statement=LAST_BATCH_STATEMENT, variants=_ORDERS, estimate=_size
)
def last_batch(order: _Order, given: Assigned, size: float) -> FloatArray:
    """Rows at the end of an order: of the table, or of the units; or of the table backwards."""
    rows = order(given.rows)
    assert rows is not None
    return masked(given, rows[-int(size) :])


@candidate("data")
def exact_data(rows: Rows) -> str | None:
    """Rows with the effects removed."""
    return rows.named("exact")


@candidate("data", "M-step without removing the effects")
def raw_data(rows: Rows) -> str | None:
    """Raw outcomes and covariates.

    The M-step regresses raw outcomes on raw covariates, so that the absorbed effects bias the
    coefficients. Use the within-transformed rows.
    """
    return rows.named("raw")


@candidate("data", "M-step mixes raw covariates with transformed outcomes")
def raw_covariates(rows: Rows) -> str | None:
    """Only the outcomes have lost their effects.

    The M-step regresses within-transformed outcomes on raw covariates. Transform both.
    """
    return rows.named("raw covariates")


@candidate("data", "M-step mixes raw outcomes with transformed covariates")
def raw_outcomes(rows: Rows) -> str | None:
    """Only the covariates have lost their effects.

    The M-step regresses raw outcomes on within-transformed covariates: the coefficients are right,
    but the effects stay in the residuals. Transform both.
    """
    return rows.named("raw outcomes")


@candidate("data", "M-step centred by unit")
def centred_by_unit(rows: Rows) -> str | None:
    """Deviations from the unit's mean.

    The M-step's rows are centred by unit, not by the absorbed cells. Centre by the cells.
    """
    return rows.named("centred by unit")
