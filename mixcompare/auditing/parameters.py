"""The parameters of a normal mixture with constant class probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


def are_correlated(covariance: FloatArray) -> bool:
    """Whether any of (..., m, m) matrices has an off-diagonal."""
    return bool((covariance * (1 - np.eye(covariance.shape[-1]))).any())


def scale_off_diagonals(covariance: FloatArray, factor: float) -> FloatArray:
    """(..., m, m) with their off-diagonals times a factor."""
    return np.asarray(covariance * (factor + (1 - factor) * np.eye(covariance.shape[-1])))
