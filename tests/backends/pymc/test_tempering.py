"""Sequential Monte Carlo: the evidence by every allocation of a few rows, draws by NUTS'."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.samplers.tempering import shuffle, temper
from mixcompare.fits.bridge import mean_evidence
from mixcompare.prepared.problem import Problem
from tests.em_cases import build
from tests.small_evidence import log_evidence, pair_probabilities, small_data


def mixture_of(spec: mc.MixtureSpec, table: pd.DataFrame) -> Mixture:
    return build_mixture(Problem.of(spec, mc.build_panel(spec, table)))


@pytest.mark.parametrize("k", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_evidence_is_that_of_all_allocations(k: int) -> None:
    spec, table = mc.MixtureSpec("y ~ x", n_components=k), small_data()
    mixture, known = mixture_of(spec, table), log_evidence(spec, table)
    density = density_of(mixture)
    runs = [temper(mixture, density, 150, np.random.default_rng(seed)) for seed in range(4)]
    found = mean_evidence([run.log_evidence for run in runs], np.array([run.error for run in runs]))
    assert found.error < 0.2
    assert abs(found.value - known) < 3 * found.error


def test_prior_points_and_densities_are_those_of_the_model() -> None:
    """At power zero nothing is left of the units, and the likelihood's power is linear."""
    mixture = with_everything()
    points = mixture.join(mixture.prior_draws(np.random.default_rng(1), 5))
    density = density_of(mixture)
    values = {power: density.tempered(power)(points)[0] for power in (0.0, 0.3, 1.0)}
    variables = mixture.constrained(mixture.split(points))
    np.testing.assert_allclose(values[0.0], mixture.log_prior(variables), rtol=1e-10)
    expected = 0.7 * values[0.0] + 0.3 * values[1.0]
    np.testing.assert_allclose(values[0.3], expected, rtol=1e-10)


def test_renumbered_points_have_the_same_density() -> None:
    mixture = with_everything()
    rng = np.random.default_rng(2)
    centre = rng.normal(size=mixture.n_free)
    points = centre + 0.01 * rng.normal(size=(40, mixture.n_free))
    shuffled = shuffle(points, mixture, rng)
    assert np.abs(shuffled - points).max() > 0.1
    density = density_of(mixture)
    np.testing.assert_allclose(density(shuffled)[0], density(points)[0], rtol=1e-10)
    order = np.tile([2, 0, 1], (40, 1))
    back = mixture.renumbered(mixture.renumbered(points, order), np.argsort(order, axis=1))
    np.testing.assert_allclose(back, points, atol=1e-12)


def with_everything() -> Mixture:
    parts: dict[str, Any] = {"common": "~ x1", "membership": "~ income", "unit_weights": "count"}
    case = build("full", "component", m=2, k=3, with_prior=True, **parts)
    return build_mixture(case.problem)


def test_draws_are_the_posteriors_and_do_not_depend_on_cores() -> None:
    """Rows are together in a class as often as in all allocations, classes in any order."""
    spec, table = mc.MixtureSpec("y ~ x", n_components=2), small_data()
    options: dict[str, Any] = {"backend": "pymc", "seed": 1, "chains": 2, "progress": False}
    fits = [
        mc.fit(spec, table, sampler="smc", draws=200, cores=cores, **options) for cores in (1, 2)
    ]
    points, again = (fit.draws.parameters["coefficients"] for fit in fits)
    np.testing.assert_array_equal(points, again)
    tau = fits[0].tree["membership"]["responsibilities"].to_numpy().reshape(-1, len(table), 2)
    together = np.einsum("sgk,shk->gh", tau, tau) / len(tau)
    apart = ~np.eye(len(table), dtype=bool)
    known = pair_probabilities(spec, table)
    assert np.ptp(known[apart]) > 0.3
    np.testing.assert_allclose(together[apart], known[apart], atol=0.06)
    first_is_lower = points[..., 0, 1, 0] < points[..., 1, 1, 0]
    assert 0.4 < first_is_lower.mean() < 0.6
    assert "Log marginal likelihood" in fits[0].message


def test_the_error_is_the_larger_of_spread_and_what_runs_know() -> None:
    assert mean_evidence([0.0, 0.0], np.array([0.2, 0.2])).error == pytest.approx(0.2 / np.sqrt(2))
    spread = mean_evidence([0.0, 1.0]).error
    assert mean_evidence([0.0, 1.0], np.array([0.1, 0.1])).error == spread
    assert mean_evidence([3.0], np.array([0.3])).error == pytest.approx(0.3)
    assert np.isnan(mean_evidence([3.0]).error)
