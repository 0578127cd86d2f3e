"""The layout of parameters: blocks, scalars, their names and counts, and how they move."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mixcompare.base.arrays import FloatArray
from mixcompare.model.families import FAMILIES, Extra, Family, register_family
from mixcompare.model.layout import Layout, Names, Parameter, flatten
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec
from tests.em_cases import STRUCTURES

FREE: dict[str, Callable[[int], int]] = {
    "full": lambda m: m * (m + 1) // 2,
    "diagonal": lambda m: m,
    "spherical": lambda m: 1,
}


def names(p: int, m: int, n_common: int = 0, c: int = 0) -> Names:
    covariates = tuple(f"x{i}" for i in range(p))
    outcomes = tuple(f"y{j}" for j in range(m))
    return Names(covariates, outcomes, covariates[:n_common], tuple(f"z{i}" for i in range(c)))


def layout(covariance: Any, by: Any, k: int, p: int, m: int, n_common: int = 0) -> Layout:
    spec = MixtureSpec("y ~ x", n_components=k, covariance=covariance, covariance_by=by)
    return Layout.of(spec, names(p, m, n_common))


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any structure, with membership or without, of one response or two."""
    structures = [
        Response("y ~ x", covariance=c, covariance_by=by)  # type: ignore[arg-type]
        for c, by in STRUCTURES
    ]
    responses = draw(st.lists(st.sampled_from(structures), min_size=1, max_size=2))
    spec = MixtureSpec(responses, n_components=draw(st.integers(1, 4)))
    c = draw(st.integers(0, 3))
    each = []
    for _ in responses:
        p = draw(st.integers(1, 3))
        each.append(names(p, draw(st.integers(1, 3)), draw(st.integers(0, p)), c))
    return Layout.of(spec, each)


def values(made: Layout, seed: int, lead: tuple[int, ...] = ()) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(*lead, len(made.parameters)))


@given(layouts(), st.sampled_from([(), (7,), (2, 3)]))
def test_flattening_undoes_unflattening(made: Layout, lead: tuple[int, ...]) -> None:
    flat = values(made, 0, lead)
    arrays = made.unflatten(flat)
    assert {name: array.shape for name, array in arrays.items()} == {
        name: (*lead, *shape) for name, shape in made.shapes.items()
    }
    np.testing.assert_array_equal(made.flatten(arrays), flat)


@given(layouts())
def test_every_place_is_one_number_or_a_structural_zero(made: Layout) -> None:
    places = [(p.variable, place) for p in made.parameters for place in p.positions]
    assert len(set(places)) == len(places)
    assert len(set(made.names())) == len(made.names())
    assert {p.variable for p in made.parameters} <= set(made.arrays)
    for block in made.blocks:
        assert len(block.dims) == len(block.shape)
        held = sum(len(p.positions) for p in block.parameters)
        if block.name == "membership_coefficients":
            assert held == np.prod(block.shape) - block.shape[1]
        elif block.support != "covariance":
            assert held == np.prod(block.shape)


@given(layouts(), st.randoms(use_true_random=False))
def test_renumbering_moves_classes_and_rebases_odds(made: Layout, random: Any) -> None:
    k = made["weights"].shape[0]
    draws = 5
    arrays = made.unflatten(values(made, 1, (draws,)))
    permutation = np.array([random.sample(range(k), k) for _ in range(draws)])
    moved = made.permute(arrays, permutation)
    for s, order in enumerate(permutation):
        for block in made.blocks:
            expected = arrays[block.name][s][order]
            if block.name == "membership_coefficients":
                expected = expected - expected[0]
                np.testing.assert_array_equal(moved[block.name][s][0], 0)
            np.testing.assert_array_equal(moved[block.name][s], expected)
    # What is one number before is one number after.
    again = made.unflatten(made.flatten(moved))
    for name, array in moved.items():
        np.testing.assert_array_equal(again[name], array)


@given(layouts())
def test_renumbering_as_sums_of_parameters(made: Layout) -> None:
    order = np.random.default_rng(4).permutation(made["weights"].shape[0])
    before = values(made, 5)
    after = made.flatten(made.permute(made.unflatten(before), order))
    for combination, value in zip(made.combinations(order), after, strict=True):
        assert sum(factor * before[i] for i, factor in combination) == value


@given(layouts())
def test_renumbering_back_restores_the_arrays(made: Layout) -> None:
    arrays = made.unflatten(values(made, 2))
    order = np.random.default_rng(3).permutation(made["weights"].shape[0])
    there = made.permute(arrays, order)
    for name, array in made.permute(there, np.argsort(order)).items():
        np.testing.assert_allclose(array, arrays[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize(
    ("k", "p", "m", "n_common", "c"),
    [(1, 1, 1, 0, 0), (3, 2, 1, 0, 2), (2, 1, 3, 1, 0), (4, 3, 2, 2, 3)],
)
def test_free_parameters_by_the_textbook(
    covariance: Any, by: Any, k: int, p: int, m: int, n_common: int, c: int
) -> None:
    spec = MixtureSpec("y ~ x", n_components=k, covariance=covariance, covariance_by=by)
    made = Layout.of(spec, names(p, m, n_common, c))
    covariances = (k if by == "component" else 1) * FREE[covariance](m)
    coefficients = (k * (p - n_common) + n_common) * m
    assert made.n_free == (k - 1) * max(c, 1) + coefficients + covariances
    # All weights are listed, though one follows from the others, or all from the odds.
    assert len(made.parameters) == made.n_free + (k if c else 1)


def test_names_with_one_outcome() -> None:
    assert layout("full", "component", 2, 1, 1).names() == (
        "weights[1]",
        "weights[2]",
        "coefficients[1, x0]",
        "coefficients[2, x0]",
        "covariance[1]",
        "covariance[2]",
    )
    assert layout("full", "shared", 2, 1, 1).names()[-1] == "covariance"


@pytest.mark.parametrize(
    ("covariance", "by", "expected"),
    [
        ("full", "component", ["1, y0, y0", "1, y1, y0", "1, y1, y1"]),
        ("diagonal", "component", ["1, y0, y0", "1, y1, y1"]),
        ("spherical", "component", ["1"]),
        ("full", "shared", ["y0, y0", "y1, y0", "y1, y1"]),
        ("diagonal", "shared", ["y0, y0", "y1, y1"]),
    ],
)
def test_names_of_covariances(covariance: Any, by: Any, expected: list[str]) -> None:
    made = layout(covariance, by, 2, 1, 2)
    assert made.names()[2] == "coefficients[1, x0, y0]"
    if by == "component":
        expected = [*expected, *(name.replace("1", "2", 1) for name in expected)]
    listed = [p.name for p in made["covariance"].parameters]
    assert listed == [f"covariance[{name}]" for name in expected]


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_variances_and_classes(covariance: Any, by: Any) -> None:
    for p in layout(covariance, by, 2, 2, 2).parameters:
        if p.variable == "covariance":
            assert (p.support == "positive") == all(i == j for _, i, j in p.positions)
            assert (p.component is None) == (by == "shared")
        else:
            assert p.support == ("probability" if p.variable == "weights" else "real")
            assert p.component == p.position[0] + 1


def test_common_coefficients_and_odds_are_listed_once() -> None:
    spec = MixtureSpec("y ~ x", n_components=2)
    made = Layout.of(spec, names(2, 1, n_common=1, c=1))
    assert made.names()[2:6] == (
        "membership[2, z0]",
        "coefficients[1, x1]",
        "coefficients[2, x1]",
        "coefficients[x0]",
    )
    assert made["coefficients"].parameters[-1].positions == ((0, 0, 0), (1, 0, 0))


@pytest.mark.parametrize(
    ("covariance", "by", "matrices"),
    [
        ("full", "component", [[[1, 2], [2, 3]], [[4, 5], [5, 6]]]),
        ("diagonal", "component", [[[1, 0], [0, 2]], [[3, 0], [0, 4]]]),
        ("spherical", "component", [[[1, 0], [0, 1]], [[2, 0], [0, 2]]]),
        ("full", "shared", [[[1, 2], [2, 3]]] * 2),
        ("diagonal", "shared", [[[1, 0], [0, 2]]] * 2),
        ("spherical", "shared", [[[1, 0], [0, 1]]] * 2),
    ],
)
def test_unflattening_by_hand(covariance: Any, by: Any, matrices: Any) -> None:
    made = layout(covariance, by, 2, 2, 2)
    flat = np.concatenate([np.arange(-10.0, 0), np.arange(1.0, len(made.parameters) - 9)])
    arrays = made.unflatten(flat)
    np.testing.assert_array_equal(arrays["weights"], [-10, -9])
    np.testing.assert_array_equal(arrays["coefficients"].ravel(), np.arange(-8.0, 0))
    np.testing.assert_array_equal(arrays["covariance"], matrices)
    dataset = xr.Dataset({b.name: (b.dims, arrays[b.name]) for b in made.blocks})
    np.testing.assert_array_equal(made.flatten(dataset), flat)


def test_some_parameters_need_their_arrays_only() -> None:
    wanted = layout("full", "component", 2, 1, 1)["weights"].parameters
    np.testing.assert_array_equal(
        flatten({"weights": np.array([0.25, 0.75])}, wanted), [0.25, 0.75]
    )


@pytest.fixture
def toy() -> Iterator[Family]:
    """A family with a parameter of each class and one for all."""
    declared = Family(
        "toy", "counts", ("log",), (Extra("size", "positive"), Extra("a", "real", False))
    )
    yield register_family(declared)
    del FAMILIES["toy"]


def test_a_family_brings_its_parameters(toy: Family) -> None:
    spec = MixtureSpec("y ~ x", family=toy.name, n_components=2)
    made = Layout.of(spec, names(1, 1))
    assert made.arrays == ("weights", "coefficients", "size", "a")
    assert made.names()[-3:] == ("size[1]", "size[2]", "a")
    assert made.n_free == 1 + 2 + 2 + 1
    assert made["a"].class_axis is None
    arrays = made.unflatten(np.arange(7.0))
    moved = made.permute(arrays, np.array([1, 0]))
    np.testing.assert_array_equal(moved["size"], [[5], [4]])
    np.testing.assert_array_equal(moved["a"], arrays["a"])


def test_several_responses_have_blocks_of_their_own(toy: Family) -> None:
    spec = MixtureSpec(
        [Response("y0 + y1 ~ x", covariance="diagonal"), Response("n ~ z", family="toy")],
        n_components=2,
    )
    made = Layout.of(spec, [names(1, 2), Names(("z",), ("n",))])
    assert made.arrays == (
        *("weights", "coefficients_1", "covariance_1"),
        *("coefficients_2", "size_2", "a_2"),
    )
    assert made["coefficients_2"].dims == ("mixture_component", "covariate_2", "outcome_2")
    assert made.names()[2:4] == ("coefficients_1[1, x0, y0]", "coefficients_1[1, x0, y1]")
    assert made.names()[-3:] == ("size_2[1]", "size_2[2]", "a_2")
    with pytest.raises(KeyError):
        made["covariance_2"]


def test_a_layout_counts_what_its_blocks_count() -> None:
    made = layout("full", "component", 3, 2, 2)
    assert made.parameters == tuple(itertools.chain(*(b.parameters for b in made.blocks)))
    assert all(isinstance(p, Parameter) for p in made.parameters)
