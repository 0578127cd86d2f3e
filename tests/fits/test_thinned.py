"""Posteriors of which not every class probability is kept: the same numbers, in a smaller file."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mixcompare as mc
from mixcompare.backends import occupancy_at, occupancy_in_batches
from mixcompare.comparison.switching import invariants_table
from mixcompare.fits import result
from mixcompare.report.figures.switching import co_clustering
from mixcompare.reproduction.numbers import numbers
from tests.em_cases import simulate

SPEC = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=3)
TABLE = simulate(units=50, k=3, seed=8)
DRAWS, CHAINS, KEPT = 120, 2, 7
BUDGET = KEPT * CHAINS * 50 * 3 + 5


def posterior(**options: Any) -> mc.Fit:
    few = {"draws": DRAWS, "tune": 100, "chains": CHAINS, "progress": False, **options}
    return mc.fit(SPEC, TABLE, backend="pymc", seed=3, **few)


@pytest.fixture(scope="module")
def whole() -> mc.Fit:
    return posterior()


@pytest.fixture(scope="module")
def thinned() -> mc.Fit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result, "KEPT_VALUES", BUDGET)
        fit = posterior()
        assert fit.tree["membership"].sizes["draw"] == KEPT
    return fit


@pytest.fixture(scope="module")
def comparisons(whole: mc.Fit, thinned: mc.Fit) -> tuple[mc.Comparison, mc.Comparison]:
    em = mc.fit(SPEC, TABLE, starts=10, seed=1)
    return mc.compare(em, whole, climbs=10), mc.compare(em, thinned, climbs=10)


def test_evenly_spaced_draws_are_kept_and_nothing_else_changes(
    whole: mc.Fit, thinned: mc.Fit
) -> None:
    kept = thinned.draws.kept
    assert kept[0] == 0
    assert kept[-1] == DRAWS - 1
    assert np.ptp(np.diff(kept)) <= 1
    np.testing.assert_array_equal(whole.draws.kept, np.arange(DRAWS))
    few, every = (fit.tree["membership"]["responsibilities"] for fit in (thinned, whole))
    assert few["draw"].to_numpy().tolist() == kept.tolist()
    assert few.dtype == every.dtype == np.float32
    np.testing.assert_allclose(few, every.sel(draw=kept), rtol=1e-6)
    for group in ("posterior", "posterior_as_sampled", "alignment", "sample_stats", "log_prior"):
        expected = whole.tree[group].to_dataset()
        xr.testing.assert_identical(thinned.tree[group].to_dataset(), expected)
    for name, values in whole.estimate.items():
        np.testing.assert_array_equal(thinned.estimate[name], values)
    np.testing.assert_allclose(thinned.responsibilities, whole.responsibilities, rtol=1e-12)


@pytest.mark.parametrize("ordered_by", [None, "coefficients[x1]"])
def test_draws_are_aligned_by_all_class_probabilities_in_full_precision(
    ordered_by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = posterior(ordered_by=ordered_by, draws=40)
    monkeypatch.setattr(result, "KEPT_VALUES", 1)
    after = posterior(ordered_by=ordered_by, draws=40)
    np.testing.assert_array_equal(after.draws.permutation, before.draws.permutation)
    np.testing.assert_allclose(after.responsibilities, before.responsibilities, rtol=1e-12)
    assert after.tree["membership"].sizes["draw"] == 1


def test_log_likelihoods_lose_less_than_a_billionth_of_the_largest(
    whole: mc.Fit, thinned: mc.Fit
) -> None:
    exact, rounded = whole.result.log_likelihood, thinned.result.log_likelihood
    assert 0 < np.abs(rounded - exact).max() <= 1e-9 * np.abs(exact).max()
    before, after = (mc.leave_one_out(fit).units.sort_index() for fit in (whole, thinned))
    np.testing.assert_allclose(after["elpd"], before["elpd"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(after["pareto_k"], before["pareto_k"], rtol=0, atol=1e-6)


def test_a_file_has_what_the_fit_has_to_the_bit(thinned: mc.Fit, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result, "KEPT_VALUES", BUDGET)
        again = mc.load(thinned.save(tmp_path / "thinned.nc"))
    for name, group in thinned.tree.children.items():
        xr.testing.assert_identical(again.tree[name].to_dataset(), group.to_dataset())
    encoding = again.tree["log_likelihood"]["outcomes"].encoding
    assert encoding["dtype"] == np.int32
    np.testing.assert_array_equal(again.draws.occupancy, thinned.draws.occupancy)
    twice = mc.load(again.save(tmp_path / "again.nc"))
    assert (
        twice.tree["log_likelihood"]
        .to_dataset()
        .identical(thinned.tree["log_likelihood"].to_dataset())
    )
    sizes = [(tmp_path / name).stat().st_size for name in ("again.nc", "thinned.nc")]
    assert sizes[0] < 1.01 * sizes[1]


def test_class_probabilities_of_other_draws_are_scored(whole: mc.Fit, thinned: mc.Fit) -> None:
    every = whole.draws.numbers
    expected = whole.draws.occupancy
    np.testing.assert_allclose(occupancy_at(thinned, every), expected, rtol=1e-6, atol=1e-30)
    batches = np.concatenate([*occupancy_in_batches(thinned)])
    np.testing.assert_array_equal(batches, occupancy_at(thinned, every.ravel()))
    kept = every[:, thinned.draws.kept]
    np.testing.assert_array_equal(occupancy_at(thinned, kept), thinned.draws.occupancy)


def test_what_is_worked_out_of_the_draws_is_the_same(whole: mc.Fit, thinned: mc.Fit) -> None:
    close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-9)
    # In single precision many probabilities are one, and ranks are tied.
    np.testing.assert_allclose(invariants_table(thinned), invariants_table(whole), rtol=1e-3)
    close(numbers({"pymc": thinned})["value"], numbers({"pymc": whole})["value"])
    new = TABLE.groupby("unit").head(1)
    few, every = (mc.predict(fit, new, units="known") for fit in (thinned, whole))
    for name in ("responsibilities", "fitted", "log_predictive_density"):
        close(few[name], every[name])
    checks = [mc.posterior_predictive(fit, draws=60, seed=1).table for fit in (thinned, whole)]
    close(checks[0]["replicated"], checks[1]["replicated"])


def test_comparisons_are_the_same(comparisons: tuple[mc.Comparison, mc.Comparison]) -> None:
    every, few = comparisons
    np.testing.assert_array_equal(few.permutation, every.permutation)
    assert few.verdicts["verdict"].tolist() == every.verdicts["verdict"].tolist()
    np.testing.assert_allclose(
        few.posterior_responsibilities, every.posterior_responsibilities, rtol=1e-6, atol=1e-9
    )
    for name in ("modes", "algorithms"):
        tables = [getattr(comparison, name).select_dtypes("number") for comparison in comparisons]
        np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)
    assert co_clustering(few) is not None


@pytest.mark.slow
def test_five_thousand_units_take_less_than_a_gigabyte_and_a_file_of_150_megabytes() -> None:
    program = "from tests.benchmarks.bench_memory import posterior; print(*posterior(5000, 1000))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    _, fit_bytes, file_bytes, _ = map(float, ran.stdout.split())
    assert fit_bytes < 1e9
    assert file_bytes < 150e6
