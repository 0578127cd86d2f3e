"""How labels moved between draws, and how far algorithms agree on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.labels.permutations import compose, invert


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
    stay
        (C,) mean number of draws between switches, the chain's ends counted as switches.
    relabelled
        Share of draws whose permutation is not the commonest one.
    labelling
        (C, S) number of each draw's permutation, 0 the commonest.
    """

    labellings: int
    by_chain: IntArray
    switches: IntArray
    stay: FloatArray
    relabelled: float
    labelling: IntArray


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
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    labelling = rank[code.reshape(chains, draws)]
    switches = (np.diff(labelling, axis=1) != 0).sum(axis=1)
    return Switching(
        labellings=len(counts),
        by_chain=np.array([len(np.unique(row)) for row in labelling], dtype=np.intp),
        switches=switches.astype(np.intp),
        stay=draws / (switches + 1),
        relabelled=float(1 - counts.max() / counts.sum()),
        labelling=labelling.astype(np.intp),
    )


def relative_labelling(first: IntArray, second: IntArray) -> tuple[IntArray, float]:
    """The one renumbering that most often turns the first's labels into the second's.

    Two algorithms that agree may still number the aligned classes differently, once for all
    draws.

    Parameters
    ----------
    first, second
        (..., K) permutations of the same draws.

    Returns
    -------
    permutation
        (K,) to apply after `first`.
    share
        Of the draws in which this gives `second`.
    """
    k = first.shape[-1]
    between = compose(invert(first), second).reshape(-1, k)
    distinct, counts = np.unique(between, axis=0, return_counts=True)
    best = int(counts.argmax())
    return distinct[best].astype(np.intp), float(counts[best] / counts.sum())


def agreement(first: IntArray, second: IntArray) -> float:
    """Share of draws given the same permutation, up to one renumbering for all."""
    return relative_labelling(first, second)[1]


def agreement_matrix(permutations: Sequence[IntArray]) -> FloatArray:
    """(A, A) agreement of A algorithms' permutations (..., K)."""
    count = len(permutations)
    matrix = np.eye(count)
    for i in range(count):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = agreement(permutations[i], permutations[j])
    return matrix


def classes(responsibilities: FloatArray, permutation: IntArray) -> IntArray:
    """(..., G) most probable class of every unit in every relabelled draw."""
    return np.take_along_axis(invert(permutation), responsibilities.argmax(axis=-1), axis=-1)


def instability(responsibilities: FloatArray, permutation: IntArray) -> FloatArray:
    """(G,) share of relabelled draws in which a unit is not in its commonest class."""
    k = permutation.shape[-1]
    renamed = classes(responsibilities, permutation)
    renamed = renamed.reshape(-1, renamed.shape[-1])
    counts = np.stack([(renamed == c).sum(axis=0) for c in range(k)])
    return np.asarray(1 - counts.max(axis=0) / len(renamed))
