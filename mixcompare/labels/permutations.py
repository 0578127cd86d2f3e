"""Permutations: the best ones for given costs, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray


def assign(cost: FloatArray) -> IntArray:
    """Permutations of least total cost.

    Where the cheapest component of every label is another one, these are the solution:
    no assignment costs less than the sum of its rows' minima. Only the others go to the
    solver of assignment problems (Crouse 2016, in SciPy), one after the other.

    Parameters
    ----------
    cost
        (..., K, K): cost of giving label ``k`` (row) to component ``j`` (column).

    Returns
    -------
    (..., K) permutations.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, needed by fits only

    k = cost.shape[-1]
    flat = cost.reshape(-1, k, k)
    cheapest = flat.argmin(axis=-1)
    conflict = (np.sort(cheapest, axis=-1) != np.arange(k)).any(axis=-1)
    for i in np.flatnonzero(conflict):
        cheapest[i] = linear_sum_assignment(flat[i])[1]
    return cheapest.astype(np.intp, copy=False).reshape(cost.shape[:-1])


def permuted_mean(values: FloatArray, permutation: IntArray) -> FloatArray:
    """Mean over the draws of values whose components have been renumbered.

    One matrix product, which makes no renumbered copy of the draws.

    Parameters
    ----------
    values
        (..., G, K), e.g. responsibilities by draw.
    permutation
        (..., K).

    Returns
    -------
    (G, K).
    """
    k = values.shape[-1]
    return np.asarray(permuted_sum(values, permutation) / (permutation.size // k))


def permuted_sum(values: FloatArray, permutation: IntArray) -> FloatArray:
    """As `permuted_mean`, not divided by the number of draws: of batches, sums add up."""
    units, k = values.shape[-2:]
    takes = permutation.reshape(-1, k)[..., None] == np.arange(k)
    sums = takes.reshape(-1, k * k).T.astype(float) @ values.reshape(-1, units * k)
    return np.asarray(np.einsum("kjgj->gk", sums.reshape(k, k, units, k)))


def compose(first: IntArray, second: IntArray) -> IntArray:
    """The one permutation that equals applying `first`, then `second`.

    Both are (..., K) and broadcast against each other.
    """
    shape = np.broadcast_shapes(first.shape, second.shape)
    return np.take_along_axis(np.broadcast_to(first, shape), np.broadcast_to(second, shape), -1)


def invert(permutation: IntArray) -> IntArray:
    """The (..., K) permutations that undo these: the new label of each old component."""
    return np.argsort(permutation, axis=-1)


def settled(
    permutation: IntArray, renew: Callable[[IntArray], IntArray], max_iterations: int
) -> IntArray:
    """Permutations (..., K), or classes (G,), renewed until nothing changes, or so many times."""
    for _ in range(max_iterations):
        renewed = renew(permutation)
        if np.array_equal(renewed, permutation):
            break
        permutation = renewed
    return permutation
