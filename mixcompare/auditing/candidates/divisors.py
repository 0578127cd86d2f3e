"""Candidates for what a variance is divided by: they take `Counts` and give (K,)."""

from __future__ import annotations

import numpy as np

from mixcompare.auditing.assigned import Counts
from mixcompare.auditing.registry import candidate
from mixcompare.base.arrays import FloatArray

_SCALE = (
    "The variance is the `scale` of a weighted regression, as statsmodels' WLS(...).fit().scale. "
    "That divides the weighted squares by rows less coefficients"
)


def _alike(given: Counts, value: float) -> FloatArray:
    return np.full(len(given.weighted_rows), value)


@candidate("divisor", "", "", kind="exact")
def contrasts(given: Counts) -> FloatArray:
    """Weighted degrees of freedom that the likelihood counts."""
    return given.contrasts


@candidate(
    "divisor",
    "counts rows that absorption has used",
    "The variance is divided by all rows, although each absorbed cell has used one: it is biased "
    "by (T-1)/T for cells of T rows. The steps are a consistent EM of another objective (all rows "
    "as independent normals), which never falls, but is not this model's likelihood. Divide by "
    "rows less cells.",
    kind="note",
)
def rows(given: Counts) -> FloatArray | None:
    """Weighted rows."""
    same = np.allclose(given.contrasts, given.weighted_rows, rtol=1e-12)
    return None if same else given.weighted_rows


@candidate(
    "divisor",
    "variance from the stacked regression's scale",
    _SCALE + ", K N - K p on the K-fold stacked data, but the weights sum to N only: the variance "
    "comes out at about 1/K. Divide the weighted squares by the sum of the weights (less the "
    "absorbed cells).",
)
def stacked_scale(given: Counts) -> FloatArray | None:
    """K N - K p: statsmodels' df_resid = nobs - rank of the stacked design."""
    value = given.components * given.rows - given.rank
    return _alike(given, value) if given.shared and given.components > 1 else None


@candidate(
    "divisor",
    "variance averaged over the stacked rows",
    "The variance is the mean over the K-fold stacked rows, whose weights sum to N only: it comes "
    "out at 1/K. Divide by the sum of the weights.",
)
def stacked_mean(given: Counts) -> FloatArray | None:
    """K N."""
    value = given.components * given.rows
    return _alike(given, value) if given.shared and given.components > 1 else None


@candidate(
    "divisor",
    "variance from a regression's scale",
    _SCALE + ", N - p, whatever the weights sum to. Divide by the sum of the class's weights.",
)
def scale(given: Counts) -> FloatArray:
    """N - p."""
    return _alike(given, given.rows - given.covariates)


@candidate(
    "divisor",
    "variance divisor less the coefficients",
    "The variance is divided by the class's rows less its coefficients: unbiased for one "
    "regression, but not the likelihood's maximum, so that the log-likelihood may fall near the "
    "end. Divide by the class's rows.",
)
def rows_less_coefficients(given: Counts) -> FloatArray:
    """n_k - p."""
    return given.weighted_rows - given.covariates


@candidate(
    "divisor",
    "variance divisor less the coefficients",
    "The variance is divided by the rows left after absorption less the coefficients, which is not "
    "the likelihood's maximum. Do not subtract the coefficients.",
)
def contrasts_less_coefficients(given: Counts) -> FloatArray:
    """nu_k - p."""
    return given.contrasts - given.covariates


@candidate(
    "divisor",
    "variance divisor less all coefficients",
    "The variance is divided by the rows less the coefficients of all classes, which is not the "
    "likelihood's maximum. Do not subtract the coefficients.",
)
def rows_less_all_coefficients(given: Counts) -> FloatArray | None:
    """N - K p."""
    less = given.components * given.covariates
    return given.weighted_rows - less if given.shared else None


@candidate(
    "divisor",
    "variance divisor less all coefficients",
    "The variance is divided by the rows left after absorption less the coefficients of all "
    "classes, which is not the likelihood's maximum. Do not subtract the coefficients.",
)
def contrasts_less_all_coefficients(given: Counts) -> FloatArray | None:
    """N - C - K p."""
    return given.contrasts - given.components * given.covariates if given.shared else None


@candidate(
    "divisor",
    "variance divisor scaled by N - p",
    "The variance is multiplied by N / (N - p), as flexmix's Gaussian driver does, which is not "
    "the likelihood's maximum. Divide by the sum of the class's weights.",
)
def flexmix(given: Counts) -> FloatArray:
    """n_k (N - p) / N."""
    return given.weighted_rows * (given.rows - given.covariates) / given.rows


@candidate(
    "divisor",
    "variance divisor less one",
    "The variance is divided by the class's rows less one, as numpy's ddof=1 does, which is not "
    "the likelihood's maximum. Divide by the class's rows.",
)
def less_one(given: Counts) -> FloatArray:
    """n_k - 1."""
    return given.weighted_rows - 1


@candidate(
    "divisor",
    "variance divided by units",
    "The variance divides the squares of all rows by the number of units. Divide by the rows.",
)
def units(given: Counts) -> FloatArray:
    """Weighted units."""
    return given.units


@candidate(
    "divisor",
    "variance divided by all rows",
    "Each class's variance is divided by the number of all rows, not by the class's own: it comes "
    "out too small by the class's share. Divide by the sum of the class's probabilities over rows.",
)
def all_rows(given: Counts) -> FloatArray | None:
    """N for every class."""
    return None if given.shared else _alike(given, given.rows)


@candidate(
    "divisor",
    "variance divided by all rows",
    "Each class's variance is divided by the rows left of all classes after absorption, not by the "
    "class's own. Divide by the class's.",
)
def all_contrasts(given: Counts) -> FloatArray | None:
    """N - C for every class."""
    absorbed = given.all_contrasts < given.rows
    return _alike(given, given.all_contrasts) if absorbed and not given.shared else None


@candidate(
    "divisor",
    "variance divided by all units",
    "The variance is divided by the number of all units. Divide by the sum of the class's "
    "probabilities over rows.",
)
def all_units(given: Counts) -> FloatArray | None:
    """G for every class."""
    return None if given.all_units == given.rows else _alike(given, given.all_units)


@candidate(
    "divisor",
    "variance divided by K times the rows",
    "Each class's variance is divided by its rows times the number of classes: it comes out at "
    "1/K. Divide by the class's rows.",
)
def times_classes(given: Counts) -> FloatArray | None:
    """K n_k."""
    apart = given.components > 1 and not given.shared
    return given.components * given.contrasts if apart else None


@candidate(
    "divisor",
    "variance divided by the rows over K",
    "Each class's variance is divided by N / K, as if all classes were equally large. Divide by "
    "the sum of the class's probabilities over rows.",
)
def equal_shares(given: Counts) -> FloatArray | None:
    """N / K."""
    apart = given.components > 1 and not given.shared
    return _alike(given, given.all_contrasts / given.components) if apart else None


@candidate(
    "divisor",
    "variance not divided",
    "The variance is the sum of the weighted squares, not divided by anything. Divide by the sum "
    "of the class's probabilities over rows.",
)
def one(given: Counts) -> FloatArray:
    """Nothing."""
    return np.ones_like(given.contrasts)
