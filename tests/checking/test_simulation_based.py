"""Simulation-based calibration: exact posteriors pass, wrong ones fail, labels do not matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import mixcompare as mc
from mixcompare import labels
from mixcompare.backends import pymc as pymc_backend
from mixcompare.checking.simulation_based import (
    Calibration,
    calibrate,
    drawn_quantities,
    true_quantities,
)
from mixcompare.fits.result import Result
from mixcompare.fits.tree import permute_posterior
from mixcompare.prepared.problem import Problem
from mixcompare.report.figures.calibration import plot_calibration
from tests.checking.test_leave_one_out import Grid, sampled
from tests.em_cases import simulate
from tests.stand_in_posterior import drawn_result, stand_in

PRIORS = mc.Priors(
    coefficient_mean=0.5, coefficient_sd=1.0, covariance_df=6.0, covariance_scale=4.0
)
SPEC = mc.MixtureSpec("y ~ 1", unit="unit", n_components=1, priors=PRIORS)
DESIGN = pd.DataFrame({"unit": np.repeat(np.arange(6), 2), "y": np.arange(12.0)})


def shifted(problem: Problem, seed: Any, *, shift: float) -> Result:
    """A result with draws from the exact posterior, moved by so many of its sds."""
    prepared = problem.factors
    draws = sampled(problem.spec, prepared, seed)
    coefficients = draws.parameters["coefficients"]
    moved = {"coefficients": coefficients + shift * coefficients.std()}
    draws = replace(draws, parameters={**draws.parameters, **moved})
    mean, variance = (draws.parameters[n][..., 0, 0] for n in ("coefficients", "covariance"))
    rows = prepared.factor
    squares = ((rows[..., 1] - mean[..., None] * rows[..., 0]) ** 2).sum(axis=-1)
    density = norm(0, np.sqrt(variance)).logpdf(0) * prepared.degrees_of_freedom
    density = density - 0.5 * squares / variance
    return drawn_result(problem.layout, draws, density)


def calibrated(monkeypatch: pytest.MonkeyPatch, shift: float, replicates: int) -> Calibration:
    def run(problem: Problem, options: Any, seed: Any) -> Result:
        return shifted(problem, seed, shift=shift)

    monkeypatch.setattr(pymc_backend, "run", run)
    monkeypatch.setattr(Grid, "resolution", (121, 101))
    return calibrate(SPEC, DESIGN, replicates=replicates, seed=3)


def test_an_exact_posterior_is_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrated(monkeypatch, 0.0, 50)
    assert found.table["p_adjusted"].min() > 0.05
    assert found.sentence.startswith("Ranks are uniform as far as can be told. 50 replicates")
    assert {"log-likelihood", "aligned coefficients[1, Intercept]"} <= set(found.ranks.columns)
    assert found.ranks.to_numpy().min() >= 0
    assert found.ranks.to_numpy().max() <= 99
    assert list(found.replicates.columns) == ["status", "ess", "r_hat", "seconds"]
    assert len(plot_calibration(found).axes) == 4 * -(-found.ranks.shape[1] // 4)


def test_a_biased_posterior_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrated(monkeypatch, 2.0, 25)
    worst = found.table["p_adjusted"]
    assert worst["aligned coefficients[1, Intercept]"] < 0.01
    assert found.table["z"]["aligned coefficients[1, Intercept]"] < -4
    assert found.sentence.startswith("Ranks are not uniform")


def test_quantities_do_not_depend_on_labels() -> None:
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=3)
    em = mc.fit(spec, simulate(k=3, units=60, seed=2), starts=6, seed=1, progress=False)
    fit = stand_in(em, draws=30, chains=2, switch_every=10, seed=4)
    posterior = fit.posterior_as_sampled
    drawn = drawn_quantities(fit)
    rng = np.random.default_rng(0)
    truth = {str(n): v.to_numpy()[1, 7] for n, v in posterior.data_vars.items()}
    found = true_quantities(fit, truth)
    assert list(found) == list(drawn)
    # A draw taken for the truth has its own quantities, by the other backend's density.
    for name, value in found.items():
        assert value == pytest.approx(drawn[name][1, 7], rel=1e-8), name
    order = rng.permutation(3)
    exchanged = true_quantities(fit, {n: v[order] for n, v in truth.items()})
    assert exchanged == pytest.approx(found)
    # Exchanging the draws' own labels changes nothing either.
    everywhere = np.broadcast_to(order, (2, 30, 3)).astype(np.intp)
    tree = fit.tree.copy()
    tree["posterior_as_sampled"] = xr.DataTree(permute_posterior(fit.layout, posterior, everywhere))
    alignment = fit.tree["alignment"].to_dataset()
    moved = labels.compose(labels.invert(everywhere), alignment["permutation"].to_numpy())
    tree["alignment"] = xr.DataTree(alignment.copy(data={"permutation": moved}))
    for name, values in drawn_quantities(mc.Fit(tree)).items():
        np.testing.assert_allclose(values, drawn[name], rtol=1e-12, err_msg=name)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(mc.OptionError, match="replicates"):
        calibrate(SPEC, DESIGN, replicates=5)
    weighted = mc.MixtureSpec("y ~ 1", unit="unit", n_components=1, unit_weights="w")
    with pytest.raises(mc.OptionError, match="unit_weights"):
        calibrate(weighted, DESIGN.assign(w=2.0))


@pytest.mark.slow
def test_the_backend_is_calibrated() -> None:
    """The panel of studies/calibration; other quantities and models are looked at there."""
    spec = mc.MixtureSpec(
        "y ~ x",
        unit="unit",
        n_components=2,
        priors=mc.Priors(
            coefficient_mean=0.0, coefficient_sd=2.0, covariance_df=6.0, covariance_scale=6.0
        ),
    )
    unit = np.repeat(np.arange(20), 4)
    design = pd.DataFrame({"unit": unit, "x": np.tile(np.linspace(-1, 1, 4), 20), "y": unit % 7.0})
    found = calibrate(spec, design, replicates=200, seed=5, draws=250, tune=250, chains=4)
    assert found.table["p_adjusted"].min() > 0.01, found.table.to_string()
    assert found.replicates["ess"].median() > 2 * found.largest
