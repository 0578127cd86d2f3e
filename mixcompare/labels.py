"""Relabelling of mixture components, on arrays; knows no backend.

A mixture's likelihood does not change when its classes are renumbered, so two starts
or two draws can describe the same fit under different labels. Everything here finds
the renumbering that brings a fit nearest to a reference by solving an assignment
problem, never by trying all K! permutations, or counts how often labels moved.

A permutation is an integer array of length K: component ``k`` after relabelling is
component ``permutation[k]`` before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]


def assign(cost: FloatArray) -> IntArray:
    """Permutations of least total cost.

    Parameters
    ----------
    cost
        (..., K, K): cost of giving label ``k`` (row) to component ``j`` (column).

    Returns
    -------
    (..., K) permutations.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, needed by fits only

    flat = cost.reshape(-1, *cost.shape[-2:])
    columns = [linear_sum_assignment(matrix)[1] for matrix in flat]
    return np.asarray(columns, dtype=np.intp).reshape(cost.shape[:-1])


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
    return assign(-np.einsum("gk,...gj->...kj", reference, responsibilities, optimize=True))


def align_draws(
    responsibilities: FloatArray, pivot: FloatArray, *, max_iterations: int = 20
) -> IntArray:
    """Align draws to their own average, started from a pivot.

    Alternates between aligning every draw to the mean of the aligned draws and
    recomputing that mean, until no permutation changes; each step cannot raise the
    summed squared distance, so it ends (the second iterative ECR algorithm of
    Papastamoulis 2016, with soft classes).

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    pivot
        (G, K) where to start, e.g. the draw of highest posterior density.
    """
    permutation = align_to_reference(responsibilities, pivot)
    for _ in range(max_iterations):
        mean = permute(responsibilities, permutation, axis=-1).reshape(-1, *pivot.shape).mean(0)
        updated = align_to_reference(responsibilities, mean)
        if np.array_equal(updated, permutation):
            break
        permutation = updated
    return permutation


def by_weight(weights: FloatArray) -> IntArray:
    """Permutation that numbers components from the largest weight to the smallest.

    Ties keep their order, so the rule is deterministic.
    """
    return np.argsort(-weights, kind="stable").astype(np.intp)


def permute(values: NDArray[np.float64], permutation: IntArray, axis: int) -> FloatArray:
    """Renumber components.

    Parameters
    ----------
    values
        Array with sample dimensions first and the components on `axis`.
    permutation
        (..., K) whose leading dimensions are the first dimensions of `values`.
    axis
        The components' axis in `values`.
    """
    axis %= values.ndim
    shape = [1] * values.ndim
    shape[: permutation.ndim - 1] = permutation.shape[:-1]
    shape[axis] = permutation.shape[-1]
    return np.take_along_axis(values, permutation.reshape(shape), axis=axis)


def compose(first: IntArray, second: IntArray) -> IntArray:
    """The one permutation that equals applying `first`, then `second`.

    Both are (..., K) and broadcast against each other.
    """
    shape = np.broadcast_shapes(first.shape, second.shape)
    return np.take_along_axis(np.broadcast_to(first, shape), np.broadcast_to(second, shape), -1)


@dataclass(frozen=True, slots=True, eq=False)
class Switching:
    """How labels moved between draws.

    Attributes
    ----------
    labellings
        Number of distinct permutations over all draws.
    by_chain
        (C,) distinct permutations within each chain.
    switches
        (C,) draws whose permutation differs from that of the draw before.
    relabelled
        Share of draws whose permutation is not the commonest one.
    """

    labellings: int
    by_chain: IntArray
    switches: IntArray
    relabelled: float


def switching(permutation: IntArray) -> Switching:
    """Count label switches.

    Parameters
    ----------
    permutation
        (C, S, K) permutations of C chains with S draws each.
    """
    chains, draws, k = permutation.shape
    _, code, counts = np.unique(
        permutation.reshape(-1, k), axis=0, return_inverse=True, return_counts=True
    )
    code = code.reshape(chains, draws)
    return Switching(
        labellings=len(counts),
        by_chain=np.array([len(np.unique(row)) for row in code], dtype=np.intp),
        switches=(np.diff(code, axis=1) != 0).sum(axis=1).astype(np.intp),
        relabelled=float(1 - counts.max() / counts.sum()),
    )
