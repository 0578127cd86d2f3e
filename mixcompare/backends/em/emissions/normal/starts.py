"""Starts of normal regressions: features of units, and coefficients that fit few of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.base.arrays import FloatArray

UNITS_AT_A_TIME = 8192
# Least variances of a start, in standardised units: of all classes together and of one.
_LEAST_VARIANCE: Final = 1e-3
_LEAST_OF_CLASS: Final = 1e-6


def unit_summaries(data: Standardised) -> FloatArray:
    """(G, p m) least-squares coefficients of every unit, shrunk towards the pooled fit.

    By one row's worth of information, so that short units have them too.
    """
    units, _, p, m = data.shape
    summaries = np.empty((units, p * m))
    for i in range(0, units, UNITS_AT_A_TIME):
        part = slice(i, i + UNITS_AT_A_TIME)
        x, y = data.covariates[part], data.outcomes[part]
        gram = np.einsum("gri,grj->gij", x, x) + np.eye(p)
        cross = np.einsum("gri,grj->gij", x, y)
        summaries[part] = np.linalg.solve(gram, cross).reshape(len(x), p * m)
    return summaries


def elemental(data: Standardised, rng: np.random.Generator) -> FloatArray:
    """(K, p, m) coefficients of each component by least squares on a few random units."""
    units, _, p, m = data.shape
    order = rng.permutation(units)
    typical = max(float(np.median(data.degrees_of_freedom[order])), 1.0)
    # The fewest with more rows than coefficients, if there are as many.
    per_component = int(max(1, min(units // data.n_components, np.ceil((p + 1) / typical))))
    coefficients = np.empty((data.n_components, p, m))
    for k in range(data.n_components):
        drawn = order[k * per_component : (k + 1) * per_component]
        x = data.covariates[drawn].reshape(-1, p)
        y = data.outcomes[drawn].reshape(-1, m)
        # A tiny ridge: a few units may not identify every coefficient, and the pooled fit
        # (zero in these coordinates) is the honest guess for the rest.
        coefficients[k] = np.linalg.solve(x.T @ x + 1e-3 * np.eye(p), x.T @ y)
    return coefficients


def perturbed(data: Standardised, rng: np.random.Generator) -> FloatArray:
    """(K, p, m) the pooled fit's coefficients plus noise of the size of one unit's errors."""
    units, _, p, m = data.shape
    # In whitened coordinates the pooled fit is zero and its standard errors are 1/sqrt(N).
    rows_per_unit = max(data.degrees_of_freedom.sum() / units, 1.0)
    return np.asarray(rng.normal(size=(data.n_components, p, m)) / np.sqrt(rows_per_unit))


def covariances_of_nearest(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(K, m, m) spherical covariances of the units nearest to each component's coefficients.

    A class's own variance finds narrow classes, which a common one spreads over the others.
    It comes from the median squared residual, as in the least median of squares (Rousseeuw
    1984), so that the units of other classes that are nearest to a wrong line do not matter.
    """
    k, p, m = coefficients.shape
    squares = np.stack([_squared_residuals(data, b) for b in coefficients])
    numbers = data.degrees_of_freedom * m
    pooled = max(squares.min(axis=0).sum() / numbers.sum(), _LEAST_VARIANCE)
    variances = np.full(k, pooled)
    if data.structure.covariance_by == "component":
        nearest = np.where(numbers > 0, squares.argmin(axis=0), -1)
        for c in range(k):
            near = nearest == c
            if data.degrees_of_freedom[near].sum() > 2 * (p + 1):
                each = squares[c, near] / (numbers[near] * chi_squared_median(numbers[near]))
                variances[c] = max(float(np.median(each)), _LEAST_OF_CLASS)
    return np.asarray(variances[:, None, None] * np.eye(m))


def chi_squared_median(degrees: FloatArray) -> FloatArray:
    """Median of chi-squared over its degrees of freedom (Wilson & Hilferty 1931)."""
    return np.asarray((1 - 2 / (9 * degrees)) ** 3)


def _squared_residuals(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(G,) summed over rows and outcomes, some units at a time so that all are not copied."""
    sums = []
    for i in range(0, data.shape[0], UNITS_AT_A_TIME):
        part = slice(i, i + UNITS_AT_A_TIME)
        rest = data.outcomes[part] - data.covariates[part] @ coefficients
        sums.append(np.square(rest).sum(axis=(1, 2)))
    return np.concatenate(sums)
