"""Candidates for what a variance is divided by: they take `Counts` and give (K,) or a number."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from mixcompare.auditing.assigned import Counts
from mixcompare.auditing.registry import candidate
from mixcompare.base.arrays import FloatArray


def _absorbed(counts: Counts) -> bool:
    """Whether the likelihood counts fewer than the rows."""
    return not np.allclose(counts.contrasts, counts.weighted_rows, rtol=1e-12)


def _stacked(counts: Counts) -> bool:
    """Whether a regression on the K-fold stacked data gives one variance."""
    return counts.shared and counts.components > 1


def _apart(counts: Counts) -> bool:
    """Whether several classes have variances of their own."""
    return counts.components > 1 and not counts.shared


@candidate("divisor")
def contrasts(counts: Counts) -> FloatArray:
    """Weighted degrees of freedom that the likelihood counts."""
    return counts.contrasts


@candidate("divisor", "counts rows that absorption has used", kind="note", when=_absorbed)
def rows(counts: Counts) -> FloatArray:
    """Weighted rows.

    The variance is divided by all rows, although each absorbed cell has used one: it is biased by
    (T-1)/T for cells of T rows. The steps are a consistent EM of another objective (all rows as
    independent normals), which never falls, but is not this model's likelihood. Divide by rows less
    cells.
    """
    return counts.weighted_rows


@candidate("divisor", "variance from the stacked regression's scale", when=_stacked)
def stacked_scale(counts: Counts) -> float:
    """K N - K p: statsmodels' df_resid = nobs - rank of the stacked design.

    The variance is the `scale` of a weighted regression, as statsmodels' WLS(...).fit().scale. That
    divides the weighted squares by rows less coefficients, K N - K p on the K-fold stacked data,
    but the weights sum to N only: the variance comes out at about 1/K. Divide the weighted squares
    by the sum of the weights (less the absorbed cells).
    """
    return counts.components * counts.rows.total - counts.rank


@candidate("divisor", "variance averaged over the stacked rows", when=_stacked)
def stacked_mean(counts: Counts) -> float:
    """K N.

    The variance is the mean over the K-fold stacked rows, whose weights sum to N only: it comes out
    at 1/K. Divide by the sum of the weights.
    """
    return counts.components * counts.rows.total


@candidate("divisor", "variance from a regression's scale")
def scale(counts: Counts) -> float:
    """N - p.

    The variance is the `scale` of a weighted regression, as statsmodels' WLS(...).fit().scale. That
    divides the weighted squares by rows less coefficients, N - p, whatever the weights sum to.
    Divide by the sum of the class's weights.
    """
    return counts.rows.total - counts.rows.n_covariates


@candidate("divisor", "variance divisor less the coefficients")
def rows_less_coefficients(counts: Counts) -> FloatArray:
    """n_k - p.

    The variance is divided by the class's rows less its coefficients: unbiased for one regression,
    but not the likelihood's maximum, so that the log-likelihood may fall near the end. Divide by
    the class's rows.
    """
    return counts.weighted_rows - counts.rows.n_covariates


@candidate("divisor", "variance divisor less the coefficients")
def contrasts_less_coefficients(counts: Counts) -> FloatArray:
    """nu_k - p.

    The variance is divided by the rows left after absorption less the coefficients, which is not
    the likelihood's maximum. Do not subtract the coefficients.
    """
    return counts.contrasts - counts.rows.n_covariates


@candidate("divisor", "variance divisor less all coefficients", when=attrgetter("shared"))
def rows_less_all_coefficients(counts: Counts) -> FloatArray:
    """N - K p.

    The variance is divided by the rows less the coefficients of all classes, which is not the
    likelihood's maximum. Do not subtract the coefficients.
    """
    return counts.weighted_rows - counts.components * counts.rows.n_covariates


@candidate("divisor", "variance divisor less all coefficients", when=attrgetter("shared"))
def contrasts_less_all_coefficients(counts: Counts) -> FloatArray:
    """N - C - K p.

    The variance is divided by the rows left after absorption less the coefficients of all classes,
    which is not the likelihood's maximum. Do not subtract the coefficients.
    """
    return counts.contrasts - counts.components * counts.rows.n_covariates


@candidate("divisor", "variance divisor scaled by N - p")
def flexmix(counts: Counts) -> FloatArray:
    """n_k (N - p) / N.

    The variance is multiplied by N / (N - p), as flexmix's Gaussian driver does, which is not the
    likelihood's maximum. Divide by the sum of the class's weights.
    """
    return counts.weighted_rows * (counts.rows.total - counts.rows.n_covariates) / counts.rows.total


@candidate("divisor", "variance divisor less one")
def less_one(counts: Counts) -> FloatArray:
    """n_k - 1.

    The variance is divided by the class's rows less one, as numpy's ddof=1 does, which is not the
    likelihood's maximum. Divide by the class's rows.
    """
    return counts.weighted_rows - 1


@candidate("divisor", "variance divided by units")
def units(counts: Counts) -> FloatArray:
    """Weighted units.

    The variance divides the squares of all rows by the number of units. Divide by the rows.
    """
    return counts.units


@candidate("divisor", "variance divided by all rows", when=lambda counts: not counts.shared)
def all_rows(counts: Counts) -> float:
    """N for every class.

    Each class's variance is divided by the number of all rows, not by the class's own: it comes out
    too small by the class's share. Divide by the sum of the class's probabilities over rows.
    """
    return counts.rows.total


@candidate(
    "divisor",
    "variance divided by all rows",
    when=lambda counts: counts.rows.contrasts < counts.rows.total and not counts.shared,
)
def all_contrasts(counts: Counts) -> float:
    """N - C for every class.

    Each class's variance is divided by the rows left of all classes after absorption, not by the
    class's own. Divide by the class's.
    """
    return counts.rows.contrasts


@candidate(
    "divisor",
    "variance divided by all units",
    when=lambda counts: counts.rows.n_units != counts.rows.total,
)
def all_units(counts: Counts) -> float:
    """G for every class.

    The variance is divided by the number of all units. Divide by the sum of the class's
    probabilities over rows.
    """
    return counts.rows.n_units


@candidate("divisor", "variance divided by K times the rows", when=_apart)
def times_classes(counts: Counts) -> FloatArray:
    """K n_k.

    Each class's variance is divided by its rows times the number of classes: it comes out at 1/K.
    Divide by the class's rows.
    """
    return counts.components * counts.contrasts


@candidate("divisor", "variance divided by the rows over K", when=_apart)
def equal_shares(counts: Counts) -> float:
    """N / K.

    Each class's variance is divided by N / K, as if all classes were equally large. Divide by the
    sum of the class's probabilities over rows.
    """
    return counts.rows.contrasts / counts.components


@candidate("divisor", "variance not divided")
def one(_: Counts) -> float:
    """Nothing.

    The variance is the sum of the weighted squares, not divided by anything. Divide by the sum of
    the class's probabilities over rows.
    """
    return 1.0
