"""The covariance prior through the Bartlett factor of the precision.

``Sigma ~ Inverse-Wishart(nu, Psi)`` is the same as ``Sigma^-1 = L A A' L'`` with
``L L' = Psi^-1`` and a lower triangular ``A`` of independent elements, ``A_ii^2 ~
Chi-squared(nu - i)`` for i = 0, 1, ... and ``A_ij ~ N(0, 1)`` below (Bartlett 1933; Anderson
2003, section 7.2). ``M = L A`` whitens: ``e' Sigma^-1 e = |e' M|^2`` and ``log|Sigma| = -2 sum
log M_ii``, so that the likelihood needs neither a solve nor a decomposition.

A diagonal covariance keeps the diagonal of ``A``, all with nu degrees of freedom; a
spherical one has a single chi-squared variable. All structures are one linear map from
the roots of the squares and the elements below the diagonal to ``M``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class BartlettPrior:
    """Constants of one covariance's prior in standard coordinates.

    Attributes
    ----------
    factor
        (m, m) lower triangular L with ``L L' = Psi^-1``.
    degrees_of_freedom
        (c,) of the chi-squared variables: c is m, or 1 for a spherical covariance.
    n_below
        Number of free elements below the diagonal.
    """

    factor: FloatArray
    degrees_of_freedom: FloatArray
    n_below: int

    @property
    def maps(self) -> tuple[FloatArray, FloatArray]:
        """(c, m m) and (n_below, m m) by which the elements of A make vec(M), row by row."""
        m = len(self.factor)
        # vec(L A) = (L kron I) vec(A)
        placed = np.kron(self.factor, np.eye(m)).T
        diagonal = np.eye(m * m)[:: m + 1]
        if len(self.degrees_of_freedom) < m:
            diagonal = diagonal.sum(axis=0, keepdims=True)
        rows, columns = np.tril_indices(m, -1)
        below = np.eye(m * m)[(rows * m + columns)[: self.n_below]]
        return diagonal @ placed, below @ placed

    @property
    def log_determinant_constant(self) -> float:
        """log|Psi|, which log|Sigma| has beside the logarithms of the squares."""
        return -2.0 * float(np.log(np.diag(self.factor)).sum())

    def from_covariance(self, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Squares (C, c) and elements below (C, n_below) of covariances (C, m, m)."""
        m = len(self.factor)
        whiteners = np.stack([inverse_factor(sigma) for sigma in covariance])
        a = np.linalg.solve(self.factor, whiteners)
        squares = np.diagonal(a, axis1=1, axis2=2) ** 2
        rows, columns = np.tril_indices(m, -1)
        below = a[:, rows, columns][:, : self.n_below]
        return squares[:, : len(self.degrees_of_freedom)], below


def inverse_factor(matrix: FloatArray) -> FloatArray:
    """Lower triangular F with ``F F' = matrix^-1``, without inverting the matrix."""
    # With rows and columns reversed, Cholesky gives an upper factor R of the matrix.
    upper = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1]
    return np.asarray(np.linalg.inv(upper).T)
