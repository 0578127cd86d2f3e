"""EM's starts beside the climbs of the sampler's own search, with ends that are known."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.comparison.heights import log_density
from mixcompare.fits.result import Optima
from mixcompare.report import wording
from mixcompare.report.tables import em as tables
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=3)
KINDS = ("pooled", "rough", "prior")


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, simulate(units=80, rows=(4, 9), seed=5), starts=40, seed=1)


@pytest.fixture(scope="module")
def second(em: mc.Fit) -> mc.Fit:
    """EM at its second best optimum, which has a higher posterior density than the best."""
    start = int(np.flatnonzero(em.search.ends["optimum"] == 1)[0])
    at = {name: values[start] for name, values in em.search.parameters.items()}
    return mc.fit(SPEC, em.panel, starts=0, initial=at)


@pytest.fixture(scope="module")
def low(em: mc.Fit) -> Any:
    """Classes that are one and the same: a saddle point far below."""
    one = mc.fit(replace(SPEC, n_components=1), em.panel, starts=1)
    at = {name: np.repeat(values, 3, axis=0) for name, values in one.estimate.items()}
    return SimpleNamespace(
        estimate={**at, "weights": np.full(3, 1 / 3)}, log_likelihood=one.log_likelihood
    )


def posterior(
    about: mc.Fit, *ends: Any, climbs: tuple[int, ...], evidence: tuple[float, ...] = ()
) -> mc.Fit:
    """Draws about a fit, whose chains waited for a search that ended at some, 5 climbs lost."""
    parameters = {
        name: np.stack([end.estimate[name][[2, 0, 1]] for end in ends]) for name in about.estimate
    }
    heights = log_density(about, parameters)
    found = Optima(
        parameters,
        log_posterior=heights + 3.0,
        log_likelihood=np.array([end.log_likelihood for end in ends]),
        log_evidence=np.array(evidence or heights - 20.0),
        proper=np.ones(len(ends), dtype=bool),
        climbs_by_start=np.array([[n, 0, 0] for n in climbs]),
        starts=KINDS,
        iterations=np.full(len(ends), 30.0),
        n_climbs=sum(climbs) + 5,
        seconds=0.1,
    )
    made = stand_in(about, draws=40, spread=0.3, seed=3)
    made._know(result=replace(made.result, optima=found))
    return made


def verdict(comparison: mc.Comparison, section: str) -> tuple[str, str]:
    row = comparison.verdicts.set_index("section").loc[section]
    return str(row["verdict"]), str(row["reason"])


def statement(comparison: mc.Comparison, section: str) -> str:
    return str(comparison.verdicts.set_index("section")["statement"][section])


def test_both_searches_found_the_best(em: mc.Fit, second: mc.Fit) -> None:
    comparison = mc.compare(em, posterior(em, em, second, climbs=(30, 15)), climbs=4)
    assert verdict(comparison, "searches") == ("agree", "")
    starts = int(comparison.optima["starts"].iloc[0])
    said = f"reached by {starts} of 40 starts, and by 30 of 50 climbs"
    assert said in statement(comparison, "searches")
    assert "found it, too, by 30 of 50 climbs" in statement(comparison, "EM optimum")
    table = comparison.searches
    assert list(table["optimum"][:2]) == [1, 2]
    assert list(table["climbs"][:2]) == [30, 15]
    assert table["climb_share"].sum() == pytest.approx(45 / 50)
    assert table["starts"].sum() == (em.search.ends["optimum"] >= 0).sum()
    assert table["start_share"][1] == starts / 40
    np.testing.assert_allclose(
        table["log_posterior"][:2], log_density(em, _stacked(em, second)) + 3.0
    )
    assert table["log_posterior"][3:].isna().all()
    shown = tables.searches(comparison)
    assert shown is not None
    assert shown.rows[0][3:8] == ("1", str(starts), f"{starts / 0.4:.1f} %", "30", "60.0 %")
    assert statement(comparison, "searches") in wording.starts_intro(comparison)


def _stacked(*fits: Any) -> dict[str, np.ndarray]:
    return {name: np.stack([f.estimate[name] for f in fits]) for name in fits[0].estimate}


def test_the_samplers_search_led_to_a_higher_maximum(em: mc.Fit, second: mc.Fit) -> None:
    """Draws stay about EM's optimum, so that only the search can tell."""
    comparison = mc.compare(second, posterior(second, em, second, climbs=(3, 42)), climbs=4)
    assert verdict(comparison, "searches") == ("differ", "EM stopped at a worse optimum")
    assert verdict(comparison, "EM optimum") == ("differ", "EM stopped at a worse optimum")
    assert "the sampler's own search leads to a higher one" in statement(comparison, "EM optimum")
    by = em.log_likelihood - second.log_likelihood
    assert f"EM missed a maximum {by:.3g} higher" in comparison.conclusion
    assert np.isnan(comparison.searches["optimum"][1])
    assert comparison.searches["gap"][1] == pytest.approx(-by, rel=1e-4)


def test_the_posterior_may_be_higher_at_another_optimum(em: mc.Fit, second: mc.Fit) -> None:
    best, other = log_density(em, _stacked(em, second))
    assert best < other
    comparison = mc.compare(em, posterior(em, second, climbs=(45,)), climbs=4)
    assert verdict(comparison, "searches") == ("caution", "another best optimum under the prior")


def test_the_samplers_search_missed_ems_optimum(em: mc.Fit, low: Any) -> None:
    comparison = mc.compare(em, posterior(em, low, climbs=(45,)), climbs=4)
    missed = "the sampler's search missed EM's optimum"
    assert verdict(comparison, "searches") == ("differ", missed)
    assert "The sampler's own search did not find it." in statement(comparison, "EM optimum")
    by = np.subtract(*log_density(em, _stacked(em, low)))
    assert f"It is {by:.4g} above that search's best" in statement(comparison, "searches")
    [remedy] = [r for r in comparison.remedies if r.reason.name == missed]
    assert remedy.changes == {"climbs": 200}
    assert remedy.headline == f"the sampler's search missed EM's maximum, {by:.3g} higher"
    assert "--climbs 200" in remedy.command


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ((0.0, -20.0), "little of the posterior at EM's mode"),
        ((0.0, -1.0), "no draw belongs to EM's mode"),
    ],
)
def test_a_mode_without_mass_is_not_missed(
    em: mc.Fit, second: mc.Fit, evidence: tuple[float, ...], reason: str
) -> None:
    """Draws are about the second optimum; the search found both, and says how much each holds."""
    sampled = posterior(second, second, em, climbs=(40, 5), evidence=evidence)
    lenient = mc.Thresholds(missed=1e-300)  # height alone would not tell
    comparison = mc.compare(em, sampled, climbs=4, thresholds=lenient)
    assert verdict(comparison, "modes") == ("differ", reason)
    assert verdict(comparison, "searches") == ("agree", "")
    if evidence[1] < -7:
        strict = mc.compare(em, sampled, climbs=4, thresholds=mc.Thresholds(missed=0.5))
        assert verdict(strict, "modes") == ("differ", reason)


def test_without_a_search_nothing_is_said_of_it(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, draws=30, seed=1), climbs=4)
    assert "searches" not in set(comparison.verdicts["section"])
    assert comparison.searches.empty
    assert tables.searches(comparison) is None
    assert "search" not in statement(comparison, "EM optimum")
