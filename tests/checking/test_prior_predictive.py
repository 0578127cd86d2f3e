"""Data drawn from the prior, and what they say of the data observed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mixcompare as mc
from mixcompare.checking.prior_predictive import prior_predictive
from mixcompare.model.layout import COMPONENT
from tests.stand_in_posterior import stand_in


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(30), 4)
    x = np.tile(np.arange(4.0), 30)
    y = np.where(unit < 12, 3 + x, -x) + rng.normal(size=unit.size)
    return pd.DataFrame({"unit": unit, "x": x, "y": y, "cell": unit // 2, "p": y, "q": x - y**2})


SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


def with_priors(**priors: object) -> mc.MixtureSpec:
    return mc.MixtureSpec("y ~ x", unit="unit", n_components=2, priors=mc.Priors(**priors))  # type: ignore[arg-type]


def test_default_priors_find_their_data_plausible(table: pd.DataFrame) -> None:
    check = prior_predictive(SPEC, table, draws=300, seed=1)
    assert check.plausible
    assert "plausible under the prior" in check.sentence
    assert set(check.table["statistic"]) == {
        "mean",
        "sd",
        "minimum",
        "maximum",
        "sd between units",
    }
    observed = check.table.set_index("statistic")["observed"]
    assert observed["mean"] == pytest.approx(table["y"].mean())
    assert observed["sd between units"] == pytest.approx(
        table.groupby("unit")["y"].mean().std(ddof=0)
    )


def test_outcomes_have_the_priors_moments(table: pd.DataFrame) -> None:
    """var(y | x) = sum of the coefficients' variances times x^2 and the mean variance."""
    spec = with_priors(
        coefficient_mean={"Intercept": 1.0, "x": 2.0},
        coefficient_sd={"Intercept": 0.5, "x": 0.3},
        covariance_df=12.0,
        covariance_scale=20.0,
    )
    check = prior_predictive(spec, table, draws=4000, seed=2)
    outcomes = check.tree["prior_predictive"]["y"].to_numpy()[0]
    for x in range(4):
        drawn = outcomes[:, table["x"].to_numpy() == x]
        expected = 0.25 + 0.09 * x**2 + 20 / (12 - 2)
        assert drawn.mean() == pytest.approx(1 + 2 * x, abs=0.1)
        assert drawn.var() == pytest.approx(expected, rel=0.06)


def test_implausible_data_are_named(table: pd.DataFrame) -> None:
    check = prior_predictive(
        with_priors(coefficient_mean=50.0, coefficient_sd=0.1), table, draws=200, seed=1
    )
    assert not check.plausible
    assert check.sentence.startswith("The data are not plausible under the prior: mean of y")
    wide = prior_predictive(with_priors(coefficient_sd=1e4), table, draws=200, seed=1)
    assert wide.plausible
    assert "The prior is wide" in wide.sentence


@pytest.mark.parametrize("absorb", [None, "unit"])
def test_data_that_a_wide_prior_surrounds_are_plausible(
    table: pd.DataFrame, absorb: str | None
) -> None:
    """Its data nearly always reach further than the observed, in both directions."""
    spec = with_priors(coefficient_sd=1e4).but(absorb=absorb)
    found = prior_predictive(spec, table, draws=200, seed=1).table.set_index("statistic")
    ends = found.loc[["minimum", "maximum"]]
    assert ((ends["p"] < 0.2) | (ends["p"] > 0.8)).all()
    assert not ends["surprise"].any()
    narrow = with_priors(coefficient_mean=0.0, coefficient_sd=1.0, covariance_scale=1.0).but(
        absorb=absorb
    )
    for y, end in ((1e4, "maximum"), (-1e4, "minimum")):
        beyond = table.assign(y=np.where(table.index == 0, y, table["y"]))
        reached = prior_predictive(narrow, beyond, draws=200, seed=1).table
        assert reached.set_index("statistic").loc[end, "surprise"]


def test_groups_are_those_that_arviz_expects(table: pd.DataFrame) -> None:
    spec = mc.MixtureSpec("p + I(q / 2) ~ x", unit="unit", n_components=2)
    check = prior_predictive(spec, table, draws=20, seed=1)
    prior = check.tree["prior"]
    assert prior["coefficients"].dims == ("chain", "draw", COMPONENT, "covariate", "outcome")
    assert prior.sizes["draw"] == 20
    # A slash in a name would be a path in the tree.
    for name, values in (("p", table["p"]), ("I(q %2F 2)", table["q"] / 2)):
        assert check.tree["prior_predictive"][name].dims == ("chain", "draw", "row")
        np.testing.assert_array_equal(check.tree["observed_data"][name], values)
    em = mc.fit(spec, table, starts=3, seed=1, progress=False)
    fit = check.attach(stand_in(em, draws=20, chains=2))
    assert {"prior", "prior_predictive", "observed_data"} <= set(fit.tree.children)
    xr.testing.assert_equal(fit.tree["prior"].to_dataset(), prior.to_dataset())


def test_absorbed_effects_are_no_part_of_the_check(table: pd.DataFrame) -> None:
    spec = mc.MixtureSpec("y ~ x", unit="unit", absorb="unit", n_components=2)
    shifted = table.assign(y=table["y"] + 1e3 * table["unit"])
    for data in (table, shifted):
        check = prior_predictive(spec, data, draws=200, seed=1)
        assert check.plausible
        assert set(check.table["statistic"]) == {"sd", "minimum", "maximum"}


def test_same_seed_same_draws(table: pd.DataFrame) -> None:
    first, again, other = (prior_predictive(SPEC, table, draws=5, seed=s) for s in (1, 1, 2))
    xr.testing.assert_identical(first.tree.to_dataset(), again.tree.to_dataset())
    pd.testing.assert_frame_equal(first.table, again.table)
    assert not first.table.equals(other.table)


@pytest.mark.parametrize("draws", [0, True, 2.5])
def test_draws_must_be_a_number(table: pd.DataFrame, draws: object) -> None:
    with pytest.raises(mc.OptionError, match="draws"):
        prior_predictive(SPEC, table, draws=draws)  # type: ignore[arg-type]
