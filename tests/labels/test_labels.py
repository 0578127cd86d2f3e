"""Relabelling, against all permutations and by hand."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixcompare import labels

counts = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


def memberships(rng: np.random.Generator, *shape: int) -> NDArray[Any]:
    return rng.dirichlet(np.full(shape[-1], 0.3), size=shape[:-1])


def random_permutations(rng: np.random.Generator, *shape: int) -> NDArray[np.intp]:
    return rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)


@given(counts, seeds)
def test_assignment_is_the_best_of_all_permutations(k: int, seed: int) -> None:
    cost = np.random.default_rng(seed).normal(size=(3, 2, k, k))
    found = labels.assign(cost)
    assert found.shape == (3, 2, k)
    for where in np.ndindex(3, 2):
        totals = [cost[where][np.arange(k), p].sum() for p in permutations(range(k))]
        assert cost[where][np.arange(k), found[where]].sum() == pytest.approx(min(totals))


@given(counts, st.integers(1, 12), seeds)
def test_alignment_is_the_nearest_of_all_permutations(k: int, units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, reference = memberships(rng, units, k), memberships(rng, units, k)
    found = labels.align_to_reference(given_, reference)
    distance = [((given_[:, p] - reference) ** 2).sum() for p in permutations(range(k))]
    assert ((given_[:, found] - reference) ** 2).sum() == pytest.approx(min(distance))


@settings(deadline=None)
@given(st.integers(1, 8), seeds)
def test_relabelling_is_recovered_exactly(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = np.concatenate([memberships(rng, 30, k), np.eye(k)])
    shuffle = random_permutations(rng, 2, 5, k)
    draws = labels.permute(np.broadcast_to(reference, (2, 5, *reference.shape)), shuffle, axis=-1)
    found = labels.align_to_reference(draws, reference)
    aligned = labels.permute(draws, found, axis=-1)
    np.testing.assert_array_equal(aligned, np.broadcast_to(reference, aligned.shape))
    np.testing.assert_array_equal(
        labels.compose(shuffle, found), np.broadcast_to(np.arange(k), found.shape)
    )


@given(counts, seeds)
def test_composition_is_applying_one_after_the_other(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, 3, k, 5))
    first, second, third = (random_permutations(rng, 2, 3, k) for _ in range(3))
    np.testing.assert_array_equal(
        labels.permute(values, labels.compose(first, second), axis=2),
        labels.permute(labels.permute(values, first, axis=2), second, axis=2),
    )
    np.testing.assert_array_equal(
        labels.compose(labels.compose(first, second), third),
        labels.compose(first, labels.compose(second, third)),
    )
    identity = np.arange(k)
    np.testing.assert_array_equal(labels.compose(first, identity), first)
    np.testing.assert_array_equal(labels.compose(identity, first), first)
    np.testing.assert_array_equal(
        labels.compose(first, np.argsort(first)), np.broadcast_to(identity, first.shape)
    )


def test_permuting_by_hand() -> None:
    values = np.array([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]])
    permutation = np.array([[2, 0, 1], [0, 2, 1]])
    expected = [[30.0, 10.0, 20.0], [1.0, 3.0, 2.0]]
    np.testing.assert_array_equal(labels.permute(values, permutation, axis=1), expected)
    np.testing.assert_array_equal(labels.permute(values, permutation, axis=-1), expected)
    np.testing.assert_array_equal(
        labels.permute(values, np.array([2, 0, 1]), axis=-1),
        [[30.0, 10.0, 20.0], [3.0, 1.0, 2.0]],
    )
    rows = labels.permute(np.arange(6.0).reshape(3, 2), np.array([1, 2, 0]), axis=0)
    np.testing.assert_array_equal(rows, [[2, 3], [4, 5], [0, 1]])


def test_numbering_by_weight() -> None:
    np.testing.assert_array_equal(labels.by_weight(np.array([0.2, 0.5, 0.3])), [1, 2, 0])
    np.testing.assert_array_equal(labels.by_weight(np.full(20, 0.05)), np.arange(20))
    np.testing.assert_array_equal(labels.by_weight(np.array([0.1, 0.4, 0.1, 0.4])), [1, 3, 0, 2])
    np.testing.assert_array_equal(labels.by_weight(np.array([1.0])), [0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_numbering_by_weight_sorts(weights: list[float]) -> None:
    array = np.array(weights)
    order = labels.by_weight(array)
    assert (np.diff(array[order]) <= 0).all()
    np.testing.assert_array_equal(np.sort(order), np.arange(len(array)))


def test_switching_counted_by_hand() -> None:
    a, b, c = [0, 1, 2], [1, 0, 2], [2, 1, 0]
    found = labels.switching(np.array([[a, a, b, a, a], [c, c, c, c, c], [a, b, a, b, b]]))
    assert found.labellings == 3
    np.testing.assert_array_equal(found.by_chain, [2, 1, 2])
    np.testing.assert_array_equal(found.switches, [2, 0, 3])
    assert found.relabelled == pytest.approx(1 - 6 / 15)


def test_no_switching() -> None:
    for k in (1, 3):
        found = labels.switching(np.tile(np.arange(k), (2, 4, 1)))
        assert (found.labellings, found.relabelled) == (1, 0.0)
        np.testing.assert_array_equal(found.switches, 0)
        np.testing.assert_array_equal(found.by_chain, 1)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), seeds)
def test_switching_draws_are_aligned_to_one_another(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.eye(k), 6, axis=0) * 0.8 + 0.2 / k
    noisy = np.clip(truth + rng.normal(scale=0.03, size=(2, 15, 6 * k, k)), 1e-3, None)
    clean = noisy / noisy.sum(axis=-1, keepdims=True)
    shuffle = random_permutations(rng, 2, 15, k)
    draws = labels.permute(clean, shuffle, axis=-1)
    pivot = draws[1, 7]
    found = labels.align_draws(draws, pivot)
    net = labels.compose(shuffle, found)
    np.testing.assert_array_equal(net, np.broadcast_to(shuffle[1, 7], net.shape))
    aligned = labels.permute(draws, found, axis=-1)
    assert np.ptp(aligned, axis=(0, 1)).max() < 0.5


@given(seeds, st.integers(2, 4))
def test_aligning_to_the_mean_is_never_worse_than_the_pivot(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    draws = memberships(rng, 1, 8, 5, k)

    def scatter(permutation: NDArray[np.intp]) -> float:
        aligned = labels.permute(draws, permutation, axis=-1)
        return float(((aligned - aligned.mean(axis=(0, 1))) ** 2).sum())

    pivot = draws[0, 0]
    at_pivot = labels.align_to_reference(draws, pivot)
    assert scatter(labels.align_draws(draws, pivot)) <= scatter(at_pivot) + 1e-12


def test_one_component() -> None:
    draws = np.ones((2, 3, 4, 1))
    np.testing.assert_array_equal(labels.align_draws(draws, draws[0, 0]), np.zeros((2, 3, 1)))
