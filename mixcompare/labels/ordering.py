"""Ordering constraints: components numbered by the size of one quantity."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray


def by_order(quantity: FloatArray, *, descending: bool = False) -> IntArray:
    """Permutations that sort a quantity of the components.

    The artificial identifiability constraint of Diebolt & Robert (1994) and Richardson &
    Green (1997). Where classes overlap in the quantity it exchanges them (Celeux, Hurn &
    Robert 2000), so it serves as a warning beside the other algorithms. Ties keep their order.

    Parameters
    ----------
    quantity
        (..., K) one value for each component, e.g. a coefficient by draw.
    """
    signed = -quantity if descending else quantity
    return np.argsort(signed, axis=-1, kind="stable").astype(np.intp)


def by_weight(weights: FloatArray) -> IntArray:
    """Permutation that numbers components from the largest weight to the smallest.

    Ties keep their order, so the rule is deterministic.
    """
    return by_order(weights, descending=True)
