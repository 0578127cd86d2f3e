"""Sufficient statistics of an M-step: all that it needs of units and responsibilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.regression import separate
from mixcompare.backends.em.emissions.normal.statistics import Scatter
from mixcompare.backends.em.together import Together
from mixcompare.base.arrays import FloatArray

# How much of a scatter, in its worst direction, may be left when its centre moves.
_LEAST_LEFT = 1e-3
# Rounding of an eigenvalue, relative to the trace, for each row of the matrix.
_ROUNDING = 1e2 * float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Moments(Together):
    """Weighted moments of the residuals from given coefficients, summed along an E-step.

    Attributes
    ----------
    units, mass
        (K,) weighted numbers of units and of their degrees of freedom.
    around
        (K, p, m) the coefficients.
    gram, cross
        (K, p, p) cross-products of the covariates and (K, p, m) of these with the residuals.
    squares
        (K, m, m) cross-products of the residuals.
    """

    units: FloatArray
    mass: FloatArray
    around: FloatArray
    gram: FloatArray
    cross: FloatArray
    squares: FloatArray

    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products of the covariates, with themselves and the outcomes."""
        return self.gram, self.cross + self.gram @ self.around

    def regressions(self) -> FloatArray:
        """Coefficients (..., K, p, m) that solve them class by class, NaN if not identified."""
        return separate(*self.normal_equations())

    def scatter(self, coefficients: FloatArray) -> Scatter:
        """(..., K, m, m) weighted cross-products of other coefficients' residuals.

        With D the move and C = X'E, ``(E - X D)'(E - X D) = E'E - C'D - D'C + D'(X'X) D``.

        It cannot be trusted where coefficients have moved so far that the new residuals are small
        beside the old ones in some direction.
        """
        move = coefficients - self.around
        cross = self.cross.mT @ move
        moved = self.squares - cross - cross.mT + move.mT @ self.gram @ move
        left = moved - _LEAST_LEFT * self.squares
        try:
            np.linalg.cholesky(left)
        except np.linalg.LinAlgError:  # of one of them at least
            return Scatter(moved, self._cancelled(left))
        return Scatter(moved)

    def _cancelled(self, left: FloatArray) -> NDArray[np.bool_] | None:
        """(...,) where the smallest eigenvalue of what is left is not above its rounding.

        A Cholesky factorisation fails up to there (Higham 2002, theorem 10.7).
        """
        m = left.shape[-1]
        size = np.trace(np.abs(self.squares), axis1=-2, axis2=-1)
        finite = np.isfinite(left).all(axis=(-2, -1))
        smallest = np.linalg.eigvalsh(np.where(finite[..., None, None], left, 0.0))[..., 0]
        cancelled = (smallest <= _ROUNDING * m * size).any(axis=-1)
        return cancelled if cancelled.any() else None
