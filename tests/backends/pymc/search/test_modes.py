"""Chains in different modes: where they are, what each mode weighs, and who starts once more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import mixcompare as mc
from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.diagnosis import in_modes
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.search import near_maxima
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.backends.pymc.search.restarting import Restart, stuck_in
from mixcompare.backends.pymc.search.visits import together, visits
from mixcompare.backends.pymc.search.weighing import Mode, mode_evidence, nearly_all, shares
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.bridge import LogEvidence
from mixcompare.prepared.problem import Problem
from tests.backends.pymc.search.test_search import STREAMS, artists, normal_terrain

OPTIONS: dict[str, Any] = {"backend": "pymc", "draws": 150, "tune": 200, "seed": 1, "cores": 2}


def first_shares(monkeypatch: pytest.MonkeyPatch, given: list[float]) -> None:
    """Let the first chains start about the maxima by shares other than their evidence's."""
    kept, calls = near_maxima.evidence_shares, [np.array(given)]

    def of(maxima: list[Maximum]) -> FloatArray:
        return calls.pop() if calls else kept(maxima)

    monkeypatch.setattr(near_maxima, "evidence_shares", of)


def test_a_chain_in_a_mode_without_mass_starts_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    first_shares(monkeypatch, [0.5, 0.5])
    fit = mc.fit(STREAMS, artists(), **OPTIONS)
    stats = fit.draws.statistics
    again = ", ".join(str(chain + 1) for chain in np.flatnonzero(stats["restarted"]))
    assert again in ("1", "2", "3", "4") or len(again) == len("1, 2")
    assert stats["optimum"].tolist() == [0, 0, 0, 0]
    were = "were" if "," in again else "was"
    assert f" {again} {were} started once more, out of a mode whose log evidence" in fit.message
    levels = fit.log_likelihood_by_draw.mean(axis=1)
    assert np.ptp(levels) < 2
    assert levels.mean() > fit.optima.log_likelihood[0] - 20
    # What was sampled is what is kept.
    np.testing.assert_allclose(
        stats["log_posterior"].mean(axis=1), stats["log_posterior"].mean(), atol=2
    )


def test_chains_that_know_nothing_are_told_apart_and_left_alone() -> None:
    fit = mc.fit(STREAMS, artists(), init="overdispersed", **OPTIONS)
    assert fit.status == "not converged"
    assert "The chains sit in different modes" in fit.message
    assert "100.00% of the mass; chain" in fit.message
    assert "0.00% of the mass." in fit.message
    stats, levels = fit.draws.statistics, fit.log_likelihood_by_draw.mean(axis=1)
    assert "restarted" not in stats
    evidence = stats["mode_log_evidence"]
    np.testing.assert_allclose(evidence - evidence.max(), levels - levels.max(), atol=20)
    assert np.unique(evidence).size == np.unique(stats["mode_log_evidence_error"]).size > 1


def test_draws_climb_to_the_maximum_of_their_mode() -> None:
    mixture = build_mixture(Problem.of(STREAMS, mc.build_panel(STREAMS, artists())))
    terrain, rng = Terrain(mixture, density_of(mixture)), np.random.default_rng(0)
    known: list[Maximum] = []
    saddle = mixture.join({n: v[None] for n, v in mixture.unconstrained(mixture.pooled()).items()})
    terrain.places(known, saddle + 0.1 * rng.normal(size=(1, mixture.n_free)))
    about = [known[0].point + 0.5 * known[0].curvature.spread(rng.normal(size=mixture.n_free), 1.0)]
    about.append(mixture.renumbered(about[0][None], np.array([[2, 0, 1]]))[0])
    found = visits(terrain, known, np.array(about)[:, None].repeat(6, axis=1), 3)
    assert found.shape == (2, 3)
    assert (found == 0).all()
    assert len(known) == 1


def test_chains_with_a_maximum_in_common_are_together() -> None:
    visited = np.array([[0, 1], [2, 2], [1, 3], [4, 4], [3, 3]])
    assert [group.tolist() for group in together(visited)] == [[0, 2, 4], [1], [3]]


def test_the_evidence_of_a_normal_mode_is_exact() -> None:
    rng = np.random.default_rng(2)
    terrain = normal_terrain(np.zeros(4), np.eye(4))
    maximum = terrain.maximum(np.ones(4))
    found = mode_evidence(terrain, maximum, rng.normal(size=(2, 800, 4)), rng)
    assert found.value == pytest.approx(7.0, abs=4 * found.error)
    assert found.error < 0.05
    assert np.isnan(mode_evidence(terrain, maximum, np.zeros((1, 20, 4)), rng).value)


def test_modes_of_two_humps_have_the_masses_of_both() -> None:
    """A density of two far normal humps, one three times the other."""
    terrain, rng = normal_terrain(np.zeros(4), np.eye(4)), np.random.default_rng(3)
    centres = np.array([np.zeros(4), np.full(4, 9.0)])
    humps = [multivariate_normal(centre, np.eye(4)) for centre in centres]
    logs = np.log([0.75, 0.25])

    def density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        each = np.stack([h.logpdf(points) for h in humps], axis=-1).reshape(-1, 2) + logs
        share = np.exp(each - logsumexp(each, axis=1, keepdims=True))
        slope = np.einsum("nh,nhd->nd", share, centres - points[:, None])
        return logsumexp(each, axis=1), slope

    both = Terrain(terrain.mixture, density)
    evidences = [
        mode_evidence(both, both.maximum(c), c + rng.normal(size=(2, 800, 4)), rng) for c in centres
    ]
    np.testing.assert_allclose(shares(evidences), [0.75, 0.25], atol=0.03)
    assert logsumexp([e.value for e in evidences]) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("values", "errors", "top"),
    [
        ([-10.0, -20.0], [0.1, 0.1], 0),
        ([-20.0, -10.0], [0.1, 0.1], 1),
        ([-10.0, -14.0], [0.1, 0.1], None),
        ([-10.0, -20.0], [2.0, 2.0], None),
        ([-10.0, np.nan], [0.1, np.nan], None),
    ],
)
def test_one_mode_has_nearly_all_only_beyond_its_errors(
    values: list[float], errors: list[float], top: int | None
) -> None:
    evidences = [LogEvidence(value, error) for value, error in zip(values, errors, strict=True)]
    assert nearly_all(evidences) == top


def maximum(log_evidence: float) -> Maximum:
    """One of which nothing else is asked."""
    nothing: Any = None
    proper = bool(np.isfinite(log_evidence))
    return Maximum(np.zeros(1), log_evidence, nothing, proper, log_evidence, np.ones((1, 1)))


def test_who_starts_once_more() -> None:
    known = [maximum(value) for value in (-100.0, -101.0, -130.0, np.nan)]
    inside, beside = np.array([[0, 1], [1, 1]]), np.array([[2, 2], [3, 2]])
    assert stuck_in(known, inside, ())[0] == []
    # All lie where the search knows that there is next to nothing.
    restarts, targets = stuck_in(known, beside, ())
    assert [r.chains.tolist() for r in restarts] == [[0, 1]]
    assert restarts[0].below.value == pytest.approx(30.0)
    assert targets.tolist() == [0]
    modes = [
        Mode(np.array([1]), np.array([1, 0]), LogEvidence(-100.0, 0.1)),
        Mode(np.array([0]), np.array([2]), LogEvidence(-130.0, 0.1)),
    ]
    restarts, targets = stuck_in(known, np.array([[2, 2], [0, 1]]), modes)
    assert [r.chains.tolist() for r in restarts] == [[0]]
    assert targets.tolist() == [0, 1]
    even = [modes[0], Mode(np.array([0]), np.array([2]), LogEvidence(-101.0, 0.1))]
    assert stuck_in(known, np.array([[2, 2], [0, 1]]), even)[0] == []


def test_masses_and_restarts_in_words() -> None:
    modes = [
        Mode(np.array([0, 2]), np.array([0]), LogEvidence(-100.0, 0.1)),
        Mode(np.array([1]), np.array([1]), LogEvidence(-100.0 - np.log(3), 0.2)),
    ]
    text = in_modes(modes, [])
    assert "chains 1, 3 with log evidence -100.00 (standard error 0.1), 75.00% of the mass" in text
    assert "chain 2 with log evidence -101.10 (standard error 0.2), 25.00% of the mass." in text
    unknown = in_modes([modes[0], Mode(np.array([1]), np.array([1]), LogEvidence(np.nan, 0.0))], [])
    assert "chain 2 with too few draws for a log evidence." in unknown
    assert "mass;" not in unknown
    again = in_modes([], [Restart(np.array([3]), LogEvidence(30.0, np.nan))])
    assert again == (
        " Chain 4 was started once more, out of a mode whose log evidence is 30.0 lower (by "
        "Laplace's approximation)."
    )
