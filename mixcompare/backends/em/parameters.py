"""The parameters of a mixture, or of several at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray

type Index = int | slice | EllipsisType | IntArray | NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Weights (K,), coefficients (K, p, m), covariances (K, m, m; equal ones if shared).

    With membership covariates ``membership_coefficients`` (K, c) are the log-odds against the
    first class, zero for itself, and the weights are average class probabilities.

    All arrays may have the same further axes in front: starts that run together, or the
    iterations of one. An index selects along these.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    membership_coefficients: FloatArray | None = None

    def __getitem__(self, index: Index) -> Parameters:
        return self._each(lambda array: array[index])

    def with_rows(self, rows: IntArray, others: Parameters) -> Parameters:
        """The same mixtures, of which others take the place of some."""
        own, new = self._each(np.copy), others
        own.weights[rows] = new.weights
        own.coefficients[rows] = new.coefficients
        own.covariance[rows] = new.covariance
        if own.membership_coefficients is not None and new.membership_coefficients is not None:
            own.membership_coefficients[rows] = new.membership_coefficients
        return own

    def permuted(self, permutation: IntArray) -> Parameters:
        """Return the same mixture with its components renumbered."""
        odds = self.membership_coefficients
        if odds is not None:
            odds = odds[..., permutation, :]
            odds = odds - odds[..., :1, :]
        return Parameters(
            self.weights[..., permutation],
            self.coefficients[..., permutation, :, :],
            self.covariance[..., permutation, :, :],
            odds,
        )

    def _each(self, change: Callable[[FloatArray], FloatArray]) -> Parameters:
        odds = self.membership_coefficients
        return Parameters(
            change(self.weights),
            change(self.coefficients),
            change(self.covariance),
            None if odds is None else change(odds),
        )


def concatenate(parts: list[Parameters]) -> Parameters:
    """Mixtures along one axis in front."""
    odds = [part.membership_coefficients for part in parts]
    return Parameters(
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.coefficients for part in parts]),
        np.concatenate([part.covariance for part in parts]),
        np.concatenate([own for own in odds if own is not None]) if odds[0] is not None else None,
    )
