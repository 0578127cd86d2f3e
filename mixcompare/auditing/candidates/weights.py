"""Candidates for the class weights: they take `Assigned` and give (K,)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.batches import (
    LAST_BATCH,
    LAST_BATCH_STATEMENT,
    last,
    last_units,
    last_units_over_all,
)
from mixcompare.auditing.candidates.expectation import NOT_NORMALISED, WRONG_AXIS
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import Sides, candidate, damping, positive, slope
from mixcompare.base.arrays import FloatArray

DAMPING = "damping"
DAMPING_STATEMENT = (
    " move only the fraction {constant} of the way from the old values to those of the M-step. The "
    "fixed points are the same, but a step is not EM's, and with a fraction above one the "
    "log-likelihood may fall. Take the M-step's values."
)


@candidate("weights")
def exact_weights(given: Assigned) -> FloatArray:
    """Mean responsibility of the units."""
    return np.asarray(given.responsibilities.mean(axis=0))


@candidate("weights", "weights count rows instead of units")
def row_weights(given: Assigned) -> FloatArray:
    """Mean responsibility of the rows.

    The class weights average over rows, so that long units count more. A unit is in one class:
    average its probabilities once per unit.
    """
    return np.asarray(given.by_row.mean(axis=0))


@candidate("weights", "weights divided by the number of rows")
def over_rows(given: Assigned) -> FloatArray:
    """Sum over the units divided by N.

    The class weights sum over units but are divided by the number of rows, so that they do not sum
    to one. Divide by the number of units.
    """
    return np.asarray(given.responsibilities.sum(axis=0) / given.rows.total)


@candidate("weights", "weights divided by the number of units less one")
def over_units_less_one(given: Assigned) -> FloatArray:
    """Sum over the units divided by G - 1.

    The class weights are divided by the number of units less one, so that they do not sum to one.
    Divide by the number of units.
    """
    tau = given.responsibilities
    return np.asarray(tau.sum(axis=0) / max(len(tau) - 1, 1))


@candidate("weights", "weights not updated")
def old_weights(given: Assigned) -> FloatArray:
    """The weights before the step.

    The class weights stay what they were. Set them to the mean responsibilities.
    """
    return given.before.weights


@candidate("weights", "weights not divided")
def not_divided(given: Assigned) -> FloatArray:
    """Sum over the units.

    The class weights are the sums of the probabilities over the units, not their means. Divide by
    the number of units.
    """
    return np.asarray(given.responsibilities.sum(axis=0))


@candidate("weights", NOT_NORMALISED)
@candidate("weights", WRONG_AXIS)
def normalised_afterwards(given: Assigned) -> FloatArray:
    """Sums to one whatever the responsibilities sum to.

    The class weights are normalised afterwards.
    """
    total = given.responsibilities.sum(axis=0)
    return np.asarray(total / total.sum())


@candidate("weights", "weights from the previous responsibilities")
def previous_mean(given: Assigned) -> FloatArray | None:
    """Mean responsibility one step ago.

    The class weights are means of the probabilities of the iteration before, beside coefficients
    from the newest. Use the newest in all of the M-step.
    """
    return None if given.previous is None else np.asarray(given.previous.mean(axis=0))


@candidate("weights", "weights count hard assignments")
def hard_shares(given: Assigned) -> FloatArray:
    """Shares of the largest responsibilities.

    The class weights are the shares of the units whose most probable class it is. Average the
    probabilities.
    """
    k = given.responsibilities.shape[1]
    counts = np.bincount(given.responsibilities.argmax(axis=1), minlength=k)
    return np.asarray(counts / counts.sum())


def _pseudo_count(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    """From w (G + K a) = n + a, which is linear in a."""

    def sides(assigned: Assigned, w: FloatArray) -> Sides:
        sums = assigned.responsibilities.sum(axis=0)
        return (len(w) * w - 1)[1:], (sums - sums.sum() * w)[1:]

    steps = zip(given, after, strict=True)
    return float(positive(slope(sides(assigned, new.weights) for (assigned,), new in steps)))


@candidate("weights", "smoothed weights", estimate=_pseudo_count)
def smoothed(given: Assigned, added: float) -> FloatArray:
    """(n_k + a) / (G + K a).

    The class weights are smoothed: {constant} is added to each class's sum of probabilities before
    dividing, as a Dirichlet prior does. That pulls the classes towards equal sizes and is not this
    likelihood's maximum. Add nothing.
    """
    sums = given.responsibilities.sum(axis=0)
    return np.asarray((sums + added) / (sums.sum() + len(sums) * added))


def _fraction(given: Sequence[tuple[Assigned]], after: Sequence[Parameters]) -> float:
    equations = (
        (
            (assigned.responsibilities.mean(axis=0) - assigned.before.weights)[1:],
            (new.weights - assigned.before.weights)[1:],
        )
        for (assigned,), new in zip(given, after, strict=True)
    )
    return float(damping(slope(equations)))


@candidate(
    "weights", DAMPING, statement="The class weights" + DAMPING_STATEMENT, estimate=_fraction
)
def damped(given: Assigned, fraction: float) -> FloatArray:
    """Between the old weights and the M-step's."""
    new = given.responsibilities.mean(axis=0)
    return np.asarray(given.before.weights + fraction * (new - given.before.weights))


@candidate("weights", LAST_BATCH, statement=LAST_BATCH_STATEMENT, estimate=last_units)
def last_batch(given: Assigned, units: float) -> FloatArray:
    """Mean responsibility of the last units."""
    return np.asarray(last(given, units).mean(axis=0))


@candidate("weights", LAST_BATCH, statement=LAST_BATCH_STATEMENT, estimate=last_units_over_all)
def last_batch_over_all(given: Assigned, units: float) -> FloatArray:
    """Sum over the last units divided by all."""
    return np.asarray(last(given, units).sum(axis=0) / len(given.responsibilities))
