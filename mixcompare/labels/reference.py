"""Alignment of class probabilities to a reference or to their own average."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.permutations import assign, permuted_mean, settled


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

    def to_average(permutation: IntArray) -> IntArray:
        return align_to_reference(responsibilities, permuted_mean(responsibilities, permutation))

    return settled(align_to_reference(responsibilities, pivot), to_average, max_iterations)
