"""Stephens' relabelling by Kullback-Leibler divergence."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.permutations import assign, permuted_mean, settled
from mixcompare.labels.reference import align_to_reference, overlap

# Probabilities below this count as this, so that a zero forbids nothing for good.
_SMALLEST = 1e-6


def stephens(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 100
) -> IntArray:
    """Relabel draws so that they scatter least around their mean class probabilities.

    Algorithm 2 of Stephens (2000): with q the mean of the relabelled
    probabilities, each draw takes the permutation that minimises the divergence
    ``sum_gk p[g, perm[k]] log(p[g, perm[k]] / q[g, k])``, and q is
    renewed until nothing changes. Neither step can raise the summed divergence. He starts
    from the labels as sampled, whose mean may be the same for all classes; this starts from
    the draws aligned to a pivot.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw; those below 1e-6 count as 1e-6.
    pivot
        (G, K) class probabilities, e.g. of the draw of highest posterior density.

    Returns
    -------
    (..., K) permutations.
    """
    return stephens_path(responsibilities, pivot, max_iterations=max_iterations)[0]


def stephens_path(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 100
) -> tuple[IntArray, FloatArray]:
    """As `stephens`, with the summed divergence after each iteration."""
    p = np.maximum(responsibilities, _SMALLEST)
    p /= p.sum(axis=-1, keepdims=True)
    negative_entropy = float(np.vdot(p, np.log(p)))
    divergence: list[float] = []

    def to_mean(permutation: IntArray) -> IntArray:
        cost = -overlap(p, np.log(permuted_mean(p, permutation)))
        updated = assign(cost)
        summed = float(np.take_along_axis(cost, updated[..., None], -1).sum())
        divergence.append(negative_entropy + summed)
        return updated

    permutation = settled(align_to_reference(p, pivot), to_mean, max_iterations)
    return permutation, np.array(divergence)
