"""Modes told from copies, the algorithms' table and the invariants, on made-up posteriors."""

from dataclasses import replace

import numpy as np
import pytest

import mixcompare as mc
from mixcompare import labels
from mixcompare.backends.em.climbing import Climber
from mixcompare.backends.em.options import Options
from mixcompare.comparison import likelihoods
from mixcompare.labels.metrics import total_variation
from mixcompare.prepared.compress import compress
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=3)
NAMES = ("weights", "coefficients", "covariance")


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, simulate(units=80, rows=(4, 9), seed=5), starts=40, seed=1)


@pytest.fixture(scope="module")
def second(em: mc.Fit) -> mc.Fit:
    """EM at its second best optimum."""
    starts = em.tree["starts"].to_dataset()
    start = int(np.flatnonzero(starts["optimum"].to_numpy() == 1)[0])
    initial = {name: starts[name].to_numpy()[start] for name in NAMES}
    return mc.fit(SPEC, em.panel, starts=0, initial=initial)


def verdict(comparison: mc.Comparison, section: str) -> tuple[str, str]:
    row = comparison.verdicts.set_index("section").loc[section]
    return str(row["verdict"]), str(row["reason"])


def test_copies_of_one_mode_are_one_mode(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, draws=50, switch_every=10, spread=0.3))
    assert comparison.switching["value"]["labellings visited"] > 1
    assert list(comparison.modes["optimum"]) == [1]
    assert comparison.modes.loc["1", "share"] == 1.0
    assert comparison.modes.loc["1", "gap"] == 0.0
    assert verdict(comparison, "modes") == ("agree", "")
    # Climbing keeps the labels, so that it relabels like the alignment to EM's optimum.
    assert comparison.algorithms.loc["climbing", "EM"] == 1.0
    at = comparison.climbed.draws
    np.testing.assert_array_equal(comparison.climbed.permutation, comparison.permutation[:, at])


def test_chains_at_two_optima_are_two_modes(em: mc.Fit, second: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in([em, second], draws=50, switch_every=10, spread=0.2))
    modes = comparison.modes
    assert list(modes["optimum"][:2]) == [1, 2]
    np.testing.assert_allclose(modes.loc["1", [f"chain {c}" for c in (1, 2, 3, 4)]], [1, 0, 1, 0])
    assert modes.loc["2", "log_likelihood"] == pytest.approx(second.log_likelihood)
    assert modes.loc["2", "gap"] == pytest.approx(em.log_likelihood - second.log_likelihood)
    own = second.responsibilities.to_numpy()
    best = em.responsibilities.to_numpy()
    own = own[:, labels.align_to_reference(own, best)]
    assert modes.loc["2", "distance"] == pytest.approx(total_variation(own, best).mean(), rel=1e-4)
    assert verdict(comparison, "modes") == ("differ", "chains in different modes")
    assert "50.0% climb by EM to its estimate" in comparison.verdicts["statement"][3]


def test_mode_of_em_without_draws(em: mc.Fit, second: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(second, draws=50, spread=0.2), climbs=20)
    assert comparison.climbed.share_of_em == 0
    assert comparison.modes.loc["1", "share"] == 0
    assert np.isnan(comparison.modes["draws_log_likelihood"]["1"])
    assert verdict(comparison, "modes") == ("differ", "no draw belongs to EM's mode")
    assert verdict(comparison, "estimates")[1] == "no draw belongs to EM's mode"


def test_a_higher_mode_is_found_though_no_draw_is_above_em(em: mc.Fit, second: mc.Fit) -> None:
    """Draws lie d/2 below their mode, so a slightly higher one shows only by climbing."""
    comparison = mc.compare(second, stand_in(em, draws=50, spread=1.0), climbs=20)
    assert comparison.likelihoods["value"]["highest draw less EM maximum"] < 0
    assert comparison.restart is not None
    assert comparison.restart.log_likelihood == pytest.approx(em.log_likelihood)
    assert np.isnan(comparison.modes["optimum"]["1"])
    assert verdict(comparison, "EM optimum") == ("differ", "EM stopped at a worse optimum")
    statement = comparison.verdicts["statement"][1]
    assert "draws climb to a higher one" in statement


def test_a_draw_from_which_em_collapses(
    em: mc.Fit, second: mc.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapse(*args: object, **options: object) -> None:
        raise mc.DegenerateFitError("component 1 has collapsed")

    monkeypatch.setattr(likelihoods, "fit", collapse)
    comparison = mc.compare(second, stand_in(em, draws=20, spread=0.1), climbs=4)
    assert comparison.restart is None
    assert verdict(comparison, "EM optimum") == ("caution", "unbounded likelihood near a draw")


def test_climbing_from_the_estimate_stays_there(em: mc.Fit) -> None:
    climber = Climber(SPEC, compress(em.panel), Options(), 1)
    own = em.responsibilities.to_numpy()
    at = climber.responsibilities({n: em.tree["estimate"][n].to_numpy() for n in NAMES})
    np.testing.assert_allclose(at, own, atol=1e-9)
    summit = climber.climb(own)
    assert summit is not None
    assert summit.log_likelihood == pytest.approx(em.log_likelihood, rel=1e-12)
    collapsed = np.zeros_like(own)
    collapsed[:, 0] = 1.0
    assert climber.climb(collapsed) is None


def test_invariants_are_those_of_the_draws(em: mc.Fit) -> None:
    posterior = stand_in(em, draws=50, switch_every=5, spread=0.3)
    table = mc.compare(em, posterior, climbs=4).invariants
    weights = np.sort(posterior.tree["posterior"]["weights"].to_numpy(), axis=-1)
    assert table.loc["weight 1 by size", "mean"] == pytest.approx(weights[..., 2].mean())
    drawn = posterior.tree["log_likelihood"]["outcomes"].sum("unit").to_numpy()
    assert table.loc["log-likelihood", "sd"] == pytest.approx(drawn.std(ddof=1))
    assert table["r_hat"].max() < 1.2
    assert table["ess_bulk"].min() > 20


def test_one_class_has_one_mode(em: mc.Fit) -> None:
    alone = mc.fit(replace(SPEC, n_components=1), em.panel, starts=1)
    comparison = mc.compare(alone, stand_in(alone, draws=20))
    assert list(comparison.modes["share"]) == [1.0]
    assert list(comparison.invariants.index) == ["log-likelihood"]
    assert comparison.ordered_by == ""


@pytest.mark.parametrize("climbs", [0, 2.5, True])
def test_climbs_must_be_a_count(em: mc.Fit, climbs: int) -> None:
    with pytest.raises(mc.OptionError, match="climbs must be a whole number"):
        mc.compare(em, em, climbs=climbs)
