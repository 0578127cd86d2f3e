"""More than two fits: roles, tables, what the mode of the posterior adds."""

from dataclasses import replace

import numpy as np
import pytest

import mixcompare as mc
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


@pytest.mark.parametrize("kinds", ["e", "p", "ee", "mp", "emm", "eep"])
def test_other_sets_are_refused(em: mc.Fit, mode: mc.Fit, kinds: str) -> None:
    fits = {"e": em, "m": mode, "p": stand_in(em, seed=1)}
    with pytest.raises(mc.DataError, match="needs one fit with backend='em'"):
        mc.compare(*(fits[kind] for kind in kinds))
