"""Scores and information of a normal regression, by its coefficients and covariance elements.

Every structure is linear in the free elements of the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.backends.em.emissions.emission import Derivatives
from mixcompare.backends.em.emissions.normal.covariances import basis_of
from mixcompare.backends.em.emissions.normal.regression import positions
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.covariances import elements


def free_places(data: Standardised) -> IntArray:
    """(K, p m + q) places of each class's coefficients, row by row, and covariance elements."""
    _, _, p, m = data.shape
    k = data.n_components
    coefficients = positions(k, p, m, data.n_common)
    q = len(elements(data.structure.covariance, m))
    block = np.zeros(k, dtype=int) if data.structure.covariance_by == "shared" else np.arange(k)
    covariance = int(coefficients.max()) + 1 + block[:, None] * q + np.arange(q)
    return np.concatenate([coefficients, covariance], axis=1)


@dataclass(frozen=True, eq=False)
class NormalDerivatives(Derivatives):
    """Derivatives at coefficients (K, p, m) and covariances (K, m, m), in closed form."""

    data: Standardised

    @cached_property
    def basis(self) -> FloatArray:
        """(q, m, m) matrices whose combinations are the covariances."""
        return basis_of(self.data.structure, self.data.shape[-1])

    @cached_property
    def _precisions(self) -> FloatArray:
        return np.linalg.inv(self.theta["covariance"])

    def _places(self, k: int) -> tuple[IntArray, IntArray]:
        """Of class k's coefficients and of its covariance elements."""
        places = free_places(self.data)[k]
        size = self.theta["coefficients"][k].size
        return places[:size], places[size:]

    def of_class(
        self, k: int, carriers: IntArray, counts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Scores (U, p m + q), and (p + m + 1, p + m + 1) sums.

        These are ``[X E]'[X E]`` of covariates X and residuals E, above the diagonal, and in
        the last corner degrees of freedom.
        """
        data, precision, (q, m, _) = self.data, self._precisions[k], self.basis.shape
        x, nu = data.covariates[carriers], data.degrees_of_freedom[carriers]
        rest = data.outcomes[carriers] - x @ self.theta["coefficients"][k]
        units, _, p = x.shape
        solved = rest @ precision
        by_coefficients = (x.mT @ solved).reshape(units, p * m)
        products = (solved.mT @ solved).reshape(units, m * m)
        trace = np.einsum("aij,ji->a", self.basis, precision)
        by_covariance = products @ self.basis.reshape(q, -1).T - np.outer(nu, trace)
        scores = np.concatenate([by_coefficients, 0.5 * by_covariance], axis=1)
        root = np.sqrt(counts)[:, None, None]
        x, e = (x * root).reshape(-1, p), (rest * root).reshape(-1, m)
        sums = np.zeros((p + m + 1, p + m + 1))
        sums[:p, :p], sums[:p, p:-1], sums[p:-1, p:-1] = x.T @ x, x.T @ e, e.T @ e
        sums[-1, -1] = counts @ nu
        return scores, sums

    def add_information(self, sums: FloatArray, information: FloatArray) -> None:
        """Add the information of coefficients and covariances."""
        p, basis = self.data.shape[2], self.basis
        for k, (total, precision) in enumerate(zip(sums, self._precisions, strict=True)):
            b, s = self._places(k)
            gram, cross, scatter = total[:p, :p], total[:p, p:-1], total[p:-1, p:-1]
            by_basis = precision @ basis @ precision
            mixed = np.einsum("ij,ajk->ika", cross, by_basis).reshape(len(b), len(s))
            information[np.ix_(b, b)] += np.kron(gram, precision)
            information[np.ix_(b, s)] += mixed
            information[np.ix_(s, b)] += mixed.T
            bend = covariance_curvature(precision, basis, scatter, float(total[-1, -1]))[1]
            information[np.ix_(s, s)] += bend

    def add_prior(self, gradient: FloatArray, curvature: FloatArray) -> None:
        """Add the gradient (n,) of the log-prior and minus its Hessian (n, n)."""
        prior, shared = self.data.prior, self.data.structure.covariance_by == "shared"
        assert prior is not None
        every = [(k, prior.precision, prior.shift) for k in range(len(self.theta["coefficients"]))]
        for k, precision, shift in [*every, (0, prior.common_precision, prior.common_shift)]:
            b, _ = self._places(k)
            gradient[b] += shift - precision @ self.theta["coefficients"][k].ravel()
            curvature[np.ix_(b, b)] += precision
        for k, precision in enumerate(self._precisions[:1] if shared else self._precisions):
            _, s = self._places(k)
            slope, bend = covariance_curvature(precision, self.basis, prior.scatter, prior.rows)
            gradient[s] += slope
            curvature[np.ix_(s, s)] += bend

    def jacobian(self, reported: Sequence[tuple[str, tuple[int, ...]]]) -> FloatArray:
        """(P, n) derivatives of coefficients and covariances in raw units by the free ones."""
        data, each = self.data, [self._places(k) for k in range(len(self.theta["coefficients"]))]
        _, _, p, m = data.shape
        rows = np.zeros((len(reported), int(each[-1][1].max()) + 1))
        for row, (name, (k, i, j)) in zip(rows, reported, strict=True):
            b, s = each[k]
            if name == "coefficients":
                block = np.zeros((p, m))
                block[:, j] = data.unwhiten[i] * data.scale[j]
                row[b] = block.ravel()
            else:
                row[s] = self.basis[:, i, j] * data.scale[i] * data.scale[j]
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
