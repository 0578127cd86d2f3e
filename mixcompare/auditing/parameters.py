"""The parameters of a normal mixture with constant class probabilities."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.base.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Weights (K,), coefficients (K, p, m), covariances (K, m, m; equal ones if shared)."""

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray

    def permuted(self, permutation: IntArray) -> Parameters:
        """Return the same mixture with its components renumbered."""
        return Parameters(
            self.weights[permutation],
            self.coefficients[permutation],
            self.covariance[permutation],
        )
