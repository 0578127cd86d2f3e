"""How often units count."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.backends.em.together import Index
from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Units:
    """The independent units and their weights.

    Weights are (G,), or (S, G) if they differ between starts that run together; None where all G
    count once.
    """

    number: int
    weights: FloatArray | None = None

    def of(self, starts: Index) -> Units:
        """Those of some of the starts that run together."""
        weights = self.weights
        if weights is None or weights.ndim == 1:
            return self
        return Units(self.number, weights[starts])

    @cached_property
    def total(self) -> FloatArray:
        """Number of units, each counted by its weight; (S,) if weights are (S, G)."""
        weights = self.weights
        return np.asarray(float(self.number) if weights is None else weights.sum(axis=-1))

    @cached_property
    def counts(self) -> FloatArray:
        """(G,) or (S, G) how often each unit counts."""
        return np.ones(self.number) if self.weights is None else self.weights

    @cached_property
    def repetition(self) -> FloatArray | None:
        """(S,) or (), at least 1: what one of the weights counts for at the most.

        Weights that sum to less than the units that have any are no counts. None where all
        units count once.
        """
        if self.weights is None:
            return None
        counting = (self.weights > 0).sum(axis=-1)
        return np.asarray(np.maximum(counting / self.total, 1.0))

    def weigh(self, values: FloatArray) -> FloatArray:
        """(..., G, K) values times the units' weights."""
        return values if self.weights is None else values * self.weights[..., None]

    def sum(self, by_unit: FloatArray) -> FloatArray:
        """(...,) weighted sum of values (..., G)."""
        by_unit = by_unit if self.weights is None else by_unit * self.weights
        return np.asarray(by_unit.sum(axis=-1))
