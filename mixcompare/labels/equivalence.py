"""Equivalence classes representatives (ECR): units' hard classes compared with a pivot's.

Samplers that draw the allocations z hand them to ECR. Where they are summed out, as here,
each unit's most probable class takes their place, which has less noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.permutations import assign, invert, permuted_mean, settled


def ecr(responsibilities: FloatArray, pivot: FloatArray) -> IntArray:
    """Align draws to a pivot's classes (Papastamoulis & Iliopoulos 2010).

    Maximises the number of units that are in the same class as in the pivot.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    pivot
        (G, K) class probabilities, e.g. of the draw of highest posterior density.

    Returns
    -------
    (..., K) permutations.
    """
    return _align(responsibilities.argmax(axis=-1), pivot.argmax(axis=-1), pivot.shape[-1])


def ecr_iterative_1(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 100
) -> IntArray:
    """ECR whose pivot becomes each unit's commonest class over the relabelled draws.

    The first iterative version (Rodriguez & Walker 2014; Papastamoulis 2016),
    started from a pivot instead of the labels as sampled, which may cancel.
    """
    allocated, k = responsibilities.argmax(axis=-1), pivot.shape[-1]

    def commonest(permutation: IntArray) -> IntArray:
        renamed = np.take_along_axis(invert(permutation), allocated, axis=-1)
        renamed = renamed.reshape(-1, renamed.shape[-1])
        units = renamed.shape[-1]
        counts = np.bincount((np.arange(units) * k + renamed).ravel(), minlength=units * k)
        return counts.reshape(units, k).argmax(axis=-1)

    return _iterate(allocated, pivot, commonest, max_iterations)


def ecr_iterative_2(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 100
) -> IntArray:
    """ECR whose pivot becomes each unit's class of highest mean probability.

    The second iterative version (Papastamoulis 2014; Papastamoulis 2016),
    started from a pivot like the first.
    """

    def most_probable(permutation: IntArray) -> IntArray:
        return permuted_mean(responsibilities, permutation).argmax(axis=-1)

    return _iterate(responsibilities.argmax(axis=-1), pivot, most_probable, max_iterations)


def _iterate(
    allocated: IntArray,
    pivot: FloatArray,
    renew: Callable[[IntArray], IntArray],
    max_iterations: int,
) -> IntArray:
    k = pivot.shape[-1]
    classes = settled(
        pivot.argmax(axis=-1), lambda classes: renew(_align(allocated, classes, k)), max_iterations
    )
    return _align(allocated, classes, k)


def _align(allocated: IntArray, classes: IntArray, k: int) -> IntArray:
    """Permutations from classes (..., G) by draw and the pivot's (G,)."""
    flat = allocated.reshape(-1, allocated.shape[-1])
    draw = np.arange(len(flat))[:, None] * (k * k)
    counts = np.bincount((draw + classes * k + flat).ravel(), minlength=len(flat) * k * k)
    return assign(-counts.reshape(*allocated.shape[:-1], k, k).astype(float))
