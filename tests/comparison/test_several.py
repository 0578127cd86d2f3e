"""More than two fits: roles, tables, what the mode of the posterior adds."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import rel_entr

import mixcompare as mc
from mixcompare.comparison.optima import bounds
from mixcompare.comparison.parties import having, roles
from mixcompare.comparison.runs import near_by_iteration
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2)
TABLE = simulate(units=60, k=2, seed=6)


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, TABLE, starts=8)


@pytest.fixture(scope="module")
def mode() -> mc.Fit:
    return mc.fit(SPEC, TABLE, starts=8, estimator="map")


def test_fits_are_sorted_and_stand_side_by_side(em: mc.Fit, mode: mc.Fit) -> None:
    one, other = (stand_in(mode, seed=s) for s in (1, 2))
    comparison = mc.compare(one, mode, other, em)
    assert comparison.em is em
    assert comparison.posterior_fit is one
    names = ["EM", "EM, mode of the posterior", "nutpie", "nutpie (2)"]
    assert list(comparison.fits.index) == names
    assert list(comparison.side_by_side.columns) == names
    np.testing.assert_allclose(comparison.side_by_side["EM"], em.summary()["estimate"])
    # The same mean, to the last digits, wherever a report shows it.
    means = comparison.estimates["posterior_mean"]
    np.testing.assert_allclose(comparison.side_by_side["nutpie"], means, rtol=1e-12)
    assert comparison.fits.loc["EM", "largest_difference"] == 0
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    assert verdicts["other posteriors"] == "agree"
    assert verdicts["posterior mode"] in ("agree", "caution")


def test_a_posterior_elsewhere_is_named(em: mc.Fit) -> None:
    one = stand_in(em, seed=1)
    far = stand_in(em, seed=2, offset=2.0 * one.summary()["sd"].to_numpy())
    verdicts = mc.compare(em, one, far).verdicts.set_index("section")
    assert verdicts.loc["other posteriors", "verdict"] == "differ"
    assert "nutpie (2): " in str(verdicts.loc["other posteriors", "statement"])


def test_an_ordering_constraint_is_told_from_samplers_that_disagree(em: mc.Fit) -> None:
    one = stand_in(em, seed=1)
    by_variance = stand_in(em, seed=2, offset=2.0 * one.summary()["sd"].to_numpy())
    options = by_variance.options | {"ordered_by": "covariance"}
    by_variance.tree.attrs["options"] = json.dumps(options)
    comparison = mc.compare(em, one, by_variance)
    assert "nutpie, ordered by covariance" in comparison.fits.index
    verdicts = comparison.verdicts.set_index("section")
    assert verdicts.loc["other posteriors", "verdict"] == "caution"
    assert verdicts.loc["other posteriors", "reason"] == "ordering constraint"


def test_other_posteriors_are_named_after_what_differs(em: mc.Fit) -> None:
    one, short, again = (stand_in(em, seed=s, draws=d) for s, d in ((1, 400), (2, 200), (3, 400)))
    names = list(mc.compare(em, one, short, again).fits.index)
    assert names == ["EM", "nutpie", "nutpie, draws 200", "nutpie (2)"]


def test_the_mode_tells_prior_pull_from_skewness(em: mc.Fit) -> None:
    strong = replace(SPEC, priors=mc.Priors(coefficient_mean=0.0, coefficient_sd=0.2))
    ml, mode = mc.fit(strong, TABLE, starts=8), mc.fit(strong, TABLE, starts=8, estimator="map")
    pulled = mc.compare(ml, mode, stand_in(mode, seed=3)).verdicts.set_index("section")
    assert pulled.loc["posterior mode", "reason"] == "prior pull"
    assert pulled.loc["estimates", "reason"] == "prior pull"
    assert "The prior alone moves" in str(pulled.loc["estimates", "statement"])
    weak = mc.fit(SPEC, TABLE, starts=8, estimator="map")
    offset = 1.5 * weak.summary()["se"].to_numpy()
    skewed = mc.compare(em, weak, stand_in(weak, seed=3, offset=offset))
    assert (
        skewed.verdicts.set_index("section").loc["posterior mode", "reason"] == "skewed posterior"
    )


@pytest.mark.parametrize("kinds", ["e", "p", "ee", "mp", "emm", "emmp"])
def test_other_sets_are_refused(em: mc.Fit, mode: mc.Fit, kinds: str) -> None:
    fits = {"e": em, "m": mode, "p": stand_in(em, seed=1)}
    with pytest.raises(mc.DataError, match="needs one or more fits with backend='em'"):
        mc.compare(*(fits[kind] for kind in kinds))


def test_a_fit_by_another_program_is_refused_with_the_reason(em: mc.Fit) -> None:
    tree = stand_in(em, seed=1).tree.copy()
    tree.attrs |= {"kind": "foreign", "backend": "flexmix"}
    with pytest.raises(mc.DataError, match=r"compare serves fits of this program .* 'flexmix'"):
        mc.compare(em, stand_in(em, seed=1), mc.Fit(tree))


def test_parties_have_the_roles_of_their_kinds(em: mc.Fit, mode: mc.Fit) -> None:
    one, other = (stand_in(mode, seed=s) for s in (1, 2))
    early = mc.fit(SPEC, TABLE, starts=8, seed=5, max_iterations=2)
    found = [(party.role, party.fit) for party in roles(one, early, mode, other, em)]
    expected = ["reference", "maximum", "mode", "posterior", "further posterior"]
    assert found == list(zip(expected, (em, early, mode, one, other), strict=True))


@pytest.fixture(scope="module")
def runs(em: mc.Fit) -> list[mc.Fit]:
    """Runs to the same maximum: by other starts, and stopped early."""
    early: dict[str, Any] = {"criterion": "q", "tolerance": 0.01, "acceleration": "none"}
    return [
        mc.fit(SPEC, TABLE, starts=8, kinds=["kmeans"]),
        mc.fit(SPEC, TABLE, starts=8, **early),
        mc.fit(SPEC, TABLE, starts=8, seed=5),
    ]


def test_other_runs_of_em_are_named_after_what_differs(em: mc.Fit, runs: list[mc.Fit]) -> None:
    comparison = mc.compare(runs[1], em, stand_in(em, seed=1), *runs[::2])
    # The run that was stopped early is given first and yet is not the reference.
    assert comparison.em is em
    names = ["EM", "EM, kinds kmeans", "EM, seed 5"]
    early = "EM, criterion q, tolerance 0.01, acceleration none"
    assert set(comparison.runs.index) == {*names, early}
    assert set(comparison.fits.index) == {*names, early, "nutpie"}
    table = comparison.runs
    shortfall = table["shortfall"].to_numpy(float)
    maxima = having(comparison.parties, "reference", "maximum")
    expected = [em.log_likelihood - f.log_likelihood for f in maxima.values()]
    np.testing.assert_allclose(shortfall, expected, atol=1e-8)
    assert shortfall[table.index.get_loc(early)] > 1e-4
    score = table["score_distance"].to_numpy(float)
    assert score.argmax() == table.index.get_loc(early)
    for name, fit in maxima.items():
        ends = fit.tree["starts"]["log_likelihood"].to_numpy()
        top = max(f.log_likelihood for f in (em, *runs))
        assert table.loc[name, "near"] == np.mean(ends >= top - 0.01)
        assert near_by_iteration(fit, top)[-1] == table.loc[name, "near"]
        assert (np.diff(near_by_iteration(fit, top)) >= 0).all()


def test_the_bound_lies_between_two_iterates_of_plain_em(runs: list[mc.Fit]) -> None:
    reached, after = bounds(runs[1], 60)
    history = runs[1].tree["history"]["log_likelihood"].to_numpy()[: len(reached)]
    np.testing.assert_allclose(reached, history, rtol=1e-12)
    rounding = 1e-12 * abs(reached[-1])
    assert (after <= reached[1:] + rounding).all()
    assert (after >= reached[:-1] - rounding).all()


def test_the_divergence_below_the_bound_is_that_of_the_responsibilities(em: mc.Fit) -> None:
    full = mc.fit(SPEC, TABLE, starts=8, history="full", acceleration="none")
    reached, after = bounds(full, 60)
    tau = full.tree["history"]["responsibilities"].to_numpy()[: len(reached)]
    divergence = rel_entr(tau[:-1], tau[1:]).sum(axis=(1, 2))
    np.testing.assert_allclose(reached[1:] - after, divergence, atol=1e-9)
