"""A family from outside the package, fitted by both programs with four parts of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

import mixcompare as mc
from mixcompare.backends import get_backend
from mixcompare.backends.em.emissions import EMISSIONS
from mixcompare.backends.pymc.emissions.registry import TERMS
from mixcompare.model.layout import COMPONENT
from mixcompare.prepared.problem import Problem
from mixcompare.simulate.outcomes import simulate
from mixcompare.simulate.samplers import SAMPLERS
from tests import toy_family

QUIET: dict[str, Any] = {"seed": 1, "progress": False}
# Registry, backend that looks there, and what it asks for.
REGISTRIES: list[tuple[Any, str, str]] = [
    (EMISSIONS, "em", "register_emission"),
    (TERMS, "pymc", "register_term"),
    (SAMPLERS, "", "register_sampler"),
]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with toy_family.registered():
        yield


@pytest.fixture(scope="module")
def spec() -> mc.MixtureSpec:
    return mc.MixtureSpec("y ~ x", family="geometric", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def counts() -> dict[str, Any]:
    return toy_family.draw(60, seed=1)


@pytest.fixture(scope="module")
def by_em(spec: mc.MixtureSpec, counts: dict[str, Any]) -> mc.Fit:
    return mc.fit(spec, counts, starts=8, **QUIET)


@pytest.fixture(scope="module")
def by_pymc(spec: mc.MixtureSpec, counts: dict[str, Any]) -> mc.Fit:
    # nutpie compiles a graph of its own for minutes where nothing is cached.
    few: dict[str, Any] = {"sampler": "pymc", "draws": 200, "tune": 200, "chains": 2}
    return mc.fit(spec, counts, backend="pymc", **few, **QUIET)


def test_both_programs_and_scipy_have_one_likelihood(
    spec: mc.MixtureSpec, counts: dict[str, Any]
) -> None:
    problem, rng = Problem.of(spec, mc.build_panel(spec, counts)), np.random.default_rng(2)
    at = {
        "weights": rng.dirichlet([2, 2], size=5),
        "coefficients": rng.normal(size=(5, 2, 2, 1)),
    }
    given_class = np.stack(
        [toy_family.brute_force(counts, beta[..., 0]) for beta in at["coefficients"]]
    )
    joint = given_class + np.log(at["weights"])[:, None]
    expected = logsumexp(joint, axis=-1)
    for name in ("em", "pymc"):
        scorer = get_backend(name).scorer(problem)
        np.testing.assert_allclose(scorer.log_density(at), given_class, rtol=1e-9)
        np.testing.assert_allclose(scorer.unit_log_likelihood(at), expected, rtol=1e-9)
        tau = np.exp(joint - expected[..., None])
        np.testing.assert_allclose(scorer.occupancy(at), tau, rtol=1e-8, atol=1e-12)


def test_em_fits_it_with_standard_errors(by_em: mc.Fit, counts: dict[str, Any]) -> None:
    assert by_em.status == "converged"
    assert len(by_em.tree["starts"]["log_likelihood"]) == 8
    estimates = by_em.summary()
    truth = [*toy_family.WEIGHTS, *toy_family.COEFFICIENTS.ravel()]
    assert (np.abs(estimates["estimate"] - truth) < 4 * estimates["se"]).all()
    assert ((by_em.responsibilities.argmax(COMPONENT) == counts["class"][::6]).mean()) > 0.8


def test_pymc_fits_it(by_em: mc.Fit, by_pymc: mc.Fit) -> None:
    posterior, maximum = by_pymc.summary(), by_em.summary()
    assert list(posterior.index) == list(maximum.index)
    assert (posterior["r_hat"] < 1.1).all()
    assert ((posterior["mean"] - maximum["estimate"]).abs() < posterior["sd"]).all()
    assert by_pymc.log_likelihood_by_draw.max() <= by_em.log_likelihood


def test_what_follows_from_likelihoods_alone_works(
    by_pymc: mc.Fit, by_em: mc.Fit, counts: dict[str, Any], tmp_path: Path
) -> None:
    assert np.isfinite(mc.leave_one_out(by_pymc).elpd)
    assert len(mc.prior_sensitivity(by_pymc)) == 6
    assert mc.delta_method(by_em, lambda p: p["coefficients"][0, 1, 0]).shape[0] > 0
    found = mc.select(by_em.spec, counts, n_components=[1, 2], starts=6, **QUIET)
    assert found.best("bic") == 2
    for fit in (by_em, by_pymc):
        fit.save(tmp_path / "fit.nc")
        assert mc.load(tmp_path / "fit.nc").log_likelihood == fit.log_likelihood


def test_outcomes_are_simulated(by_em: mc.Fit) -> None:
    at = {"weights": np.array([0.5, 0.5]), "coefficients": np.zeros((2, 2, 1))}
    at["coefficients"][1, 0] = np.log(30.0)
    panel, classes = simulate(by_em.spec, by_em.panel, at, np.random.default_rng(0))
    means = [panel.outcomes[classes[panel.unit] == k].mean() for k in range(2)]
    np.testing.assert_allclose(means, [1, 30], rtol=0.3)


@pytest.mark.parametrize(
    ("part", "call"),
    [
        ("compare", lambda em, nuts: mc.compare(em, nuts)),
        ("bootstrap", lambda em, _: mc.bootstrap(em, replicates=2)),
        ("predict", lambda em, _: mc.predict(em, {})),
        ("predictive_draws", lambda em, _: mc.predictive_draws(em, {}, seed=1)),
        ("posterior_predictive", lambda _, nuts: mc.posterior_predictive(nuts)),
        ("prior_predictive", lambda em, _: mc.prior_predictive(em.spec, em.panel)),
        ("calibrate", lambda em, _: mc.calibrate(em.spec, em.panel)),
    ],
)
def test_what_knows_normal_outcomes_only_says_so(
    by_em: mc.Fit, by_pymc: mc.Fit, part: str, call: Any
) -> None:
    with pytest.raises(
        mc.SpecificationError,
        match=rf"{part} knows normal outcomes only.*'geometric'\. Leave this step out, or",
    ):
        call(by_em, by_pymc)


def test_without_its_parts_each_one_is_asked_for(
    spec: mc.MixtureSpec, counts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for registry, _, _ in REGISTRIES:
        monkeypatch.delitem(registry, "geometric")
    for _, backend, register in REGISTRIES[:2]:
        with pytest.raises(mc.MixCompareError, match=register):
            mc.fit(spec, counts, backend=backend)
    panel = mc.build_panel(spec, counts)
    with pytest.raises(mc.SpecificationError, match=REGISTRIES[2][2]):
        simulate(spec, panel, {"weights": np.ones(2) / 2}, np.random.default_rng(0))
