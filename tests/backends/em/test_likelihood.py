"""The EM's likelihood, score and information against brute force on raw rows."""

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.em.emissions.normal.covariances import basis_of
from mixcompare.backends.em.emissions.normal.derivatives import free_places
from mixcompare.backends.em.information import free_layout, score_and_information
from mixcompare.backends.em.mixture import maximise
from mixcompare.backends.em.theta import Theta
from tests.em_cases import STRUCTURES, Case, build, normal_theta, random_parameters
from tests.raw_referee import raw_unit_log_likelihood
from tests.scored import unit_log_likelihood

CASES = [
    (*structure, m, k, absorb)
    for structure in STRUCTURES
    for m, k, absorb in ((1, 1, False), (1, 3, True), (2, 2, False), (3, 3, True))
]


@pytest.mark.parametrize(("covariance", "by", "m", "k", "absorb"), CASES)
def test_likelihood_is_that_of_the_raw_rows(
    covariance: str, by: str, m: int, k: int, absorb: bool
) -> None:
    case = build(covariance, by, m=m, k=k, absorb=absorb, seed=m + k)
    own = random_parameters(case, seed=k)
    arrays = own.weights, own.blocks["coefficients"], own.blocks["covariance"]
    ours = unit_log_likelihood("em", case.spec, case.panel, *arrays)
    raw = raw_unit_log_likelihood(case.panel, *arrays)
    np.testing.assert_allclose(ours, raw, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("covariance", "by", "m", "k", "absorb"), CASES)
def test_score_and_information_equal_numerical_derivatives(
    covariance: str, by: str, m: int, k: int, absorb: bool
) -> None:
    check_derivatives(build(covariance, by, m=m, k=k, absorb=absorb, seed=m + k), seed=k)


@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_so_they_do_with_a_prior_common_coefficients_membership_and_weights(
    covariance: str, by: str, with_prior: bool
) -> None:
    case = build(
        covariance,
        by,
        m=2,
        k=3,
        seed=4,
        common="~ x1",
        membership="~ income",
        unit_weights="count",
        with_prior=with_prior,
    )
    check_derivatives(case, seed=5)
    check_derivatives(build(covariance, by, m=2, k=2, with_prior=with_prior), seed=6)


def check_derivatives(case: Case, seed: int) -> None:
    at = case.model.from_raw(random_parameters(case, seed=seed))
    vector = pack(case, at)
    found = score_and_information(case.model, at)
    total, information = found.score, found.information
    units = case.data.shape[0]
    counts = case.model.units.counts
    scores = np.zeros((units, len(vector)))
    gradient = np.zeros_like(vector)
    hessian = np.zeros_like(information)
    step = 1e-6
    for i in range(len(vector)):
        shift = step * np.eye(len(vector))[i]
        ahead, behind = unpack(case, vector + shift), unpack(case, vector - shift)
        values = [
            case.model.expect(p).log_likelihood + case.model.log_prior(p) for p in (ahead, behind)
        ]
        by_unit = [case.model.expect(p).unit_log_likelihood for p in (ahead, behind)]
        scores[:, i] = (by_unit[0] - by_unit[1]) / (2 * step)
        gradient[i] = (values[0] - values[1]) / (2 * step)
        totals = [score_and_information(case.model, p).score for p in (ahead, behind)]
        hessian[:, i] = (totals[0] - totals[1]) / (2 * step)
    size = np.abs(information).max()
    np.testing.assert_allclose(total, gradient, atol=1e-6 * size)
    if case.data.prior is None:
        np.testing.assert_allclose(total, counts @ scores, atol=1e-9 * size)
    np.testing.assert_allclose(information, -hessian, atol=1e-7 * size)
    np.testing.assert_allclose(information, information.T, atol=1e-12 * size)
    products = scores.T @ (counts[:, None] * scores)
    largest = np.abs(products).max()
    assert found.outer is not None
    np.testing.assert_allclose(found.outer, products, atol=1e-6 * largest)


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_m_step_maximises_the_expected_complete_log_likelihood(covariance: str, by: str) -> None:
    """No small move within the structure raises Q, and responsibilities reproduce the weights."""
    case = build(covariance, by, m=2, k=2, seed=4)
    rng = np.random.default_rng(5)
    tau = rng.dirichlet([1.0, 1.0], size=case.data.shape[0])
    best = maximise(case.model, tau)
    np.testing.assert_allclose(best.weights, tau.mean(axis=0))
    top = expected_complete(case, best, tau)
    vector = pack(case, best)
    for _ in range(40):
        moved = unpack(case, vector + 1e-3 * rng.normal(size=len(vector)))
        assert expected_complete(case, moved, tau) < top


def test_lower_bound_touches_the_log_likelihood_after_an_e_step() -> None:
    case = build(m=2, k=3, seed=6)
    at = case.model.from_raw(random_parameters(case, seed=1))
    expected = case.model.expect(at)
    tau = expected.occupancy
    entropy = -(tau * np.log(np.where(tau > 0, tau, 1.0))).sum()
    bound = expected_complete(case, at, tau) + entropy
    assert bound == pytest.approx(expected.log_likelihood, rel=1e-12)


def test_responsibilities_survive_log_densities_that_exp_cannot_hold() -> None:
    table = {"y": [0.0, 1.0, 1e4, 1e4 + 1]}
    fit = mc.fit(mc.MixtureSpec("y ~ 1", n_components=2, covariance_by="shared"), table, starts=4)
    far = fit.responsibilities.to_numpy()
    assert set(np.unique(far)) == {0.0, 1.0}
    assert np.isfinite(fit.log_likelihood)


def expected_complete(case: Case, parameters: Theta, tau: np.ndarray) -> float:
    joint = np.log(parameters.weights) + case.model.log_density(parameters)
    return float((tau * joint).sum())


def pack(case: Case, at: Theta) -> np.ndarray:
    free, place = free_layout(case.model), free_places(case.data)
    [first] = free.spans
    basis, blocks = basis_of(case.spec.response, case.data.shape[-1]), at.blocks
    vector = np.zeros(free.size)
    odds = blocks.get("membership_coefficients")
    if odds is None:
        odds = np.log(at.weights / at.weights[0])[:, None]
    vector[free.odds] = odds[1:].ravel()
    for k in range(free.n_components):
        covariance = blocks["covariance"][k]
        vector[first][place[k, : -len(basis)]] = blocks["coefficients"][k].ravel()
        vector[first][place[k, -len(basis) :]] = [covariance[b > 0][0] for b in basis]
    return vector


def unpack(case: Case, vector: np.ndarray) -> Theta:
    free, place = free_layout(case.model), free_places(case.data)
    _, _, p, m = case.data.shape
    [first] = free.spans
    basis, response = basis_of(case.spec.response, m), vector[first]
    odds = np.concatenate([np.zeros(free.n_odds), vector[free.odds]]).reshape(-1, free.n_odds)
    if case.spec.membership is None:
        weights, membership = np.exp(odds[:, 0]) / np.exp(odds).sum(), None
    else:
        each = np.exp(case.model.classes.log_probabilities({"membership_coefficients": odds}))
        weights, membership = np.average(each, axis=0, weights=case.model.units.counts), odds
    every = range(free.n_components)
    return normal_theta(
        weights,
        np.stack([response[place[k, : p * m]].reshape(p, m) for k in every]),
        np.stack([np.tensordot(response[place[k, p * m :]], basis, 1) for k in every]),
        membership,
    )
