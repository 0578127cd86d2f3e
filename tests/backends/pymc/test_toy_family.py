"""A family from outside the package: a declaration and a term are all that the backend needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytensor.compile.mode import Mode
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import geom, norm

import mixcompare as mc
from mixcompare.backends.pymc import scorer
from mixcompare.backends.pymc.density.densities import Density, density_of, graph_density
from mixcompare.backends.pymc.density.packing import serves
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.graphs import Dimensions
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.posterior_density import posterior_density
from mixcompare.backends.pymc.samplers.tempering import shuffle, temper
from mixcompare.backends.pymc.search.maxima import Terrain
from mixcompare.backends.pymc.search.search import search
from mixcompare.model.layout import COMPONENT
from mixcompare.prepared.problem import Problem
from tests.toy_family import COEFFICIENTS, WEIGHTS, brute_force, draw, registered

PYTHON = Mode(linker="py", optimizer="fast_compile").including("stabilize")
SPEC: dict[str, Any] = {"family": "geometric", "unit": "unit"}


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Sixty units of eight rows in two classes, with weights and a covariate of the classes."""
    counts = pd.DataFrame(draw(60, seed=4, rows=8))
    count = np.random.default_rng(4).choice([1.0, 2.0], size=60)[counts["unit"]]
    return counts.assign(n=count, age=counts["class"] + 0.1 * counts["unit"])


def problem_of(table: pd.DataFrame, **parts: Any) -> Problem:
    spec = mc.MixtureSpec("y ~ x", n_components=2, **SPEC, **parts)
    return Problem.of(spec, mc.build_panel(spec, table))


def parameters(seed: int, n: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.dirichlet([2, 2], size=n),
        "coefficients": rng.normal(size=(n, 2, 2, 1)),
    }


def test_a_search_climbs_the_graph_of_any_family(table: pd.DataFrame) -> None:
    mixture, density = general(problem_of(table, unit_weights="n"))
    result = search(Terrain(mixture, density), 8, np.random.default_rng(1))
    best = result.maxima[0]
    assert best.proper
    assert (result.ends >= 0).all()
    assert np.abs(density(best.point[None])[1]).max() < 1e-4
    variables = mixture.constrained(mixture.split(best.point[None]))
    slopes = mixture.parameters(variables, 1)["coefficients"][0, :, :, 0]
    order = slopes[:, 0].argsort()[::-1]
    np.testing.assert_allclose(slopes[order], COEFFICIENTS, atol=0.5)


def test_scores_are_those_of_scipy(table: pd.DataFrame) -> None:
    weighted = problem_of(table, unit_weights="n")
    at, score = parameters(1, 3), scorer(weighted)
    given_class = np.stack([brute_force(table, b[..., 0]) for b in at["coefficients"]])
    np.testing.assert_allclose(score.log_density(at), given_class, rtol=1e-10)
    joint = given_class + np.log(at["weights"])[:, None]
    marginal = logsumexp(joint, axis=-1)
    counts = table.groupby("unit")["n"].first().to_numpy()
    np.testing.assert_allclose(score.unit_log_likelihood(at), counts * marginal, rtol=1e-10)
    np.testing.assert_allclose(
        score.occupancy(at), np.exp(joint - marginal[..., None]), rtol=1e-9, atol=1e-12
    )
    alone = weighted.only_unit(7)
    np.testing.assert_allclose(score.log_density(at, alone), given_class[:, 7:8], rtol=1e-10)


def general(problem: Problem) -> tuple[Mixture, Density]:
    mixture = build_mixture(problem)
    assert not serves(mixture)
    return mixture, graph_density(mixture, PYTHON)


@pytest.mark.parametrize("parts", [{}, {"membership": "~ age", "unit_weights": "n"}])
def test_density_is_prior_times_likelihood_with_its_gradient(
    table: pd.DataFrame, parts: dict[str, Any]
) -> None:
    problem = problem_of(table, **parts)
    mixture, density = general(problem)
    points = 0.3 * np.random.default_rng(2).normal(size=(3, mixture.n_free))
    values, gradients = density(points)
    variables = mixture.constrained(mixture.split(points))
    evaluation = evaluate(mixture, variables, 3)
    at = evaluation.parameters
    given_class = np.stack([brute_force(table, b[..., 0]) for b in at["coefficients"]])
    np.testing.assert_allclose(
        evaluation.log_likelihood, scorer(problem).unit_log_likelihood(at), rtol=1e-10
    )
    assert evaluation.occupancy.at(slice(3)).shape == given_class.shape
    prior = mixture.log_prior_by_parameter(variables, at)
    stated = norm(problem.priors.coefficient_mean, problem.priors.coefficient_sd)
    expected = stated.logpdf(at["coefficients"]).sum(axis=(1, 2, 3))
    # PyMC's normal has a constant that is rounded to single precision.
    np.testing.assert_allclose(prior["coefficients"], expected, rtol=1e-8)
    total = evaluation.log_likelihood.sum(axis=1) + mixture.log_prior(variables)
    np.testing.assert_allclose(values, total, rtol=1e-10)
    np.testing.assert_allclose(posterior_density(problem)(points), total, rtol=1e-10)
    for i, point in enumerate(points):
        for j, unit in enumerate(np.eye(point.size)):
            ends = density(np.stack([point + 1e-5 * unit, point - 1e-5 * unit]))[0]
            slope = (ends[0] - ends[1]) / 2e-5
            assert slope == pytest.approx(gradients[i, j], rel=1e-5, abs=1e-4)
    shuffled = shuffle(points, mixture, np.random.default_rng(0))
    np.testing.assert_allclose(density(shuffled)[0], values, rtol=1e-10)


def test_responses_add_given_the_class(table: pd.DataFrame) -> None:
    """A normal response beside the geometric one, on the same units."""
    counted = problem_of(table)
    spec = mc.MixtureSpec("z ~ 1", unit="unit", n_components=2)
    z = np.sin(np.arange(len(table)))
    measured = Problem.of(spec, mc.build_panel(spec, table.assign(z=z)))
    one, other = build_mixture(measured), build_mixture(counted)
    named = {
        f"{name}_{i}": tuple(d if d == COMPONENT else f"{d}_{i}" for d in dims)
        for i, mixture in ((1, one), (2, other))
        for name, dims in mixture.dimensions.by_array.items()
        if name not in ("weights", "outcomes")
    }
    coords = {
        f"{dim}_{i}": values
        for i, mixture in ((1, one), (2, other))
        for dim, values in mixture.dimensions.coords.items()
    }
    shared = ("weights", "outcomes")
    both = Mixture(
        n_components=2,
        classes=one.classes,
        emissions=(*one.emissions, *other.emissions),
        dimensions=Dimensions(
            {**one.dimensions.coords, **coords},
            {**named, **{name: one.dimensions.by_array[name] for name in shared}},
        ),
    )
    assert not serves(both)
    points = 0.3 * np.random.default_rng(5).normal(size=(2, both.n_free))
    variables = both.constrained(both.split(points))
    evaluation = evaluate(both, variables, 2)
    at = evaluation.parameters
    parts = [
        scorer(problem).log_density(
            {n.removesuffix(end): v for n, v in at.items() if n.endswith(end)}
        )
        for problem, end in ((measured, "_1"), (counted, "_2"))
    ]
    expected = logsumexp(sum(parts) + np.log(at["weights"])[:, None], axis=-1)
    np.testing.assert_allclose(evaluation.log_likelihood, expected, rtol=1e-9)
    total = expected.sum(axis=1) + both.log_prior(variables)
    np.testing.assert_allclose(graph_density(both, PYTHON)(points)[0], total, rtol=1e-9)
    again = both.free_values(at)
    for name, value in variables.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sampler", [pytest.param("nutpie", marks=pytest.mark.slow), "pymc"])
def test_samplers_recover_the_truth(table: pd.DataFrame, sampler: Any) -> None:
    spec = mc.MixtureSpec("y ~ x", n_components=2, **SPEC)
    fit = mc.fit(
        spec, table, backend="pymc", sampler=sampler, seed=2, draws=400, tune=400, chains=2
    )
    summary = fit.summary()
    truth = [*WEIGHTS, *COEFFICIENTS.ravel()]
    assert list(summary.index[2:4]) == ["coefficients[1, Intercept]", "coefficients[1, x]"]
    assert (np.abs(summary["mean"] - truth) < 4 * summary["sd"]).all(), summary
    assert (summary["r_hat"] < 1.05).all()
    assert fit.tree["membership"]["responsibilities"].shape == (2, 400, 60, 2)


def test_sequential_monte_carlo_gives_the_evidence() -> None:
    """One class and one coefficient, by quadrature."""
    y = np.array([0, 3, 1, 7, 2])
    spec = mc.MixtureSpec("y ~ 1", n_components=1, **SPEC)
    panel = mc.build_panel(spec, pd.DataFrame({"unit": np.arange(5), "y": y}))
    problem = Problem.of(spec, panel)
    mixture, priors = build_mixture(problem), problem.priors
    prior = norm(priors.coefficient_mean.item(), priors.coefficient_sd.item())

    def joint(b: float) -> float:
        likelihood = geom(1 / (1 + np.exp(b)), loc=-1).logpmf(y).sum()
        return float(np.exp(likelihood + prior.logpdf(b)))

    known = np.log(quad(joint, -10, 10, points=[0, 1, 2])[0])
    run = temper(mixture, density_of(mixture), 200, np.random.default_rng(1))
    assert run.error < 0.1
    assert run.log_evidence == pytest.approx(known, abs=4 * run.error)
