"""Scores and information of a normal regression, by its coefficients and covariance elements.

Every structure is linear in the free elements of the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.backends.em.emissions.normal.covariances import basis_of
from mixcompare.backends.em.emissions.normal.regression import positions
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.covariances import elements


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """A class's weighted sums.

    Attributes
    ----------
    gram, cross, scatter
        ``X'X`` (p, p), ``X'E`` (p, m) and ``E'E`` (m, m) of covariates X and residuals E.
    mass
        Degrees of freedom.
    """

    gram: FloatArray
    cross: FloatArray
    scatter: FloatArray
    mass: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.gram + other.gram,
            self.cross + other.cross,
            self.scatter + other.scatter,
            self.mass + other.mass,
        )


@dataclass(frozen=True, slots=True, eq=False)
class NormalRows:
    """The units of a chunk that may be in one class.

    Attributes
    ----------
    counts
        (U,) how often each counts.
    covariates, rest
        (U, r, p) factor rows and (U, r, m) residuals.
    degrees
        (U,) degrees of freedom.
    precision, basis
        (m, m) of the class, and (q, m, m) matrices that its covariance is a combination of.
    """

    counts: FloatArray
    covariates: FloatArray
    rest: FloatArray
    degrees: FloatArray
    precision: FloatArray
    basis: FloatArray

    def scores(self) -> FloatArray:
        """(U, p m + q) derivatives of the log-density by coefficients and covariance elements."""
        units, (q, m, _) = len(self.counts), self.basis.shape
        solved = self.rest @ self.precision
        by_coefficients = (self.covariates.mT @ solved).reshape(units, self.covariates.shape[2] * m)
        products = (solved.mT @ solved).reshape(units, m * m)
        trace = np.einsum("aij,ji->a", self.basis, self.precision)
        by_covariance = products @ self.basis.reshape(q, -1).T - np.outer(self.degrees, trace)
        return np.concatenate([by_coefficients, 0.5 * by_covariance], axis=1)

    def sums(self) -> Sums:
        """Weighted sums over these units."""
        root = np.sqrt(self.counts)[:, None, None]
        x = (self.covariates * root).reshape(-1, self.covariates.shape[-1])
        e = (self.rest * root).reshape(-1, self.rest.shape[-1])
        return Sums(x.T @ x, x.T @ e, e.T @ e, float(self.counts @ self.degrees))


@dataclass(frozen=True, slots=True, eq=False)
class FreePlaces:
    """Where coefficients and covariance elements stand among a response's free parameters.

    Attributes
    ----------
    coefficient_places
        (K, p m) places of the coefficients.
    n_covariance
        Free elements of one covariance.
    shared
        Whether the classes share it.
    """

    coefficient_places: IntArray
    n_covariance: int
    shared: bool

    def coefficients(self, k: int) -> IntArray:
        """Coefficients of component k, row by row of B_k."""
        return np.asarray(self.coefficient_places[k])

    def covariance(self, k: int) -> IntArray:
        """Covariance elements of component k."""
        first = int(self.coefficient_places.max()) + 1
        block = 0 if self.shared else k
        return first + block * self.n_covariance + np.arange(self.n_covariance)

    @property
    def by_class(self) -> IntArray:
        """(K, p m + q) coefficients and covariance elements of each component."""
        each = range(len(self.coefficient_places))
        return np.stack([np.concatenate([self.coefficients(k), self.covariance(k)]) for k in each])


def free_places(data: Standardised) -> FreePlaces:
    """Places of a response's free parameters."""
    _, _, p, m = data.shape
    return FreePlaces(
        positions(data.n_components, p, m, data.n_common),
        len(elements(data.structure.covariance, m)),
        data.structure.covariance_by == "shared",
    )


@dataclass(frozen=True, eq=False)
class NormalDerivatives:
    """Derivatives at coefficients (K, p, m) and covariances (K, m, m)."""

    data: Standardised
    coefficients: FloatArray
    covariance: FloatArray

    @cached_property
    def basis(self) -> FloatArray:
        """(q, m, m) matrices whose combinations are the covariances."""
        return basis_of(self.data.structure, self.data.shape[-1])

    @cached_property
    def _precisions(self) -> FloatArray:
        return np.linalg.inv(self.covariance)

    def of_class(self, k: int, carriers: IntArray, counts: FloatArray) -> NormalRows:
        """Of units in class k."""
        data = self.data
        covariates = data.covariates[carriers]
        return NormalRows(
            counts,
            covariates,
            data.outcomes[carriers] - covariates @ self.coefficients[k],
            data.degrees_of_freedom[carriers],
            self._precisions[k],
            self.basis,
        )

    def add_information(self, sums: Sequence[Sums], information: FloatArray) -> None:
        """Add the expected complete-data information of coefficients and covariances (n, n)."""
        place, basis = free_places(self.data), self.basis
        for k, (total, precision) in enumerate(zip(sums, self._precisions, strict=True)):
            b, s = place.coefficients(k), place.covariance(k)
            by_basis = precision @ basis @ precision
            mixed = np.einsum("ij,ajk->ika", total.cross, by_basis).reshape(len(b), len(s))
            information[np.ix_(b, b)] += np.kron(total.gram, precision)
            information[np.ix_(b, s)] += mixed
            information[np.ix_(s, b)] += mixed.T
            bend = covariance_curvature(precision, basis, total.scatter, total.mass)[1]
            information[np.ix_(s, s)] += bend

    def add_prior(self, gradient: FloatArray, curvature: FloatArray) -> None:
        """Add the gradient (n,) of the log-prior and minus its Hessian (n, n)."""
        place, prior = free_places(self.data), self.data.prior
        assert prior is not None
        for k, coefficients in enumerate(self.coefficients):
            b = place.coefficients(k)
            gradient[b] += prior.shift - prior.precision @ coefficients.ravel()
            curvature[np.ix_(b, b)] += prior.precision
        b, first = place.coefficients(0), self.coefficients[0]
        gradient[b] += prior.common_shift - prior.common_precision @ first.ravel()
        curvature[np.ix_(b, b)] += prior.common_precision
        for k in range(1 if place.shared else len(self.covariance)):
            s, precision = place.covariance(k), self._precisions[k]
            slope, bend = covariance_curvature(precision, self.basis, prior.scatter, prior.rows)
            gradient[s] += slope
            curvature[np.ix_(s, s)] += bend

    def jacobian(self, reported: Sequence[tuple[str, tuple[int, ...]]]) -> FloatArray:
        """(P, n) derivatives of coefficients and covariances in raw units by the free ones."""
        data, place, basis = self.data, free_places(self.data), self.basis
        _, _, p, m = data.shape
        rows = np.zeros((len(reported), int(place.by_class.max()) + 1))
        for row, (name, (k, i, j)) in zip(rows, reported, strict=True):
            if name == "coefficients":
                block = np.zeros((p, m))
                block[:, j] = data.unwhiten[i] * data.scale[j]
                row[place.coefficients(k)] = block.ravel()
            else:
                row[place.covariance(k)] = basis[:, i, j] * data.scale[i] * data.scale[j]
        return rows


def covariance_curvature(
    precision: FloatArray, basis: FloatArray, scatter: FloatArray, rows: float
) -> tuple[FloatArray, FloatArray]:
    """Gradient and minus Hessian of ``-1/2 [rows log|Sigma| + tr(Sigma^-1 scatter)]``."""
    by_basis = precision @ basis  # (q, m, m)
    trace = np.einsum("aii->a", by_basis)
    slope = np.einsum("aij,ij->a", by_basis @ precision, scatter)
    flat = by_basis.reshape(len(basis), -1)
    traces = flat @ by_basis.mT.reshape(len(basis), -1).T
    bent = np.einsum("aij,bjk,kl,li->ab", by_basis, by_basis, precision, scatter, optimize=True)
    return 0.5 * (slope - rows * trace), 0.5 * (bent + bent.T) - 0.5 * rows * traces
