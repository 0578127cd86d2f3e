"""Performance measures of simulation studies with their Monte Carlo standard errors.

Table 6 of Morris, White & Crowther (2019), *Using simulation studies to evaluate statistical
methods*, Statistics in Medicine 38:2074-2102, to which the numbers of equations below refer
by the measure's name. ``n`` is the number of replicates that gave the numbers used. Where the
truth differs between replicates, ``e = estimate - truth`` takes the place of the estimate, which
for one truth gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray

BoolArray = NDArray[np.bool_]


class Measure(NamedTuple):
    """A performance measure, its Monte Carlo standard error, and the replicates behind it."""

    value: float
    error: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """What one method gave for one estimand.

    Attributes
    ----------
    truth, estimate, standard_error, lower, upper
        (n,) each; NaN where a fit has none.
    """

    truth: FloatArray
    estimate: FloatArray
    standard_error: FloatArray
    lower: FloatArray
    upper: FloatArray


def measures(replicates: Replicates, null: float = 0.0) -> dict[str, Measure]:
    """Every measure of one method and estimand.

    Parameters
    ----------
    replicates
        What the method gave. A replicate enters the measures for which it has the numbers.
    null
        Value whose exclusion from the interval is a rejection.

    Returns
    -------
    ``bias``, ``relative_bias``, ``empirical_se``, ``mse``, ``model_se``, ``model_se_error``
    (relative error of the model's standard error, percent), ``coverage``,
    ``bias_eliminated_coverage``, ``rejection`` (power, or the type I error at the null).
    """
    known = np.isfinite(replicates.estimate) & np.isfinite(replicates.truth)
    error = (replicates.estimate - replicates.truth)[known]
    with_se = known & np.isfinite(replicates.standard_error)
    variance = replicates.standard_error[with_se] ** 2
    bounded = known & np.isfinite(replicates.lower) & np.isfinite(replicates.upper)
    truth, lower, upper = (
        values[bounded] for values in (replicates.truth, replicates.lower, replicates.upper)
    )
    centre = truth + (error.mean() if len(error) else np.nan)
    spread = empirical_se((replicates.estimate - replicates.truth)[with_se])
    return {
        "bias": bias(error),
        "relative_bias": relative_bias(error, replicates.truth[known]),
        "empirical_se": empirical_se(error),
        "mse": mean_squared_error(error),
        "model_se": model_se(variance),
        "model_se_error": model_se_error(variance, spread),
        "coverage": proportion((lower <= truth) & (truth <= upper)),
        "bias_eliminated_coverage": proportion((lower <= centre) & (centre <= upper)),
        "rejection": proportion((lower > null) | (upper < null)),
    }


def bias(error: FloatArray) -> Measure:
    """``mean(e)``, with ``sqrt(sum (e - mean)^2 / (n (n - 1)))``."""
    return mean(error)


def relative_bias(error: FloatArray, truth: FloatArray) -> Measure:
    """Mean of ``e / truth``, with its standard error as a mean; NaN at a truth of zero."""
    if not len(truth) or np.any(truth == 0):
        return Measure(np.nan, np.nan, len(error))
    return mean(error / truth)


def empirical_se(error: FloatArray) -> Measure:
    """``sqrt(sum (e - mean)^2 / (n - 1))``, with ``EmpSE / sqrt(2 (n - 1))``."""
    n = len(error)
    if n < 2:
        return Measure(np.nan, np.nan, n)
    value = float(error.std(ddof=1))
    return Measure(value, value / np.sqrt(2 * (n - 1)), n)


def mean_squared_error(error: FloatArray) -> Measure:
    """``mean(e^2)``, with ``sqrt(sum (e^2 - MSE)^2 / (n (n - 1)))``."""
    return mean(error**2)


def model_se(variance: FloatArray) -> Measure:
    """``sqrt(mean(var))``, with ``sqrt(Var[var] / (4 n ModSE^2))``.

    Parameters
    ----------
    variance
        (n,) squares of the reported standard errors.
    """
    n = len(variance)
    if n < 2:
        return Measure(np.nan, np.nan, n)
    value = float(np.sqrt(variance.mean()))
    return Measure(value, float(np.sqrt(variance.var(ddof=1) / (4 * n * value**2))), n)


def model_se_error(variance: FloatArray, spread: Measure) -> Measure:
    """``100 (ModSE / EmpSE - 1)`` percent.

    Its Monte Carlo standard error is ``100 (ModSE / EmpSE) sqrt(Var[var] / (4 n ModSE^4) +
    1 / (2 (n - 1)))``.

    Parameters
    ----------
    variance
        (n,) squares of the reported standard errors.
    spread
        Empirical standard error of the same replicates.
    """
    n = len(variance)
    if n < 2 or not spread.value > 0:
        return Measure(np.nan, np.nan, n)
    model = float(np.sqrt(variance.mean()))
    ratio = model / spread.value
    relative = variance.var(ddof=1) / (4 * n * model**4) + 1 / (2 * (n - 1))
    return Measure(100 * (ratio - 1), float(100 * ratio * np.sqrt(relative)), n)


def proportion(happened: BoolArray) -> Measure:
    """Share ``q``, with ``sqrt(q (1 - q) / n)``: coverage and rejection."""
    n = len(happened)
    if not n:
        return Measure(np.nan, np.nan, 0)
    share = float(happened.mean())
    return Measure(share, float(np.sqrt(share * (1 - share) / n)), n)


def mean(values: FloatArray) -> Measure:
    """Mean of the finite values, with its standard error."""
    finite = values[np.isfinite(values)]
    n = len(finite)
    if n < 2:
        return Measure(float(finite.mean()) if n else np.nan, np.nan, n)
    return Measure(float(finite.mean()), float(finite.std(ddof=1) / np.sqrt(n)), n)


def relative_precision(error: FloatArray, baseline: FloatArray) -> Measure:
    """Gain in precision over a baseline on the same data, in percent.

    ``100 ((EmpSE_baseline / EmpSE)^2 - 1)``, with ``200 (EmpSE_baseline / EmpSE)^2
    sqrt((1 - rho^2) / (n - 1))``, rho the correlation of the two methods' errors.

    Parameters
    ----------
    error, baseline
        (n,) errors of the two methods, replicate by replicate; pairs with a NaN are left out.
    """
    both = np.isfinite(error) & np.isfinite(baseline)
    errors, base_errors = error[both], baseline[both]
    n = len(errors)
    if n < 3 or not errors.std() > 0 or not base_errors.std() > 0:
        return Measure(np.nan, np.nan, n)
    ratio = float(base_errors.var(ddof=1) / errors.var(ddof=1))
    rho = float(np.corrcoef(errors, base_errors)[0, 1])
    error_of_it = 200 * ratio * np.sqrt(max(0.0, 1 - rho**2) / (n - 1))
    return Measure(100 * (ratio - 1), float(error_of_it), n)
