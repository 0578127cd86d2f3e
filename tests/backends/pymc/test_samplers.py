"""The samplers that further packages bring; each test is skipped where its package is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc

SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, common="~ x", membership="~ age")
SMALL: dict[str, Any] = {"draws": 300, "tune": 300, "chains": 2}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Forty units of six rows in two classes, which their age tells a little of."""
    rng = np.random.default_rng(11)
    age = rng.normal(size=40)
    member = rng.random(40) < 1 / (1 + np.exp(-1 - age))
    unit = np.repeat(np.arange(40), 6)
    x = rng.normal(size=unit.size)
    y = np.where(member[unit], 1.0, 4.0) - x + rng.normal(size=unit.size)
    return pd.DataFrame({"unit": unit, "age": age[unit], "x": x, "y": y})


@pytest.fixture(scope="module")
def expected(table: pd.DataFrame) -> pd.DataFrame:
    return mc.fit(SPEC, table, backend="pymc", seed=1, **SMALL).summary()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["numpyro", "blackjax"])
def test_samplers_on_jax_agree(sampler: Any, table: pd.DataFrame, expected: pd.DataFrame) -> None:
    pytest.importorskip("jax")
    pytest.importorskip(sampler)
    fit = mc.fit(SPEC, table, backend="pymc", seed=3, sampler=sampler, **SMALL)
    summary = fit.summary()
    error = np.hypot(summary["mcse_mean"], expected["mcse_mean"])
    assert (np.abs(summary["mean"] - expected["mean"]) < 6 * error).all()
    np.testing.assert_allclose(summary["sd"], expected["sd"], rtol=0.25)
    # Every fit holds this against the model's own density.
    assert {"lp", "diverging"} <= set(fit.tree["sample_stats"].data_vars)


@pytest.mark.slow
def test_pathfinder_comes_close_and_says_that_it_approximates(
    table: pd.DataFrame, expected: pd.DataFrame
) -> None:
    pytest.importorskip("pymc_extras")
    fit = mc.fit(SPEC, table, backend="pymc", seed=3, sampler="pathfinder", draws=300, chains=2)
    assert fit.status == "approximate"
    assert "pathfinder's approximation" in fit.message
    summary = fit.summary()
    assert (np.abs(summary["mean"] - expected["mean"]) < expected["sd"]).all()
