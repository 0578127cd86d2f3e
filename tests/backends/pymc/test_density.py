"""The density that is written by hand is that of the PyMC model, and its gradient is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from pytensor.compile.mode import Mode

import mixcompare as mc
from mixcompare.backends.pymc.density.densities import density_of, graph_density
from mixcompare.backends.pymc.density.likelihood_kernels import exponential, logarithm
from mixcompare.backends.pymc.density.packing import pack, serves
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.graph_coordinates import graph_coordinates
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.result import check_density
from tests.compiled_density import density
from tests.em_cases import build

PYTHON = Mode(linker="py", optimizer="fast_compile").including("stabilize")
WIDTHS = (0.3, 0.5, 2.0)
EVERYTHING = {
    "absorb": True,
    "common": "~ x1",
    "membership": "~ income",
    "unit_weights": "count",
}
CASES: list[Any] = [
    pytest.param(*case, id="-".join(map(str, (*case[:4], *case[4]))))
    for case in (
        ("full", "component", 1, 3, {}),
        ("full", "component", 3, 2, {"common": "~ x1"}),
        ("full", "shared", 2, 2, {"membership": "~ income"}),
        ("diagonal", "component", 2, 3, EVERYTHING),
        ("diagonal", "shared", 3, 2, {}),
        ("spherical", "component", 2, 2, {"unit_weights": "count"}),
        ("spherical", "shared", 2, 1, {"membership": "~ income"}),
        ("full", "component", 1, 1, {"absorb": True}),
    )
]


def mixture_of(covariance: str, by: str, m: int, k: int, parts: dict[str, Any]) -> Mixture:
    case = build(covariance, by, m=m, k=k, with_prior=True, **parts)
    return build_mixture(case.problem)


def point_of(mixture: Mixture, seed: int, width: float = 0.5) -> np.ndarray[Any, Any]:
    return width * np.random.default_rng(seed).normal(size=mixture.n_free)


@pytest.mark.parametrize(("covariance", "by", "m", "k", "parts"), CASES)
def test_equals_the_models_density_and_gradient(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    mixture = mixture_of(covariance, by, m, k, parts)
    assert serves(mixture)
    special, general = density_of(mixture), graph_density(mixture, PYTHON)
    points = np.stack([point_of(mixture, seed, width) for seed, width in enumerate(WIDTHS)])
    for power in (1.0, 0.3):
        found, gradients = special.tempered(power)(points)
        expected, slopes = general.tempered(power)(points)
        # PyMC's chi-squared has a constant that is rounded to single precision.
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-7)
        for gradient, slope in zip(gradients, slopes, strict=True):
            largest = np.abs(slope).max()
            np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-10 * largest)


@pytest.mark.parametrize(("covariance", "by", "m", "k", "parts"), CASES)
def test_arithmetic_on_arrays_is_the_graphs(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    """What is written by hand of normal responses is what any response's graph gives."""
    case = build(covariance, by, m=m, k=k, with_prior=True, **parts)
    mixture = build_mixture(case.problem)
    (by_hand,) = mixture.emissions
    by_graph = graph_coordinates(by_hand.term, case.problem, 0)
    assert by_graph.shapes == by_hand.shapes
    assert by_graph.free_shapes == by_hand.free_shapes
    points = mixture.split(np.stack([point_of(mixture, seed) for seed in range(3)]))
    points = {name: points[name] for name in by_hand.shapes}
    variables = by_hand.constrained(points)
    for name, value in by_graph.constrained(points).items():
        np.testing.assert_allclose(variables[name], value, rtol=1e-12)
    for name, value in by_graph.unconstrained(variables).items():
        np.testing.assert_allclose(points[name], value, rtol=1e-12, atol=1e-14)
    parameters = by_hand.parameters(variables, 3)
    for name, value in by_graph.parameters(variables, 3).items():
        np.testing.assert_allclose(parameters[name], value, rtol=1e-9, atol=1e-12)
    found = by_hand.log_density(variables)
    np.testing.assert_allclose(by_graph.log_density(variables), found, rtol=1e-10)
    np.testing.assert_allclose(
        np.moveaxis(by_hand.scores(parameters, case.problem), -1, 0), found, rtol=1e-9
    )
    prior = by_hand.log_prior(variables)
    np.testing.assert_allclose(by_graph.log_prior(variables), prior, rtol=1e-10, atol=1e-7)


@pytest.mark.parametrize(("covariance", "by", "m", "k", "parts"), CASES)
def test_gradient_is_that_of_finite_differences(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    mixture = mixture_of(covariance, by, m, k, parts)
    block, point, step = pack(mixture), point_of(mixture, 3), 1e-5
    _, gradient = density(point, block)
    for i in range(point.size):
        ends = [density(point + sign * step * np.eye(point.size)[i], block)[0] for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx(gradient[i], rel=1e-5, abs=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize(("covariance", "by", "m", "k", "parts"), CASES)
def test_a_sampled_density_that_is_not_the_models_is_an_error(
    covariance: str, by: str, m: int, k: int, parts: dict[str, Any]
) -> None:
    mixture = mixture_of(covariance, by, m, k, parts)
    block, points = pack(mixture), np.stack([point_of(mixture, seed) for seed in range(6)])
    free = mixture.constrained(mixture.split(points))
    log_likelihood = evaluate(mixture, free, 6).log_likelihood.sum(axis=1)
    sampled = np.array([density(point, block)[0] for point in points])
    check_density(mixture, free, sampled, log_likelihood)
    with pytest.raises(mc.DensityError, match="model's differs by 0"):
        check_density(mixture, free, sampled + 1e-4 * (np.arange(6) == 3), log_likelihood)


def test_a_unit_counts_as_often_as_its_weight_says() -> None:
    """And neither the order of the units nor the length of the last tile matters."""
    case = build("full", "component", m=2, k=2, units=70, with_prior=True)
    once = build_mixture(case.problem)
    classes: Any = once.classes
    response: Any = once.emissions[0]
    weights = classes.unit_weights
    take = np.random.default_rng(0).permutation(np.repeat(np.arange(70), 2))
    rows = ("covariates", "outcomes", "degrees_of_freedom")
    panel = replace(response.panel, **{name: getattr(response.panel, name)[take] for name in rows})
    again = replace(
        once,
        emissions=(replace(response, panel=panel),),
        classes=replace(classes, unit_weights=weights[take]),
    )
    twice = replace(once, classes=replace(classes, unit_weights=2 * weights))
    point = point_of(once, 1)
    one, other = (density(point, pack(mixture)) for mixture in (again, twice))
    assert one[0] == pytest.approx(other[0], rel=1e-12)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9, atol=1e-9)


def test_a_class_without_weight_does_not_matter_to_the_others() -> None:
    mixture = mixture_of("full", "component", 1, 2, {})
    block, slopes = pack(mixture), []
    for moved in (0.0, 1e3):
        parts = mixture.split(point_of(mixture, 0))
        parts["weights"][:] = 800.0
        parts["deviations"][1] += moved
        value, gradient = density(np.concatenate([v.ravel() for v in parts.values()]), block)
        assert np.isfinite(value)
        slopes.append(mixture.split(gradient))
    for name in ("deviations", "precision_squares"):
        np.testing.assert_array_equal(slopes[0][name][0], slopes[1][name][0])


def test_a_point_without_a_density_is_told() -> None:
    mixture = mixture_of("full", "component", 1, 2, {})
    point = point_of(mixture, 0)
    point[-1] = 1e4
    value, _ = density(point, pack(mixture))
    assert np.isnan(value)


def test_exponential_and_logarithm_are_exact_to_rounding() -> None:
    @numba.njit  # type: ignore[untyped-decorator]
    def both(x: Any, y: Any) -> Any:
        return [exponential(value) for value in x], [logarithm(value) for value in y]

    x = np.concatenate([-np.geomspace(1e-12, 599, 4000), [0.0, -0.5 * np.log(2), -600.1, -1e9]])
    y = np.concatenate([np.linspace(1, 3, 4001), np.geomspace(1, 1e6, 1000)])
    e, logs = both(np.append(x, -np.inf), y)
    np.testing.assert_allclose(e[:-3], np.exp(x[:-2]), rtol=1e-15)
    assert e[-3:] == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(logs, np.log(y), rtol=1e-15, atol=1e-16)
