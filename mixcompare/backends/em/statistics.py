"""Weighted sums over the units, all that an M-step needs of the responsibilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mixcompare.backends.em.standardise import Standardised
from mixcompare.panel import FloatArray


class Statistics(Protocol):
    """What an M-step is made of: `Counted` or `mixcompare.backends.em.moments.Moments`."""

    @property
    def units(self) -> FloatArray:
        """(K,) weighted numbers of units."""

    @property
    def mass(self) -> FloatArray:
        """(K,) weighted degrees of freedom."""

    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (K, p, p) and (K, p, m)."""

    def scatter(self, coefficients: FloatArray) -> FloatArray | None:
        """(K, m, m) weighted cross-products of residuals, unless they would cancel."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Sums over the units themselves, by NumPy, or compiled where the data bring that.

    Attributes
    ----------
    counts
        (G, K) responsibilities times unit weights.
    """

    data: Standardised
    counts: FloatArray

    @property
    def units(self) -> FloatArray:
        """(K,) weighted numbers of units."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def mass(self) -> FloatArray:
        """(K,) weighted degrees of freedom."""
        return np.asarray(self.data.degrees_of_freedom @ self.counts)

    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (K, p, p) and (K, p, m)."""
        data = self.data
        if data.compiled is not None:
            return data.compiled.normal_equations(self.counts)
        _, _, p, m = data.shape
        grams, crosses = [], []
        for tau in self.counts.T:
            root = np.sqrt(tau)[:, None, None]
            x = (data.covariates * root).reshape(-1, p)
            grams.append(x.T @ x)
            crosses.append(x.T @ (data.outcomes * root).reshape(-1, m))
        return np.stack(grams), np.stack(crosses)

    def scatter(self, coefficients: FloatArray) -> FloatArray:
        """(K, m, m) weighted cross-products of these coefficients' own residuals."""
        data = self.data
        if data.compiled is not None:
            return data.compiled.scatter(coefficients, self.counts)
        m = data.shape[-1]
        products = []
        for b, tau in zip(coefficients, self.counts.T, strict=True):
            rest = (residuals(data, b) * np.sqrt(tau)[:, None, None]).reshape(-1, m)
            products.append(rest.T @ rest)
        return np.stack(products)


def residuals(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(G, r, m) residuals of one component's coefficients (p, m)."""
    return data.outcomes - data.covariates @ coefficients
