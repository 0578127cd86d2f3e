"""Alignment of class probabilities to a reference or to their own average."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.permutations import assign, permuted_sum


def overlap(responsibilities: FloatArray, reference: FloatArray) -> FloatArray:
    """(..., K, K) sums over the units of ``reference[g, k] * responsibilities[..., g, j]``."""
    return np.asarray(reference.T @ responsibilities)


def align_to_reference(responsibilities: FloatArray, reference: FloatArray) -> IntArray:
    """Permutations that bring responsibilities nearest to a reference.

    Minimises the squared distance ``sum (tau[g, perm[k]] - ref[g, k])^2``, the soft form
    of the equivalence-classes-representatives criterion (Papastamoulis & Iliopoulos 2010).

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities of the units.
    reference
        (G, K) class probabilities, soft or hard.

    Returns
    -------
    (..., K) permutations.
    """
    return assign(-overlap(responsibilities, reference))


def align_draws(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 20
) -> IntArray:
    """Align draws to their own average, started from a pivot.

    Alternates between aligning every draw to the mean of the aligned draws and
    recomputing that mean, until no permutation changes; each step cannot raise the
    summed squared distance, so it ends. It is `ecr_iterative_2` with soft classes.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    pivot
        (G, K) where to start, e.g. the draw of highest posterior density.
    """
    units, k = pivot.shape
    draws = responsibilities.reshape(-1, units, k)
    permutation, _ = align_batches((draws,), pivot, max_iterations=max_iterations)
    return permutation.reshape(*responsibilities.shape[:-2], k)


def align_batches(
    batches: Iterable[FloatArray], pivot: FloatArray, *, max_iterations: int = 20
) -> tuple[IntArray, FloatArray]:
    """As `align_draws`, of draws that need not be in memory together.

    Parameters
    ----------
    batches
        (n, G, K) each, which are gone through once for every iteration.

    Returns
    -------
    permutation, mean
        (S, K) of all draws and (G, K) of the aligned ones.
    """
    permutation, mean = align_batches_to_reference(batches, pivot)
    for _ in range(max_iterations):
        updated, renewed = align_batches_to_reference(batches, mean)
        if np.array_equal(updated, permutation):
            break
        permutation, mean = updated, renewed
    return permutation, mean


def align_batches_to_reference(
    batches: Iterable[FloatArray], reference: FloatArray
) -> tuple[IntArray, FloatArray]:
    """As `align_to_reference`, of batches (n, G, K), with the mean of the aligned draws.

    Returns
    -------
    permutation, mean
        (S, K) and (G, K).
    """
    permutations, total = [], np.zeros(reference.shape)
    for batch in batches:
        permutations.append(align_to_reference(batch, reference))
        total = total + permuted_sum(batch, permutations[-1])
    permutation = np.concatenate(permutations)
    return permutation, total / len(permutation)
