"""Candidates for a (co)variance: the residuals' cross-products, and what is made of them.

``residuals`` candidates take `Assigned` and `Regression` and give `Squares`; ``covariance``
candidates take `Divided` and give (..., K, m, m).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.auditing.assigned import Assigned
from mixcompare.auditing.candidates.maximisation import MEAN_OF_ROWS, unequal_units
from mixcompare.auditing.candidates.weights import DAMPING, DAMPING_STATEMENT
from mixcompare.auditing.parameters import Parameters, scale_off_diagonals
from mixcompare.auditing.registry import Sides, candidate, damping, positive, slopes
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


@candidate("residuals")
def own_residuals(_: Assigned, regression: Regression) -> Squares:
    """Residuals of the step's own regression."""
    return Squares(cross_products(regression.gram, regression.coefficients), regression.weights)


@candidate("residuals", "variance from other weights than the coefficients", kind="note")
def aligned_residuals(given: Assigned, regression: Regression) -> Squares:
    """Exact rows and weights, the step's coefficients.

    The variance weights the residuals rightly, but the coefficients come from a regression with
    other weights or rows.
    """
    return _squares_at(given, given.responsibilities, regression.coefficients)


@candidate("residuals", "variance from the previous coefficients", kind="note")
def old_residuals(given: Assigned, _: Regression) -> Squares:
    """Exact rows and weights, the previous coefficients.

    The variance is computed from the residuals of the coefficients before the step. The
    log-likelihood still rises (an ECM step), only more slowly. Use the new ones.
    """
    return _squares_at(given, given.responsibilities, given.before.coefficients)


@candidate("residuals", DAMPING)
def undamped_residuals(_: Assigned, regression: Regression) -> Squares:
    """Residuals of the least-squares coefficients, whatever is made of these.

    The variances are those before damping.
    """
    return Squares(cross_products(regression.gram, regression.least_squares), regression.weights)


@candidate(
    "residuals",
    "variance from the previous responsibilities",
    variants=((True, True), (True, False), (False, True)),
    when=lambda given, _: given.previous is not None,
)
def previous_residuals(
    are_previous: tuple[bool, bool], given: Assigned, regression: Regression
) -> Squares:
    """Squares, their divisor, or both of the responsibilities one step ago.

    The variance weights the residuals with the probabilities of the iteration before, although the
    coefficients are of the newest. Use the newest in all of the M-step.
    """
    assert given.previous is not None
    weights, divisor = (
        given.previous if is_previous else given.responsibilities for is_previous in are_previous
    )
    return _squares_at(given, weights, regression.coefficients, divisor)


@candidate("residuals", MEAN_OF_ROWS, when=unequal_units)
def units_alike(given: Assigned, regression: Regression) -> Squares:
    """Each unit with the weight of one row.

    The variance averages each unit's squares and then the units, so that a long unit counts no more
    than a short one. Sum the squares of all rows and divide by the rows.
    """
    weights = given.responsibilities / given.rows.n_rows[:, None]
    return _squares_at(given, weights, regression.coefficients)


@candidate("residuals", "variance with squared probabilities")
def squared_weights(given: Assigned, regression: Regression) -> Squares:
    """Squared weights, the right divisor.

    The residuals are multiplied by the probabilities before they are squared, so that the variance
    weights them with the probabilities squared. Multiply the squares.
    """
    tau = given.responsibilities
    return _squares_at(given, tau**2, regression.coefficients, tau)


@candidate(
    "residuals", "variance around the mean", when=lambda given, _: given.rows.n_covariates > 1
)
def around_the_mean(given: Assigned, _: Regression) -> Squares:
    """Cross-products of the raw outcomes less their weighted means.

    The variance is that of the outcomes around their weighted mean, not of the residuals around the
    regression. Subtract the predictions.
    """
    rows = given.rows
    version = rows.versions["exact"]
    y = version.outcomes + version.covariates @ (
        np.linalg.solve(rows.unwhiten, rows.pooled) / rows.raw_scale
    )
    values = []
    for tau in given.by_row.T:
        rest = y - tau @ y / tau.sum()
        values.append(rest.T @ (tau[:, None] * rest))
    return Squares(np.stack(values), given.responsibilities)


def _squares_at(
    given: Assigned,
    weights: FloatArray,
    coefficients: FloatArray,
    divisor: FloatArray | None = None,
) -> Squares:
    gram = weighted_gram(given.rows, "exact", weights)
    return Squares(cross_products(gram, coefficients), weights if divisor is None else divisor)


@candidate("covariance")
def as_divided(given: Divided) -> FloatArray:
    """Nothing else is done."""
    return given.covariance


def _identity(given: Divided) -> FloatArray:
    """(m, m) identity of raw units in the EM's coordinates."""
    return np.diag(given.scale**-2.0)


def _constants(
    given: Sequence[tuple[Divided]],
    after: Sequence[Parameters],
    sides: Callable[[Divided, FloatArray], Sides],
) -> FloatArray:
    """Of equations (..., K, m, m) in each step, over classes that are compared and all elements.

    They are divided by the variances of the foreign step, so that all classes count.
    """

    def relative(values: FloatArray, divided: Divided, new: FloatArray) -> FloatArray:
        sd = np.sqrt(np.diagonal(new, axis1=1, axis2=2))
        return np.asarray(values / (sd[:, :, None] * sd[:, None, :]))[..., divided.compared, :, :]

    def equations() -> Iterator[Sides]:
        for (divided,), parameters in zip(given, after, strict=True):
            new = parameters.covariance
            left, right = sides(divided, new)
            yield relative(left, divided, new), relative(right, divided, new)

    return slopes(equations(), axes=3)


def _added(given: Sequence[tuple[Divided]], after: Sequence[Parameters]) -> FloatArray:
    return positive(
        _constants(given, after, lambda old, new: (_identity(old)[None], new - old.covariance))
    )


@candidate("covariance", ADDED, kind="note", estimate=_added)
def added(given: Divided, constant: FloatArray) -> FloatArray:
    """A multiple of the identity added, in raw units.

    {constant} is added to every variance (each covariance's diagonal), as scikit-learn's reg_covar
    does. That keeps a covariance from becoming singular; the steps are those of EM but for this
    constant, and the log-likelihood may fall by a little near the end. Compare the constant with
    the smallest variance.
    """
    size = np.asarray(constant)[..., None, None, None]
    return np.asarray(given.covariance + size * _identity(given))


def _fraction(given: Sequence[tuple[Divided]], after: Sequence[Parameters]) -> FloatArray:
    return damping(
        _constants(given, after, lambda old, new: (old.covariance - old.before, new - old.before))
    )


@candidate("covariance", DAMPING, statement="The variances" + DAMPING_STATEMENT, estimate=_fraction)
def damped(given: Divided, fraction: FloatArray) -> FloatArray:
    """Between the old covariances and the M-step's."""
    part = np.asarray(fraction)[..., None, None, None]
    return np.asarray(given.before + part * (given.covariance - given.before))


@candidate("covariance", "variance not updated")
def not_updated(given: Divided) -> FloatArray:
    """The covariances before the step.

    The (co)variances stay what they were. Set them to those of the weighted residuals.
    """
    return np.broadcast_to(given.before, given.covariance.shape)


def _has_several_outcomes(given: Divided) -> bool:
    return len(given.scale) > 1


@candidate("covariance", "off-diagonals halved", when=_has_several_outcomes)
def halved(given: Divided) -> FloatArray:
    """Half the off-diagonals.

    The covariances' off-diagonal elements are half of what they should be, as when a triangle is
    added to its transpose and halved. Keep them whole.
    """
    return scale_off_diagonals(given.covariance, 0.5)


@candidate("covariance", "off-diagonals left out", when=_has_several_outcomes)
def left_out(given: Divided) -> FloatArray:
    """No off-diagonals.

    The covariances' off-diagonal elements are zero, although the model has covariances. Compute
    them, or write covariance='diagonal' if none are meant.
    """
    return scale_off_diagonals(given.covariance, 0.0)


@candidate("covariance", "off-diagonals doubled", when=_has_several_outcomes)
def doubled(given: Divided) -> FloatArray:
    """Twice the off-diagonals.

    The covariances' off-diagonal elements are twice what they should be, as when a matrix that is
    whole already is added to its transpose. Keep them as they are.
    """
    return scale_off_diagonals(given.covariance, 2.0)


@candidate(
    "covariance",
    "one covariance for all classes",
    when=lambda given: given.covariance.shape[-3] > 1,
)
def pooled(given: Divided) -> FloatArray:
    """Averaged with the classes' rows.

    The M-step gives all classes the same, pooled (co)variance, although the model has one for each.
    Keep them apart, or write covariance_by='shared' if one is meant.
    """
    share = given.mass / given.mass.sum(axis=-1, keepdims=True)
    mean = (share[..., None, None] * given.covariance).sum(axis=-3, keepdims=True)
    return np.broadcast_to(mean, given.covariance.shape)
