"""Pareto-smoothed importance sampling of many units at a time against ArviZ's, one by one."""

from __future__ import annotations

import arviz as az
import numpy as np
import pytest
import xarray as xr

from mixcompare.checking.psis import fit_pareto, leave_one_out_density


def log_likelihoods(draws: int, units: int, seed: int) -> np.ndarray:
    """(2, S/2, G) with light and heavy tails, one far out, one with many equal values."""
    rng = np.random.default_rng(seed)
    spread = np.geomspace(0.05, 6.0, units)
    values = -spread * rng.standard_exponential((draws, units)) + rng.normal(size=units) * 100
    values[:, 1] = -1.0 * (rng.uniform(size=draws) < 0.6)
    values[:3, 1] = -1.5
    return values.reshape(2, draws // 2, units)


@pytest.mark.parametrize(("draws", "efficiency"), [(100, 1.0), (400, 0.3), (2000, 1.4)])
@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")
def test_equals_arviz(draws: int, efficiency: float) -> None:
    given = log_likelihoods(draws, 40, seed=draws)
    posterior = {"a": (("chain", "draw"), np.zeros(given.shape[:2]))}
    outcomes = {"outcomes": (("chain", "draw", "unit"), given)}
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset(posterior), "log_likelihood": xr.Dataset(outcomes)}
    )
    theirs = az.loo(tree, pointwise=True, var_name="outcomes", reff=efficiency)
    elpd, shape = leave_one_out_density(given.reshape(draws, -1), efficiency)
    np.testing.assert_allclose(elpd, theirs.elpd_i, rtol=1e-10)
    np.testing.assert_allclose(shape, theirs.pareto_k, rtol=1e-10, atol=1e-10)
    assert shape[-1] > 0.7
    assert np.isnan(shape[1])


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given = log_likelihoods(400, 30, seed=1).reshape(400, -1)
    whole = leave_one_out_density(given, 1.0)
    monkeypatch.setattr("mixcompare.checking.psis._CHUNK_VALUES", 1)
    for one, other in zip(whole, leave_one_out_density(given, 1.0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_shape_of_pareto_values() -> None:
    """Of many values the prior is nothing, and the fit finds shape and scale again."""
    probability = (np.arange(20_000) + 0.5) / 20_000
    for shape, scale in ((0.5, 2.0), (-0.3, 1.0), (0.9, 1e-8)):
        values = scale * np.expm1(-shape * np.log1p(-probability)) / shape
        found = fit_pareto(values[None])
        assert found[0] == pytest.approx(shape, abs=0.01)
        assert found[1] == pytest.approx(scale, rel=0.01)


def test_equal_weights_need_no_smoothing() -> None:
    elpd, shape = leave_one_out_density(np.full((200, 3), -2.5), 1.0)
    np.testing.assert_allclose(elpd, -2.5)
    assert np.isnan(shape).all()
