"""Candidates for a (co)variance: the residuals' cross-products, and what is made of them.

``residuals`` candidates take `Assigned` and `Regression` and give `Squares`; ``covariance``
candidates take `Divided` and give (..., K, m, m).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.candidates.maximisation import MEAN_OF_ROWS
from mixcompare.auditing.candidates.weights import DAMPING, DAMPING_STATEMENT
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import candidate, slopes
from mixcompare.auditing.regression import Regression, cross_products, weighted_gram
from mixcompare.base.arrays import FloatArray

ADDED: Final = "constant added to the variances"


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """(K, m, m) cross-products of residuals and the weights (G or N, K) that divide them."""

    values: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """Cross-products over their divisors.

    Attributes
    ----------
    covariance
        (..., K, m, m) in the EM's coordinates.
    mass
        (..., K) rows of the classes.
    scale
        (m,) size of the outcomes' unit in raw units.
    before
        (K, m, m) covariances before the step.
    compared
        (K,) classes whose covariances are more than rounding.
    """

    covariance: FloatArray
    mass: FloatArray
    scale: FloatArray
    before: FloatArray
    compared: NDArray[np.bool_]


@candidate("residuals", "", "", kind="exact")
def own_residuals(_: Assigned, regression: Regression) -> Squares:
    """Residuals of the step's own regression."""
    return Squares(cross_products(regression.gram, regression.coefficients), regression.weights)


@candidate(
    "residuals",
    "variance from other weights than the coefficients",
    "The variance weights the residuals rightly, but the coefficients come from a regression "
    "with other weights or rows.",
    kind="note",
)
def aligned_residuals(given: Assigned, regression: Regression) -> Squares:
    """Exact rows and weights, the step's coefficients."""
    return _squares_at(given, given.responsibilities, regression.coefficients)


@candidate(
    "residuals",
    "variance from the previous coefficients",
    "The variance is computed from the residuals of the coefficients before the step. The "
    "log-likelihood still rises (an ECM step), only more slowly. Use the new ones.",
    kind="note",
)
def old_residuals(given: Assigned, _: Regression) -> Squares:
    """Exact rows and weights, the previous coefficients."""
    return _squares_at(given, given.responsibilities, given.before.coefficients)


@candidate("residuals", DAMPING, "The variances are those before damping.")
def undamped_residuals(_: Assigned, regression: Regression) -> Squares:
    """Residuals of the least-squares coefficients, whatever is made of these."""
    return Squares(cross_products(regression.gram, regression.least_squares), regression.weights)


_PREVIOUS: Final = "variance from the previous responsibilities"
_PREVIOUS_STATEMENT: Final = (
    "The variance weights the residuals with the probabilities of the iteration before, although "
    "the coefficients are of the newest. Use the newest in all of the M-step."
)


@candidate("residuals", _PREVIOUS, _PREVIOUS_STATEMENT)
def previous_residuals(given: Assigned, regression: Regression) -> Squares | None:
    """Squares and divisor of the responsibilities one step ago."""
    if given.previous is None:
        return None
    return _squares_at(given, given.previous, regression.coefficients)


@candidate("residuals", _PREVIOUS, _PREVIOUS_STATEMENT)
def previous_squares(given: Assigned, regression: Regression) -> Squares | None:
    """Squares of the responsibilities one step ago, the newest divisor."""
    if given.previous is None:
        return None
    squares = _squares_at(given, given.previous, regression.coefficients)
    return Squares(squares.values, given.responsibilities)


@candidate("residuals", _PREVIOUS, _PREVIOUS_STATEMENT)
def previous_divisor(given: Assigned, regression: Regression) -> Squares | None:
    """Divisor of the responsibilities one step ago, the newest squares."""
    if given.previous is None:
        return None
    squares = _squares_at(given, given.responsibilities, regression.coefficients)
    return Squares(squares.values, given.previous)


@candidate(
    "residuals",
    MEAN_OF_ROWS,
    "The variance averages each unit's squares and then the units, so that a long unit counts no "
    "more than a short one. Sum the squares of all rows and divide by the rows.",
)
def units_alike(given: Assigned, regression: Regression) -> Squares | None:
    """Each unit with the weight of one row."""
    rows, tau = given.rows, given.responsibilities
    if (rows.n_rows == rows.n_rows[0]).all() or not rows.are_units(tau):
        return None
    return _squares_at(given, tau / rows.n_rows[:, None], regression.coefficients)


@candidate(
    "residuals",
    "variance with squared probabilities",
    "The residuals are multiplied by the probabilities before they are squared, so that the "
    "variance weights them with the probabilities squared. Multiply the squares.",
)
def squared_weights(given: Assigned, regression: Regression) -> Squares:
    """Squared weights, the right divisor."""
    squares = _squares_at(given, given.responsibilities**2, regression.coefficients)
    return Squares(squares.values, given.responsibilities)


@candidate(
    "residuals",
    "variance around the mean",
    "The variance is that of the outcomes around their weighted mean, not of the residuals around "
    "the regression. Subtract the predictions.",
)
def around_the_mean(given: Assigned, _: Regression) -> Squares | None:
    """Cross-products of the raw outcomes less their weighted means."""
    rows = given.rows
    if rows.n_covariates < 2:
        return None
    version = rows.versions["exact"]
    y = version.outcomes + version.covariates @ (
        np.linalg.solve(rows.unwhiten, rows.pooled) / rows.raw_scale
    )
    values = []
    for tau in given.by_row.T:
        rest = y - tau @ y / tau.sum()
        values.append(rest.T @ (tau[:, None] * rest))
    return Squares(np.stack(values), given.responsibilities)


def _squares_at(given: Assigned, weights: FloatArray, coefficients: FloatArray) -> Squares:
    gram = weighted_gram(given.rows, "exact", weights)
    return Squares(cross_products(gram, coefficients), weights)


@candidate("covariance", "", "", kind="exact")
def as_divided(given: Divided) -> FloatArray:
    """Nothing else is done."""
    return given.covariance


def _identity(given: Divided) -> FloatArray:
    """(m, m) identity of raw units in the EM's coordinates."""
    return np.diag(given.scale**-2.0)


def _least_squares(left: Sequence[FloatArray], right: Sequence[FloatArray]) -> FloatArray:
    """The constants (...,) with constant left = right, over steps, classes and elements."""
    lead = np.broadcast_shapes(left[0].shape, right[0].shape)[:-3]
    flat = [
        np.concatenate(
            [np.broadcast_to(a, (*lead, *a.shape[-3:])).reshape(*lead, -1) for a in side], axis=-1
        )
        for side in (left, right)
    ]
    return slopes(*flat)


def _relative(values: FloatArray, after: FloatArray) -> FloatArray:
    """Divided by the variances of the foreign step, so that all classes count."""
    sd = np.sqrt(np.diagonal(after, axis1=1, axis2=2))
    return np.asarray(values / (sd[:, :, None] * sd[:, None, :]))


def _added(given: Sequence[tuple[Divided]], after: Sequence[Parameters]) -> FloatArray:
    left, right = [], []
    for (one,), new in zip(given, after, strict=True):
        kept, wanted = one.compared, new.covariance
        identity = np.broadcast_to(_identity(one), one.covariance.shape)
        left.append(_relative(identity, wanted)[..., kept, :, :])
        right.append(_relative(wanted - one.covariance, wanted)[..., kept, :, :])
    found = _least_squares(left, right)
    return np.where(found > 0, found, np.nan)


@candidate(
    "covariance",
    ADDED,
    "{constant} is added to every variance (each covariance's diagonal), as scikit-learn's "
    "reg_covar does. That keeps a covariance from becoming singular; the steps are those of EM but "
    "for this constant, and the log-likelihood may fall by a little near the end. Compare the "
    "constant with the smallest variance.",
    kind="note",
    estimate=_added,
)
def added(given: Divided, constant: FloatArray) -> FloatArray:
    """A multiple of the identity added, in raw units."""
    size = np.asarray(constant)[..., None, None, None]
    return np.asarray(given.covariance + size * _identity(given))


def _fraction(given: Sequence[tuple[Divided]], after: Sequence[Parameters]) -> FloatArray:
    left, right = [], []
    for (one,), new in zip(given, after, strict=True):
        kept, wanted = one.compared, new.covariance
        left.append(_relative(one.covariance - one.before, wanted)[..., kept, :, :])
        right.append(_relative(wanted - one.before, wanted)[..., kept, :, :])
    found = _least_squares(left, right)
    possible = (found > 0) & (found < 2) & (np.abs(found - 1) > 1e-6)
    return np.where(possible, found, np.nan)


@candidate("covariance", DAMPING, "The variances" + DAMPING_STATEMENT, estimate=_fraction)
def damped(given: Divided, fraction: FloatArray) -> FloatArray:
    """Between the old covariances and the M-step's."""
    part = np.asarray(fraction)[..., None, None, None]
    return np.asarray(given.before + part * (given.covariance - given.before))


@candidate(
    "covariance",
    "variance not updated",
    "The (co)variances stay what they were. Set them to those of the weighted residuals.",
)
def not_updated(given: Divided) -> FloatArray:
    """The covariances before the step."""
    return np.broadcast_to(given.before, given.covariance.shape)


def _off_diagonals(given: Divided, factor: float) -> FloatArray | None:
    m = len(given.scale)
    return None if m == 1 else given.covariance * (factor + (1 - factor) * np.eye(m))


@candidate(
    "covariance",
    "off-diagonals halved",
    "The covariances' off-diagonal elements are half of what they should be, as when a triangle is "
    "added to its transpose and halved. Keep them whole.",
)
def halved(given: Divided) -> FloatArray | None:
    """Half the off-diagonals."""
    return _off_diagonals(given, 0.5)


@candidate(
    "covariance",
    "off-diagonals left out",
    "The covariances' off-diagonal elements are zero, although the model has covariances. Compute "
    "them, or write covariance='diagonal' if none are meant.",
)
def left_out(given: Divided) -> FloatArray | None:
    """No off-diagonals."""
    return _off_diagonals(given, 0.0)


@candidate(
    "covariance",
    "off-diagonals doubled",
    "The covariances' off-diagonal elements are twice what they should be, as when a matrix that "
    "is whole already is added to its transpose. Keep them as they are.",
)
def doubled(given: Divided) -> FloatArray | None:
    """Twice the off-diagonals."""
    return _off_diagonals(given, 2.0)


@candidate(
    "covariance",
    "one covariance for all classes",
    "The M-step gives all classes the same, pooled (co)variance, although the model has one for "
    "each. Keep them apart, or write covariance_by='shared' if one is meant.",
)
def pooled(given: Divided) -> FloatArray | None:
    """Averaged with the classes' rows."""
    if given.covariance.shape[-3] < 2:
        return None
    share = given.mass / given.mass.sum(axis=-1, keepdims=True)
    mean = (share[..., None, None] * given.covariance).sum(axis=-3, keepdims=True)
    return np.broadcast_to(mean, given.covariance.shape)
