"""Candidates for the normal density of an E-step: they take `Densities` and change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixcompare.auditing.densities import Densities
from mixcompare.auditing.registry import candidate


@candidate("density", "", "", kind="exact")
def normal(given: Densities) -> Densities:
    """The normal density."""
    return given


@candidate(
    "density",
    "counts rows that absorption has used",
    "The E-step counts all rows of a within-transformed unit as if they were independent.",
    kind="note",
)
def counts_rows(given: Densities) -> Densities | None:
    """Determinants to the power of the rows."""
    if not given.by_component or np.array_equal(given.counts, given.n_rows):
        return None
    return replace(given, counts=given.n_rows)


@candidate(
    "density",
    "variance used as standard deviation",
    "The E-step's density is given the variance where it expects the standard deviation (as in "
    "scipy.stats.norm's scale). Take the square root.",
)
def variance_as_deviation(given: Densities) -> Densities | None:
    """Variances squared."""
    return _squared(given) if given.n_outcomes == 1 else None


@candidate(
    "density",
    "covariance squared in the E-step",
    "The E-step's density uses the square of each covariance matrix, as when the matrix stands "
    "where its Cholesky factor is expected. Factorise it first.",
)
def covariance_squared(given: Densities) -> Densities | None:
    """Covariances times themselves."""
    return _squared(given) if given.n_outcomes > 1 else None


def _squared(given: Densities) -> Densities:
    return replace(
        given,
        precision=given.precision @ given.precision,
        log_determinant=2 * given.log_determinant,
    )


@candidate(
    "density",
    "exponent divided by the squared variance",
    "The E-step's exponent divides the residuals by the (co)variance before squaring them, where "
    "the standard deviation (the Cholesky factor) belongs, while the determinant is right. Divide "
    "by the root.",
)
def exponent_squared(given: Densities) -> Densities:
    """Covariances squared in the exponent only."""
    return replace(given, precision=given.precision @ given.precision)


@candidate(
    "density",
    "standard deviation used as variance",
    "The E-step's density is given the standard deviation where it expects the variance (as in "
    "scipy.stats.multivariate_normal's cov). Square it.",
)
def deviation_as_variance(given: Densities) -> Densities | None:
    """Square roots of the variances."""
    if given.n_outcomes > 1:
        return None
    return replace(
        given, precision=np.sqrt(given.precision), log_determinant=given.log_determinant / 2
    )


@candidate(
    "density",
    "transposed Cholesky factor",
    "The E-step multiplies the residuals by the transpose of the Cholesky factor (or of its "
    "inverse) that belongs there, so that L'L stands in place of LL'. Solve with the lower "
    "triangle, or transpose.",
)
def transposed_cholesky(given: Densities) -> Densities | None:
    """L'L in place of LL'."""
    if given.n_outcomes == 1 or not _has_off_diagonals(given):
        return None
    lower = np.linalg.cholesky(given.covariance)
    return replace(given, precision=np.linalg.inv(lower.mT @ lower))


def _has_off_diagonals(given: Densities) -> bool:
    return bool((given.covariance * (1 - np.eye(given.n_outcomes))).any())


@candidate(
    "density",
    "E-step without the determinants",
    "The E-step leaves the variances' normalising constants out, although they differ by class. "
    "Subtract half their log-determinant for every row.",
)
def without_determinants(given: Densities) -> Densities | None:
    """Only the exponents."""
    if not given.by_component:
        return None
    return replace(given, log_determinant=np.zeros_like(given.log_determinant))


@candidate(
    "density",
    "determinant not halved",
    "The E-step subtracts the whole log-determinant of a class's covariance (log of the variance) "
    "for every row, where half of it belongs (log of the standard deviation). Halve it.",
)
def determinant_not_halved(given: Densities) -> Densities | None:
    """Determinants to the power of one."""
    if not given.by_component:
        return None
    return replace(given, log_determinant=2 * given.log_determinant)


@candidate(
    "density",
    "determinant counted once per unit",
    "The E-step subtracts half the log-determinant once for each unit, although each of its rows "
    "has a density of its own. Subtract it for every row.",
)
def determinant_once(given: Densities) -> Densities | None:
    """Determinants to the power of one row."""
    if not given.by_component or (given.counts == 1).all():
        return None
    return replace(given, counts=np.ones_like(given.counts))


@candidate(
    "density",
    "exponent not halved",
    "The E-step's exponent is minus the squared distance, where half of it belongs. Halve it.",
)
def exponent_not_halved(given: Densities) -> Densities:
    """Distances doubled."""
    return replace(given, precision=2 * given.precision)
