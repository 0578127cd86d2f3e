"""Relabelling of mixture components, on arrays; knows no backend.

A mixture's likelihood does not change when its classes are renumbered, so two starts
or two draws can describe the same fit under different labels. Everything here finds
the renumbering that brings draws nearest to one another or to a reference by solving
assignment problems, never by trying all K! permutations, or measures how labels moved.

A permutation is an integer array of length K: component ``k`` after relabelling is
component ``permutation[k]`` before it. It may import `base` alone.
"""

from mixcompare.base.arrays import FloatArray, IntArray, permute
from mixcompare.labels.algorithms import ALGORITHMS, Algorithm, Draws, register_algorithm, relabel
from mixcompare.labels.by_mode import Climb, climbing
from mixcompare.labels.data_based import data_based
from mixcompare.labels.equivalence import ecr, ecr_iterative_1, ecr_iterative_2
from mixcompare.labels.invariants import co_clustering, expected_pairs, pair_probabilities
from mixcompare.labels.movement import (
    Switching,
    agreement,
    agreement_matrix,
    classes,
    instability,
    relative_labelling,
    switching,
)
from mixcompare.labels.ordering import by_order, by_weight
from mixcompare.labels.permutations import assign, compose, invert, permuted_mean, permuted_sum
from mixcompare.labels.reference import (
    align_batches,
    align_batches_to_reference,
    align_draws,
    align_to_reference,
    overlap,
)
from mixcompare.labels.stephens import stephens, stephens_path

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Climb",
    "Draws",
    "FloatArray",
    "IntArray",
    "Switching",
    "agreement",
    "agreement_matrix",
    "align_batches",
    "align_batches_to_reference",
    "align_draws",
    "align_to_reference",
    "assign",
    "by_order",
    "by_weight",
    "classes",
    "climbing",
    "co_clustering",
    "compose",
    "data_based",
    "ecr",
    "ecr_iterative_1",
    "ecr_iterative_2",
    "expected_pairs",
    "instability",
    "invert",
    "overlap",
    "pair_probabilities",
    "permute",
    "permuted_mean",
    "permuted_sum",
    "register_algorithm",
    "relabel",
    "relative_labelling",
    "stephens",
    "stephens_path",
    "switching",
]
