"""Every relabelling algorithm on made-up draws, and against all permutations."""

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mixcompare as mc
from mixcompare import labels

seeds = st.integers(0, 2**32 - 1)


def made(
    k: int,
    seed: int,
    *,
    separation: float = 8.0,
    draws: tuple[int, int] = (2, 25),
    noise: float = 0.1,
) -> tuple[labels.Draws, NDArray[np.intp]]:
    """Draws of a mixture on a line with shuffled labels, and the permutations that undo that."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), 7)
    x = truth * separation + rng.normal(size=truth.size)
    centre = np.arange(k) * separation + noise * rng.normal(size=(*draws, k))
    weights = np.log(rng.dirichlet(np.full(k, 1 / noise), size=draws))
    joint = weights[..., None, :] - 0.5 * np.square(x[:, None] - centre[..., None, :])
    tau = np.exp(joint - joint.max(axis=-1, keepdims=True))
    tau /= tau.sum(axis=-1, keepdims=True)
    shuffle = rng.permuted(np.broadcast_to(np.arange(k), (*draws, k)), axis=-1)
    switched = labels.permute(tau, shuffle, axis=-1)

    def climb(draw: NDArray[Any]) -> tuple[int, NDArray[np.intp]]:
        return 0, labels.align_to_reference(draw, np.eye(k)[truth])

    return labels.Draws(
        responsibilities=switched,
        pivot=switched[-1, 3],
        reference=np.eye(k)[truth],
        quantity=np.take_along_axis(centre, shuffle, axis=-1),
        features=np.column_stack([x, rng.normal(size=x.size)]),
        climb=climb,
    ), labels.invert(shuffle)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 6), seeds)
def test_every_algorithm_undoes_shuffled_labels(k: int, seed: int) -> None:
    draws, expected = made(k, seed)
    found = labels.relabel(draws)
    assert list(found) == list(labels.ALGORITHMS)
    for name, permutation in found.items():
        assert permutation.shape == expected.shape, name
        assert labels.agreement(permutation, expected) == 1.0, name
        aligned = labels.classes(draws.responsibilities, permutation)
        assert (aligned == aligned[0, 0]).all(), name
    np.testing.assert_array_equal(labels.agreement_matrix(list(found.values())), 1.0)
    assert labels.instability(draws.responsibilities, found["ECR"]).max() == 0.0


def test_algorithms_disagree_where_classes_overlap() -> None:
    draws, _ = made(3, 1, separation=1.0, noise=0.8, draws=(2, 60))
    found = labels.relabel(draws)
    matrix = labels.agreement_matrix(list(found.values()))
    assert matrix.min() < 0.9
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert labels.instability(draws.responsibilities, found["ECR"]).max() > 0.2


def random_draws(seed: int, draws: int, units: int, k: int) -> NDArray[Any]:
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.5), size=(draws, units))


@settings(deadline=None)
@given(seeds, st.integers(2, 4))
def test_ecr_keeps_the_most_units_of_all_permutations(seed: int, k: int) -> None:
    tau = random_draws(seed, 3, 9, k)
    pivot = random_draws(seed + 1, 1, 9, k)[0]
    found = labels.ecr(tau, pivot)
    for draw, permutation in zip(tau, found, strict=True):
        kept = [
            (draw[:, p].argmax(axis=1) == pivot.argmax(axis=1)).sum()
            for p in permutations(range(k))
        ]
        own = (draw[:, permutation].argmax(axis=1) == pivot.argmax(axis=1)).sum()
        assert own == max(kept)


@settings(deadline=None)
@given(seeds, st.integers(2, 4))
def test_stephens_divergence_never_rises(seed: int, k: int) -> None:
    tau = random_draws(seed, 30, 6, k)
    permutation, divergence = labels.stephens_path(tau, tau[0])
    assert (np.diff(divergence) <= 1e-9).all()
    p = np.maximum(tau, 1e-6)
    p = labels.permute(p / p.sum(axis=-1, keepdims=True), permutation, axis=-1)
    by_hand = (p * np.log(p / p.mean(axis=0))).sum()
    assert divergence[-1] == pytest.approx(by_hand)
    np.testing.assert_array_equal(labels.stephens(tau, tau[0]), permutation)


def test_stephens_finds_the_best_of_all_relabellings() -> None:
    """All 3!^3 relabellings of four draws, the first one held; clear enough to have one optimum."""
    draws, _ = made(3, 5, separation=3.0, draws=(1, 4))
    tau = np.maximum(draws.responsibilities[0], 1e-6)
    tau /= tau.sum(axis=-1, keepdims=True)

    def divergence(choice: Any) -> float:
        p = labels.permute(tau, np.array(choice), axis=-1)
        return float((p * np.log(p / p.mean(axis=0))).sum())

    every = list(permutations(range(3)))
    best = min(divergence([every[0], *rest]) for rest in product(every, repeat=3))
    assert labels.stephens_path(tau, tau[0])[1][-1] == pytest.approx(best)


def test_data_based_cost_is_the_loss_by_hand() -> None:
    """With the centres found, no permutation of any draw has less loss."""
    draws, _ = made(3, 2, separation=2.0, draws=(1, 12))
    assert draws.features is not None
    x = (draws.features - draws.features.mean(axis=0)) / draws.features.std(axis=0)
    found = labels.data_based(draws.responsibilities, draws.features, draws.pivot)[0]
    renamed = labels.classes(draws.responsibilities[0], found)
    groups = [[x[renamed[d] == c] for c in range(3)] for d in range(12)]
    centre = np.array([np.mean([groups[d][c].mean(0) for d in range(12)], 0) for c in range(3)])
    spread = np.array([np.mean([groups[d][c].std(0) for d in range(12)], 0) for c in range(3)])

    def loss(order: Any, group: list[NDArray[Any]]) -> float:
        return sum(
            float((((group[j] - centre[c]) / spread[c]) ** 2).sum()) for c, j in enumerate(order)
        )

    for group in groups:
        every = [loss(order, group) for order in permutations(range(3))]
        assert loss(range(3), group) == pytest.approx(min(every))


def test_ordering_sorts() -> None:
    quantity = np.random.default_rng(3).normal(size=(2, 5, 4))
    permutation = labels.by_order(quantity)
    assert (np.diff(np.take_along_axis(quantity, permutation, -1), axis=-1) > 0).all()
    np.testing.assert_array_equal(labels.by_order(-quantity, descending=True), permutation)


def test_climbing_gives_modes_and_labels() -> None:
    tau = random_draws(4, 6, 5, 2).reshape(2, 3, 5, 2)
    mode, permutation = labels.climbing(
        tau, lambda draw: (int(draw[0, 0] > 0.5), labels.by_order(draw[0]))
    )
    np.testing.assert_array_equal(mode, tau[..., 0, 0] > 0.5)
    np.testing.assert_array_equal(permutation, np.argsort(tau[..., 0, :], axis=-1))


def test_an_algorithm_without_what_it_needs_is_refused() -> None:
    draws = labels.Draws(np.ones((2, 3, 4, 1)), np.ones((4, 1)))
    assert set(labels.relabel(draws)) == {
        "mean",
        "ECR",
        "ECR-iterative-1",
        "ECR-iterative-2",
        "Stephens",
    }
    with pytest.raises(mc.OptionError, match="'ordering' needs the draws' quantity"):
        labels.relabel(draws, ["ordering"])
    with pytest.raises(mc.OptionError, match="unknown relabelling algorithm 'ers'; there are: EM"):
        labels.relabel(draws, ["ers"])


# Measures.


def test_agreement_ignores_one_renumbering_for_all() -> None:
    rng = np.random.default_rng(6)
    first = rng.permuted(np.tile(np.arange(4), (2, 10, 1)), axis=-1)
    renumbering = np.array([2, 0, 3, 1])
    second = labels.compose(first, renumbering)
    found, share = labels.relative_labelling(first, second)
    np.testing.assert_array_equal(found, renumbering)
    assert share == 1.0
    second[0, :3] = second[0, :3][:, [1, 0, 2, 3]]
    assert labels.agreement(first, second) == pytest.approx(17 / 20)


def test_inverse_and_mean_of_renumbered_draws() -> None:
    rng = np.random.default_rng(7)
    permutation = rng.permuted(np.tile(np.arange(3), (2, 5, 1)), axis=-1)
    identity = np.broadcast_to(np.arange(3), permutation.shape)
    np.testing.assert_array_equal(labels.compose(permutation, labels.invert(permutation)), identity)
    tau = random_draws(8, 10, 4, 3).reshape(2, 5, 4, 3)
    np.testing.assert_allclose(
        labels.permuted_mean(tau, permutation),
        labels.permute(tau, permutation, axis=-1).mean(axis=(0, 1)),
    )


def test_stays_between_switches_by_hand() -> None:
    a, b = [0, 1], [1, 0]
    found = labels.switching(np.array([[a, a, b, b, b, a], [b, b, b, b, b, b]]))
    np.testing.assert_array_equal(found.stay, [2, 6])
    np.testing.assert_array_equal(found.labelling, [[1, 1, 0, 0, 0, 1], [0] * 6])


def test_instability_by_hand() -> None:
    """Four draws of two units; the second is in the other class once."""
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    moved = np.array([[1.0, 0.0], [1.0, 0.0]])
    tau = np.array([[certain, certain[:, ::-1], certain, moved]])
    permutation = np.array([[[0, 1], [1, 0], [0, 1], [0, 1]]])
    np.testing.assert_allclose(labels.instability(tau, permutation), [0, 0.25])


@given(seeds)
def test_invariants_do_not_know_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tau = random_draws(seed, 6, 5, 3).reshape(2, 3, 5, 3)
    shuffled = labels.permute(tau, rng.permuted(np.tile(np.arange(3), (2, 3, 1)), axis=-1), axis=-1)
    matrix = labels.co_clustering(tau)
    np.testing.assert_allclose(labels.co_clustering(shuffled), matrix)
    np.testing.assert_allclose(labels.expected_pairs(shuffled), labels.expected_pairs(tau))
    off = ~np.eye(5, dtype=bool)
    assert labels.expected_pairs(tau).mean() == pytest.approx(matrix[off].mean())
    pairs = np.argwhere(off)
    np.testing.assert_allclose(labels.pair_probabilities(tau, pairs).mean(axis=(0, 1)), matrix[off])
    by_hand = np.einsum("csgk,cshk->gh", tau, tau) / 6
    np.testing.assert_allclose(matrix[off], by_hand[off])
