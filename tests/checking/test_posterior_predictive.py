"""Replicated data by class: the statistics by hand, and faults that must show."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import skew

import mixcompare as mc
from mixcompare.checking.discrepancies import (
    SHARES,
    STATISTICS,
    layout,
    record,
    statistics,
    tail_probability,
)
from mixcompare.checking.posterior_predictive import posterior_predictive
from mixcompare.data.panel import Panel
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


def table(noise: np.ndarray) -> pd.DataFrame:
    """Two classes of 30 units of 8 rows with the given (60, 8) noise."""
    unit = np.repeat(np.arange(60), 8)
    x = np.tile(np.linspace(-1, 1, 8), 60)
    means = np.where(unit < 24, 6 + 2 * x, -6 - x)
    return pd.DataFrame({"unit": unit, "x": x, "y": means + noise.ravel()})


def check(noise: np.ndarray, spec: mc.MixtureSpec = SPEC) -> pd.DataFrame:
    em = mc.fit(spec, table(noise), starts=4, seed=1, progress=False)
    fit = stand_in(em, draws=200, chains=2, switch_every=20, seed=3)
    return posterior_predictive(fit, draws=400, seed=4).table


def misfits(frame: pd.DataFrame) -> set[tuple[str, str]]:
    chosen = frame[frame["misfit"]]
    return set(zip(chosen["class"], chosen["statistic"], strict=True))


def test_data_from_the_model_show_no_misfit() -> None:
    noise = np.random.default_rng(0).normal(size=(60, 8))
    frame = check(noise)
    assert misfits(frame) == set()
    assert len(frame) == 3 * len(STATISTICS)  # two classes and all
    own = frame[(frame["class"] == "1") & (frame["statistic"] == "mean")].iloc[0]
    observed = table(noise)["y"].to_numpy()[np.repeat(np.arange(60), 8) >= 24]
    assert own["observed"] == pytest.approx(observed.mean())
    assert own["lower"] < own["observed"] < own["upper"]


def test_autocorrelation_within_units_is_found() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(60, 8))
    for t in range(1, 8):
        noise[:24, t] = 0.8 * noise[:24, t - 1] + 0.6 * noise[:24, t]
    found = misfits(check(noise))
    assert ("2", "lag-1 autocorrelation") in found
    assert ("1", "lag-1 autocorrelation") not in found


def test_levels_of_units_and_heavy_tails_are_found() -> None:
    rng = np.random.default_rng(3)
    levels = rng.normal(size=(60, 8)) + rng.normal(size=(60, 1))
    assert {("1", "sd between units"), ("all", "sd between units")} <= misfits(check(levels))
    tails = rng.normal(size=(60, 8))
    tails[40, 3] += 12
    assert ("1", "maximum") in misfits(check(tails))


def test_absorbed_effects_are_left_out() -> None:
    rng = np.random.default_rng(4)
    spec = mc.MixtureSpec("y ~ x", unit="unit", absorb="unit", n_components=2)
    noise = rng.normal(size=(60, 8)) + 100 * rng.normal(size=(60, 1))
    frame = check(noise, spec)
    assert misfits(frame) == set()
    assert "sd between units" not in set(frame["statistic"])


def test_statistics_by_hand() -> None:
    # Two units in the first class; the third alone in the second. Rows are out of order.
    outcomes = np.array([[1.0], [3.0], [2.0], [5.0], [7.0], [10.0]])
    panel = Panel(
        outcomes=outcomes,
        covariates=np.ones((6, 1)),
        unit=np.array([0, 0, 0, 1, 1, 2]),
        unit_labels=np.arange(3),
        cell=None,
        row=np.array([2, 0, 1, 3, 4, 5]),
        outcome_names=("y",),
        covariate_names=("Intercept",),
        variables={},
    )
    residuals = outcomes - 4.0
    classes = np.array([0, 0, 1])
    recorded = record(np.array([[1.0], [1.0], [2.0], [5.0], [7.5], [10.0]]))
    array = statistics(layout(panel), outcomes, residuals, recorded, classes, 2)[:, :, 0]
    found = dict(zip(STATISTICS, array, strict=True))
    own = outcomes[:5, 0]
    # In the table's order the first unit's residuals are -1, -2, -3.
    first, second = np.array([-1.0, -2.0, 1.0]), np.array([-2.0, -3.0, 3.0])
    correlation = first @ second / np.sqrt(first @ first * (second @ second))
    expected = {
        "mean": (own.mean(), 10.0),
        "sd": (own.std(ddof=1), np.nan),
        "minimum": (1.0, 10.0),
        "maximum": (7.0, 10.0),
        "skewness": (skew(own), np.nan),
        "share of equal values": (0.4, 1.0),
        "share of whole numbers": (0.8, 1.0),
        "lag-1 autocorrelation": (correlation, np.nan),
        "sd between units": (np.std([-2.0, 2.0], ddof=1), np.nan),
    }
    assert list(expected) == list(STATISTICS)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_skewed_and_bounded_noise_is_found() -> None:
    noise = np.random.default_rng(5).exponential(size=(60, 8)) - 1
    found = misfits(check(noise))
    assert {("1", "skewness"), ("2", "skewness"), ("1", "minimum")} <= found
    assert {name for _, name in found}.isdisjoint(SHARES)


def test_counts_and_lumps_are_found_and_rounding_is_none() -> None:
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(60), 8)
    rate = np.where(unit < 24, 6.0, 1.0)
    counts = pd.DataFrame({"unit": unit, "y": rng.poisson(rate).astype(float)})
    lump = counts.assign(y=np.maximum(rng.normal(rate, 0.7), 1.0))
    rounded = counts.assign(y=rng.normal(rate, 0.5).round(1))
    spec = mc.MixtureSpec("y ~ 1", unit="unit", n_components=2)
    for data, expected in (
        (counts, {("all", "share of whole numbers"), ("1", "share of equal values")}),
        (lump, {("all", "share of equal values")}),
        (rounded, set()),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mc.DataWarning)
            em = mc.fit(spec, data, starts=4, seed=1, progress=False)
        fit = stand_in(em, draws=100, chains=2, seed=3)
        shares = {
            found
            for found in misfits(posterior_predictive(fit, draws=200, seed=4).table)
            if found[1] in SHARES
        }
        assert expected <= shares
        assert bool(expected) == bool(shares)


def test_values_as_they_are_written_down() -> None:
    values = np.array([[0.1], [0.4], [0.6], [2.3]])
    halves, exact = (record(values, np.array([step])) for step in (0.5, 0.0))
    assert halves.codes[0].tolist() == [0, 1, 1, 5]
    assert halves.whole[:, 0].tolist() == [True, False, False, False]
    assert exact.codes[0].tolist() == [0, 1, 2, 3]
    assert not exact.whole.any()
    written = record(np.array([[2.0], [0.5], [2.0], [-1.0]]))
    assert written.codes[0].tolist() == [2, 1, 2, 0]
    assert written.whole[:, 0].tolist() == [True, False, True, True]


def test_tail_probability_counts_ties_by_half_and_skips_what_is_missing() -> None:
    observed = np.array([1.0, 1.0, 1.0, np.nan])
    replicated = np.array([2.0, 1.0, 0.0, 5.0])
    assert tail_probability(observed, replicated) == pytest.approx(0.5)
    assert np.isnan(tail_probability(np.array([np.nan]), np.array([1.0])))


def test_groups_and_plots_are_arvizs() -> None:
    import arviz as az

    noise = np.random.default_rng(1).normal(size=(60, 8))
    em = mc.fit(SPEC, table(noise), starts=4, seed=1, progress=False)
    tree = posterior_predictive(stand_in(em, draws=30, chains=2), draws=40, seed=1).tree
    assert tree["posterior_predictive"]["y"].dims == ("chain", "draw", "row")
    classes = tree["posterior_predictive_classes"]["classes"]
    assert classes.dims == ("chain", "draw", "unit")
    assert set(np.unique(classes)) == {1, 2}
    az.plot_ppc_dist(tree, num_samples=40, backend="none")


def test_em_has_no_posterior_to_check() -> None:
    noise = np.random.default_rng(1).normal(size=(60, 8))
    em = mc.fit(SPEC, table(noise), starts=4, seed=1, progress=False)
    with pytest.raises(mc.OptionError, match="posterior"):
        posterior_predictive(em)
    with pytest.raises(mc.OptionError, match="draws"):
        posterior_predictive(stand_in(em, draws=20, chains=1), draws=0)
