"""A family from outside the package: its declaration and one emission are all that EM needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import mixcompare as mc
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.emission import differences, second_differences
from mixcompare.backends.em.information import complete_information, score_and_information
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem
from tests import toy_family
from tests.toy_family import COEFFICIENTS, GeometricEmission, draw, registered

with registered():
    SPEC = mc.MixtureSpec("y ~ x", family="geometric", unit="unit", n_components=2)
TABLE = draw(80, seed=1)


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


def problem(spec: mc.MixtureSpec = SPEC, table: dict[str, Any] = TABLE) -> Problem:
    return Problem.of(spec, mc.build_panel(spec, table))


def built(of: Problem) -> Mixture:
    return mixture_of(of.spec, of.prepared)


def brute_force(weights: FloatArray, coefficients: FloatArray) -> FloatArray:
    """(G,) log-likelihoods of the units."""
    given_class = toy_family.brute_force(TABLE, coefficients)
    return np.asarray(logsumexp(np.log(weights) + given_class, axis=1))


def of_vector(vector: FloatArray) -> FloatArray:
    """The same at log-odds of the second class and the coefficients."""
    weights = np.exp([0.0, vector[0]])
    return brute_force(weights / weights.sum(), vector[1:].reshape(2, 2))


def vector_of(model: Mixture, blocks: dict[str, FloatArray]) -> FloatArray:
    odds = np.log(blocks["weights"][1] / blocks["weights"][0])
    return np.concatenate([[odds], blocks["coefficients"].ravel()])


@pytest.fixture(scope="module")
def fit() -> mc.Fit:
    return mc.fit(SPEC, TABLE, starts=8, seed=1)


def test_likelihood_is_that_of_all_classes_summed() -> None:
    rng = np.random.default_rng(0)
    model = built(problem())
    weights, coefficients = np.array([0.3, 0.7]), rng.normal(size=(2, 2))
    at = model.theta({"weights": weights, "coefficients": coefficients[..., None]})
    expected = brute_force(weights, coefficients)
    np.testing.assert_allclose(model.expect(at).unit_log_likelihood, expected, rtol=1e-12)
    several = model.expect(at[None])
    np.testing.assert_allclose(several.unit_log_likelihood[0], expected, rtol=1e-12)


@pytest.mark.parametrize("acceleration", ["none", "squarem"])
def test_em_climbs_from_any_start(acceleration: str) -> None:
    model = built(problem())
    for seed in range(5):
        tau = np.random.default_rng(seed).dirichlet([0.5, 0.5], size=80)
        run = iterate(model, tau, Options(acceleration=acceleration))  # type: ignore[arg-type]
        assert run.status == "converged"
        assert np.diff(run.log_likelihood).min() > -1e-10


def test_a_fit_is_a_maximum_with_the_standard_errors_of_its_curvature(fit: mc.Fit) -> None:
    assert fit.status == "converged"
    blocks = fit.layout.take(fit.tree["estimate"].to_dataset())
    at = vector_of(built(problem()), blocks)

    def total(vector: FloatArray) -> FloatArray:
        return np.asarray(of_vector(vector).sum())

    assert fit.log_likelihood == pytest.approx(float(total(at)), rel=1e-12)
    covariance = np.linalg.inv(-second_differences(total, at))
    gradient = differences(total, at)
    assert np.sqrt(gradient @ covariance @ gradient) < 1e-4
    errors = fit.tree["standard_errors"].to_dataset()
    np.testing.assert_allclose(
        errors["coefficients"].to_numpy().ravel(), np.sqrt(np.diag(covariance))[1:], rtol=1e-4
    )
    slope = blocks["weights"].prod()
    np.testing.assert_allclose(errors["weights"], slope * np.sqrt(covariance[0, 0]), rtol=1e-4)
    scores = differences(of_vector, at)
    sandwich = covariance @ scores.T @ scores @ covariance
    found = errors["sandwich_se"].to_numpy()
    np.testing.assert_allclose(found[2:], np.sqrt(np.diag(sandwich))[1:], rtol=1e-3)


def test_score_and_information_are_those_of_the_likelihood_anywhere() -> None:
    model = built(problem())
    rng = np.random.default_rng(3)
    at = model.theta({"weights": np.array([0.4, 0.6]), "coefficients": rng.normal(size=(2, 2, 1))})

    def total(vector: FloatArray) -> FloatArray:
        return np.asarray(of_vector(vector).sum())

    vector = vector_of(model, at.blocks)
    outer, score, information = score_and_information(model, at)
    size = np.abs(information).max()
    np.testing.assert_allclose(score, differences(total, vector), atol=1e-7 * size)
    hessian = second_differences(total, vector)
    np.testing.assert_allclose(information, -hessian, atol=1e-5 * size)
    scores = differences(of_vector, vector)
    assert outer is not None
    np.testing.assert_allclose(outer, scores.T @ scores, atol=1e-6 * size)
    assert np.linalg.eigvalsh(complete_information(model, at) - information).min() > -1e-6 * size


def test_what_was_simulated_is_found_again(fit: mc.Fit) -> None:
    errors = fit.tree["standard_errors"]["coefficients"].to_numpy()[..., 0]
    apart = np.abs(fit.coefficients.to_numpy()[..., 0] - COEFFICIENTS)
    assert (apart < 4 * errors).all()
    tau = fit.responsibilities.to_numpy()
    np.testing.assert_allclose(tau.sum(axis=1), 1.0, rtol=1e-12)
    assert (tau.max(axis=1) > 0.9).mean() > 0.8


def test_a_mode_is_where_the_posterior_density_is_flat() -> None:
    fit = mc.fit(SPEC, TABLE, starts=6, seed=1, estimator="map")
    assert fit.status == "converged"
    stated = problem().priors
    blocks = fit.layout.take(fit.tree["estimate"].to_dataset())

    def density(vector: FloatArray) -> FloatArray:
        odds = np.array([0.0, vector[0]])
        normal = stats.norm(stated.coefficient_mean[:, 0], stated.coefficient_sd[:, 0])
        prior = np.sum(normal.logpdf(vector[1:].reshape(2, 2)))
        prior += (stated.concentration - 1) * (odds - logsumexp(odds)).sum()
        return np.asarray(of_vector(vector).sum() + prior)

    at = vector_of(built(problem()), blocks)
    covariance = np.linalg.inv(-second_differences(density, at))
    gradient = differences(density, at)
    assert np.sqrt(gradient @ covariance @ gradient) < 1e-4
    errors = fit.tree["standard_errors"]["coefficients"].to_numpy().ravel()
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance))[1:], rtol=1e-3)


def test_unit_weights_count_and_covariates_of_the_classes_work() -> None:
    table = {**TABLE, "w": np.full(len(TABLE["y"]), 2.0), "z": np.repeat(np.arange(80) % 3, 6)}
    once = mc.fit(SPEC, table, starts=6, seed=1)
    twice = mc.fit(SPEC.but(unit_weights="w"), table, starts=6, seed=1)
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-9)
    extended = mc.fit(SPEC.but(membership="~ z"), table, starts=6, seed=1)
    assert extended.status == "converged"
    assert extended.log_likelihood > once.log_likelihood
    assert np.isfinite(extended.tree["standard_errors"]["membership_coefficients"].to_numpy()).all()


def test_a_response_of_another_family_beside_it() -> None:
    """Given the class responses are independent: their log-densities add up."""
    rng = np.random.default_rng(5)
    table = {**TABLE, "z": np.asarray(TABLE["y"]) * 0.1 + rng.normal(size=len(TABLE["y"]))}
    counts = built(problem(SPEC, table))
    normal_spec = mc.MixtureSpec("z ~ x", unit="unit", n_components=2)
    normal = built(problem(normal_spec, table))
    both = Mixture(counts.classes, (*normal.emissions, *counts.emissions))
    assert isinstance(both.emissions[1], GeometricEmission)
    run = iterate(both, rng.dirichlet([0.5, 0.5], size=80), Options())
    assert run.status == "converged"
    assert np.diff(run.log_likelihood).min() > -1e-10
    at = run.path[-1]
    parts = [counts.log_density, normal.log_density]
    thetas = [type(at)(at.classes, at.responses[i : i + 1]) for i in (1, 0)]
    given_class = sum(part(theta) for part, theta in zip(parts, thetas, strict=True))
    expected = logsumexp(np.log(at.weights) + given_class, axis=1).sum()
    assert run.log_likelihood[-1] == pytest.approx(float(expected), rel=1e-12)
    _, score, information = score_and_information(both, at)
    assert np.linalg.eigvalsh(information).min() > 0
    assert np.sqrt(score @ np.linalg.solve(information, score)) < 1e-4
    assert set(at.blocks) == {"weights", "coefficients_1", "covariance_1", "coefficients_2"}
