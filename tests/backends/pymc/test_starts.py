"""Where chains start, and samplers beside NUTS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.starts import overdispersed, prior_draw, starts
from mixcompare.base.errors import OptionError
from tests.em_cases import build, random_parameters

PARTS: dict[str, Any] = {"common": "~ x2", "membership": "~ income"}


@pytest.mark.parametrize("parts", [{}, PARTS], ids=["plain", "parts"])
def test_starts_have_the_models_variables(parts: dict[str, Any]) -> None:
    case = build("full", m=2, k=3, **parts)
    mixture = build_mixture(case.problem)
    shapes = dict(mixture.shapes)
    if "weights" in shapes:
        shapes["weights"] = (2,)
    for make in (overdispersed, prior_draw):
        start = make(mixture)
        one, same, other = (start(np.random.default_rng(seed), 0) for seed in (1, 1, 2))
        assert {name: value.shape for name, value in one.items()} == shapes
        for name, value in one.items():
            np.testing.assert_array_equal(value, same[name])
            assert (value != other[name]).all()


def test_overdispersed_starts_surround_the_pooled_fit() -> None:
    case = build("full", m=2, k=2)
    mixture = build_mixture(case.problem)
    draws = [overdispersed(mixture)(np.random.default_rng(i), 0) for i in range(400)]
    mean = {name: np.mean([d[name] for d in draws], axis=0)[None] for name in draws[0]}
    found = evaluate(mixture, mixture.constrained(mean), 1).parameters
    response: Any = mixture.emissions[0]
    panel = response.panel
    size = panel.directions @ np.ones((3, 2)) @ panel.scale.T
    gap = (found["coefficients"][0] - panel.centre) / np.abs(size)
    assert np.abs(gap).max() < 0.5
    np.testing.assert_allclose(found["weights"][0], 0.5, atol=0.05)


def test_prior_starts_have_the_priors_moments() -> None:
    case = build("full", m=1, k=2, **PARTS)
    mixture = build_mixture(case.problem)
    start, n = prior_draw(mixture), 4000
    draws = [mixture.constrained(start(np.random.default_rng(i), 0)) for i in range(n)]
    stacked = {name: np.stack([d[name] for d in draws]) for name in draws[0]}
    found = evaluate(mixture, stacked, n).parameters
    response: Any = mixture.emissions[0]
    priors, error = response.priors, 5 / np.sqrt(n)
    standard = (found["coefficients"] - priors.coefficient_mean) / priors.coefficient_sd
    assert np.abs(standard.mean(0)).max() < error
    assert np.abs(standard.std(0) - 1).max() < error
    precision = 1 / found["covariance"].mean(axis=(2, 3))
    expected = priors.covariance_df / priors.covariance_scale.item()
    squares = 1 / found["covariance"][..., 0, 0]
    np.testing.assert_allclose(squares.mean(0), expected, rtol=2 * error)
    assert precision.shape == (n, 2)


def test_starts_near_an_estimate() -> None:
    case = build("full", m=1, k=2, **PARTS)
    mixture = build_mixture(case.problem)
    em = mc.fit(case.spec, case.panel, starts=3, seed=1)
    for initial in (em, {n: em.tree["estimate"][n] for n in mc_names(em)}):
        start = starts(mixture, Options(init="em", initial=initial))
        values = [start(np.random.default_rng(i), 0) for i in range(200)]
        mean = {name: np.mean([v[name] for v in values], axis=0)[None] for name in values[0]}
        found = evaluate(mixture, mixture.constrained(mean), 1)
        assert found.log_likelihood.sum() == pytest.approx(em.log_likelihood, abs=0.5)


def mc_names(fit: mc.Fit) -> list[str]:
    names = ("weights", "membership_coefficients", "coefficients", "covariance")
    return [name for name in names if name in fit.tree["estimate"]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: "start", "a Fit or a mapping"),
        (lambda p: {k: v for k, v in p.items() if k != "weights"}, "arrays of the shapes"),
        (lambda p: p | {"weights": np.ones(3) / 3}, "arrays of the shapes"),
        (lambda p: p | {"covariance": -p["covariance"]}, "does not suit"),
    ],
)
def test_an_initial_that_does_not_suit_is_refused(change: Any, match: str) -> None:
    case = build("full", m=1, k=2)
    at = random_parameters(case)
    good = {n: at.blocks[n] for n in ("weights", "coefficients", "covariance")}
    mixture = build_mixture(case.problem)
    with pytest.raises(OptionError, match=match):
        starts(mixture, Options(init="em", initial=change(good)))


def test_transforms_are_inverse() -> None:
    mixture, rng = build_mixture(build("full", m=1, k=3).problem), np.random.default_rng(0)
    values = {
        "weights": rng.dirichlet([1, 1, 1], size=4),
        "deviations": rng.normal(size=(4, 3, 3)),
        "precision_squares": rng.chisquare(4, size=(4, 3, 1)),
    }
    there = mixture.unconstrained(values)
    assert there["weights"].shape == (4, 2)
    for name, value in mixture.constrained(there).items():
        np.testing.assert_allclose(value, values[name], rtol=1e-12)
