"""Weighted sums over the units, all that an M-step needs of the responsibilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.regression import separate
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.base.arrays import FloatArray


class Scatter(NamedTuple):
    """Weighted cross-products of residuals.

    Cancelled (...,) is where so little of the products (..., K, m, m) is left that they cannot be
    trusted, None if nowhere. Squares are squared residuals by unit, where they were found on the
    way, as compiled passes hold them.
    """

    products: FloatArray
    cancelled: NDArray[np.bool_] | None = None
    squares: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Sums over the units themselves.

    Counts (..., G, K) are responsibilities times unit weights.
    """

    data: Standardised
    counts: FloatArray

    @property
    def mass(self) -> FloatArray:
        """(..., K) weighted degrees of freedom."""
        return np.asarray(self.data.degrees_of_freedom @ self.counts)

    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (..., K, p, p) and (..., K, p, m)."""
        data = self.data
        _, _, p, m = data.shape
        shape = (*self.counts.shape[:-2], self.counts.shape[-1])
        covariates, outcomes = np.asarray(data.covariates), np.asarray(data.outcomes)
        grams, crosses = [], []
        for tau in self._by_class:
            root = np.sqrt(tau)[:, None, None]
            x = (covariates * root).reshape(-1, p)
            grams.append(x.T @ x)
            crosses.append(x.T @ (outcomes * root).reshape(-1, m))
        return np.stack(grams).reshape(*shape, p, p), np.stack(crosses).reshape(*shape, p, m)

    def regressions(self) -> FloatArray:
        """Coefficients (..., K, p, m) that solve them class by class, NaN if not identified."""
        return separate(*self.normal_equations())

    def scatter(self, coefficients: FloatArray) -> Scatter:
        """(..., K, m, m) weighted cross-products of these coefficients' own residuals."""
        data = self.data
        p, m = coefficients.shape[-2:]
        products = []
        for b, tau in zip(coefficients.reshape(-1, p, m), self._by_class, strict=True):
            rest = (residuals(data, b) * np.sqrt(tau)[:, None, None]).reshape(-1, m)
            products.append(rest.T @ rest)
        return Scatter(np.stack(products).reshape(*coefficients.shape[:-2], m, m))

    @property
    def _by_class(self) -> FloatArray:
        """(S K, G) counts of every class of every start."""
        return self.counts.mT.reshape(-1, self.counts.shape[-2])


def residuals(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(G, r, m) residuals of one component's coefficients (p, m)."""
    return np.asarray(data.outcomes) - np.asarray(data.covariates) @ coefficients
