"""Sufficient statistics of an M-step: all that it needs of units and responsibilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.panel import FloatArray

# How much of a scatter, in its worst direction, may be left when its centre moves.
_LEAST_LEFT = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
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

    def scatter(self, coefficients: FloatArray) -> FloatArray | None:
        """(K, m, m) weighted cross-products of other coefficients' residuals.

        With D the move and C = X'E, ``(E - X D)'(E - X D) = E'E - C'D - D'C + D'(X'X) D``.

        Returns
        -------
        None if coefficients have moved so far that this would cancel: where the new
        residuals are small beside the old ones in some direction.
        """
        move = coefficients - self.around
        cross = self.cross.mT @ move
        moved = self.squares - cross - cross.mT + move.mT @ self.gram @ move
        try:
            np.linalg.cholesky(moved - _LEAST_LEFT * self.squares)
        except np.linalg.LinAlgError:
            return None
        return moved
