"""Data on which other programs give wrong results or NaN."""

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from tests.em_cases import simulate

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)


@pytest.mark.parametrize("factor", [1e8, 1e-8])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_scale_and_offset_of_the_outcome(factor: float, offset: float) -> None:
    table = simulate(units=60, k=2, seed=7)
    moved = table.assign(y1=table["y1"] * factor + offset * factor)
    one, other = (mc.fit(SPEC, data, starts=8) for data in (table, moved))
    rows = len(table)
    # An offset of 1e8 leaves each outcome 8 digits, half of its 16.
    tolerance = 1e-7 if offset else 1e-10
    expected = one.log_likelihood - rows * np.log(factor)
    assert other.log_likelihood == pytest.approx(expected, abs=tolerance * rows)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-6)
    np.testing.assert_allclose(other.covariance, one.covariance * factor**2, rtol=1e-5)


def test_nearly_collinear_covariates_are_fitted_with_a_warning() -> None:
    table = simulate(units=60, k=2, seed=7)
    rng = np.random.default_rng(0)
    table["copy"] = table["x1"] + 1e-7 * rng.normal(size=len(table))
    spec = mc.MixtureSpec("y1 ~ x1 + copy", unit="unit", n_components=2)
    with pytest.warns(mc.DataWarning, match=r"'x1', 'copy' are nearly collinear.*1\.\de\+07"):
        fit = mc.fit(spec, table, starts=4)
    assert fit.status == "converged"
    assert np.all(np.diff(fit.tree["history"]["log_likelihood"]) > -1e-9)
    assert "nearly collinear" in fit.cautions[0]
    # The same space, spanned well.
    well = table.assign(copy=(table["copy"] - table["x1"]) * 1e7)
    other = mc.fit(spec, well, starts=4)
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    assert other.cautions == ()


def test_duplicated_rows_and_units() -> None:
    table = simulate(units=40, k=2, seed=7)
    twice = pd.concat([table, table.assign(unit=table["unit"] + 1000)])
    one, two = mc.fit(SPEC, table, starts=8), mc.fit(SPEC, twice, starts=8)
    assert two.log_likelihood == pytest.approx(2 * one.log_likelihood, rel=1e-10)
    rows = pd.concat([table, table])
    assert mc.fit(SPEC, rows, starts=8).status == "converged"


def test_a_class_with_fewer_rows_than_outcomes_is_degenerate_not_nan() -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=(40, 6)), 50 + rng.normal(size=(4, 6))])
    table = {f"y{j}": y[:, j] for j in range(6)}
    formula = " + ".join(table) + " ~ 1"
    start = (np.arange(44) >= 40).astype(int)
    with pytest.raises(mc.DegenerateFitError, match=r"component 2 has emptied|collapsed"):
        mc.fit(mc.MixtureSpec(formula, n_components=2), table, starts=0, initial=start)
    shared = mc.MixtureSpec(formula, n_components=2, covariance_by="shared")
    fit = mc.fit(shared, table, starts=0, initial=start)
    np.testing.assert_allclose(fit.weights, [40 / 44, 4 / 44], rtol=1e-9)
    mode = mc.fit(
        mc.MixtureSpec(formula, n_components=2), table, starts=0, initial=start, estimator="map"
    )
    assert np.linalg.eigvalsh(mode.covariance).min() > 0


def test_a_unit_of_100_000_rows_beside_one_row_units() -> None:
    rng = np.random.default_rng(0)
    unit = np.concatenate([np.zeros(100_000, int), np.arange(1, 200)])
    x = rng.normal(size=unit.size)
    classes = unit % 2
    y = np.where(classes == 0, 1 + x, -1 - x) + 0.3 * rng.normal(size=unit.size)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    fit = mc.fit(spec, {"unit": unit, "x": x, "y": y}, starts=8)
    assert fit.status == "converged"
    large = int(fit.responsibilities.sel(unit=0).to_numpy().argmax())
    np.testing.assert_allclose(fit.coefficients[large].squeeze(), [1, 1], atol=0.01)
    np.testing.assert_allclose(fit.coefficients[1 - large].squeeze(), [-1, -1], atol=0.2)


# Searching and remembering.


def test_short_runs_find_the_same_optimum_with_fewer_iterations() -> None:
    table = simulate(units=60, k=2, seed=7)
    spec = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=3)
    full = mc.fit(spec, table, starts=30)
    brief = mc.fit(spec, table, starts=30, short_runs=8, continued=4)
    assert brief.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-9)
    status = brief.tree["starts"]["status"].to_numpy()
    assert (status == "short run").sum() >= 20
    assert np.all(brief.tree["starts"]["optimum"].to_numpy()[status == "short run"] == -1)
    totals = [int(fit.tree["starts"]["iterations"].sum()) for fit in (brief, full)]
    assert totals[0] < 0.6 * totals[1]


def test_a_short_run_starts_like_a_long_one() -> None:
    table = simulate(units=60, k=2, seed=7)
    full, brief = (mc.fit(SPEC, table, starts=8, short_runs=n).tree["starts"] for n in (None, 5))
    paths = [tree["log_likelihood_history"].to_numpy()[:, :5] for tree in (full, brief)]
    np.testing.assert_array_equal(paths[0], paths[1])


def test_full_history_ends_with_the_estimate() -> None:
    table = simulate(units=60, k=2, seed=7)
    fit = mc.fit(SPEC, table, starts=4, history="full")
    history = fit.tree["history"].to_dataset()
    np.testing.assert_array_equal(history["responsibilities"][-1], fit.responsibilities)
    np.testing.assert_allclose(history["standard_errors"][-1], fit.summary()["se"], rtol=1e-12)
    assert history["standard_errors"].sizes["iteration"] == history.sizes["iteration"]
    assert "responsibilities" not in mc.fit(SPEC, table, starts=1).tree["history"]
