"""Candidates for the normal density of an E-step: they take `Densities` and change them."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np

from mixcompare.auditing.densities import Densities
from mixcompare.auditing.parameters import are_correlated
from mixcompare.auditing.registry import candidate


def _has_one_outcome(density: Densities) -> bool:
    return density.n_outcomes == 1


def _has_several(density: Densities) -> bool:
    return density.n_outcomes > 1


@candidate("density")
def normal(density: Densities) -> Densities:
    """The normal density."""
    return density


@candidate(
    "density",
    "counts rows that absorption has used",
    kind="note",
    when=lambda density: (
        density.by_component and not np.array_equal(density.counts, density.rows.n_rows)
    ),
)
def counts_rows(density: Densities) -> Densities:
    """Determinants to the power of the rows.

    The E-step counts all rows of a within-transformed unit as if they were independent.
    """
    return replace(density, counts=density.rows.n_rows)


@candidate("density", "variance used as standard deviation", when=_has_one_outcome)
def variance_as_deviation(density: Densities) -> Densities:
    """Variances squared.

    The E-step's density is given the variance where it expects the standard deviation (as in
    scipy.stats.norm's scale). Take the square root.
    """
    return _squared(density)


@candidate("density", "covariance squared in the E-step", when=_has_several)
def covariance_squared(density: Densities) -> Densities:
    """Covariances times themselves.

    The E-step's density uses the square of each covariance matrix, as when the matrix stands where
    its Cholesky factor is expected. Factorise it first.
    """
    return _squared(density)


def _squared(density: Densities) -> Densities:
    return replace(
        density,
        precision=density.precision @ density.precision,
        log_determinant=2 * density.log_determinant,
    )


@candidate("density", "exponent divided by the squared variance")
def exponent_squared(density: Densities) -> Densities:
    """Covariances squared in the exponent only.

    The E-step's exponent divides the residuals by the (co)variance before squaring them, where the
    standard deviation (the Cholesky factor) belongs, while the determinant is right. Divide by the
    root.
    """
    return replace(density, precision=density.precision @ density.precision)


@candidate("density", "standard deviation used as variance", when=_has_one_outcome)
def deviation_as_variance(density: Densities) -> Densities:
    """Square roots of the variances.

    The E-step's density is given the standard deviation where it expects the variance (as in
    scipy.stats.multivariate_normal's cov). Square it.
    """
    return replace(
        density, precision=np.sqrt(density.precision), log_determinant=density.log_determinant / 2
    )


@candidate(
    "density", "transposed Cholesky factor", when=lambda density: are_correlated(density.covariance)
)
def transposed_cholesky(density: Densities) -> Densities:
    """L'L in place of LL'.

    The E-step multiplies the residuals by the transpose of the Cholesky factor (or of its inverse)
    that belongs there, so that L'L stands in place of LL'. Solve with the lower triangle, or
    transpose.
    """
    lower = np.linalg.cholesky(density.covariance)
    return replace(density, precision=np.linalg.inv(lower.mT @ lower))


@candidate("density", "E-step without the determinants", when=attrgetter("by_component"))
def without_determinants(density: Densities) -> Densities:
    """Only the exponents.

    The E-step leaves the variances' normalising constants out, although they differ by class.
    Subtract half their log-determinant for every row.
    """
    return replace(density, log_determinant=np.zeros_like(density.log_determinant))


@candidate("density", "determinant not halved", when=attrgetter("by_component"))
def determinant_not_halved(density: Densities) -> Densities:
    """Determinants to the power of one.

    The E-step subtracts the whole log-determinant of a class's covariance (log of the variance) for
    every row, where half of it belongs (log of the standard deviation). Halve it.
    """
    return replace(density, log_determinant=2 * density.log_determinant)


@candidate(
    "density",
    "determinant counted once per unit",
    when=lambda density: density.by_component and (density.counts != 1).any(),
)
def determinant_once(density: Densities) -> Densities:
    """Determinants to the power of one row.

    The E-step subtracts half the log-determinant once for each unit, although each of its rows has
    a density of its own. Subtract it for every row.
    """
    return replace(density, counts=np.ones_like(density.counts))


@candidate("density", "exponent not halved")
def exponent_not_halved(density: Densities) -> Densities:
    """Distances doubled.

    The E-step's exponent is minus the squared distance, where half of it belongs. Halve it.
    """
    return replace(density, precision=2 * density.precision)
