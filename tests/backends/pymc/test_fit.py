"""The PyMC backend from data to a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy.stats import invwishart

import mixcompare as mc
from mixcompare.backends.pymc import build_model
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.sampling import sample
from mixcompare.backends.pymc.samplers.starts import overdispersed
from mixcompare.fits.summary import convergence
from mixcompare.model.layout import COMPONENT, flatten
from mixcompare.prepared.problem import Problem
from tests.scored import unit_log_likelihood

PYTHON = Mode(linker="py", optimizer="fast_compile")
SMALL: dict[str, Any] = {"draws": 300, "tune": 300, "chains": 2}
WEIGHTS = np.array([0.65, 0.35])
COEFFICIENTS = np.array([[1.0, -1.0], [3.0, 2.0]])
VARIANCES = np.array([1.0, 0.25])
SPEC = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Forty units of six rows, two classes that barely overlap."""
    rng = np.random.default_rng(11)
    z = rng.choice(2, p=WEIGHTS, size=40)
    unit = np.repeat(np.arange(40), 6)
    x = rng.normal(size=len(unit))
    b = COEFFICIENTS[z[unit]]
    y = b[:, 0] + b[:, 1] * x + rng.normal(size=len(unit)) * np.sqrt(VARIANCES[z[unit]])
    return pd.DataFrame({"unit": [f"u{i:02d}" for i in unit], "x": x, "y": y})


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame) -> mc.Fit:
    return mc.fit(SPEC, table, backend="pymc", seed=1, **SMALL)


def test_groups_dims_and_coordinates(fit: mc.Fit) -> None:
    sample = ("chain", "draw")
    dims = {
        ("posterior", "weights"): (*sample, COMPONENT),
        ("posterior", "coefficients"): (*sample, COMPONENT, "covariate", "outcome"),
        ("posterior", "covariance"): (*sample, COMPONENT, "outcome", "outcome_bis"),
        ("log_likelihood", "outcomes"): (*sample, "unit"),
        ("membership", "responsibilities"): (*sample, "unit", COMPONENT),
        ("log_prior", "weights"): sample,
        ("log_prior", "coefficients"): sample,
        ("log_prior", "covariance"): sample,
        ("sample_stats", "log_posterior"): sample,
        ("alignment", "permutation"): (*sample, COMPONENT),
        ("sample_stats", "lp"): sample,
        ("sample_stats", "diverging"): sample,
        ("estimate", "responsibilities"): ("unit", COMPONENT),
        ("estimate", "weights"): (COMPONENT,),
    }
    for (group, name), expected in dims.items():
        assert fit.tree[group][name].dims == expected
    assert set(fit.tree["posterior"].data_vars) == {"weights", "coefficients", "covariance"}
    assert fit.tree["posterior"].sizes["chain"] == 2
    assert fit.tree["posterior"].sizes["draw"] == 300
    assert fit.tree["posterior"]["covariate"].to_numpy().tolist() == ["Intercept", "x"]
    assert fit.tree["posterior"][COMPONENT].to_numpy().tolist() == [1, 2]
    assert fit.tree["membership"]["unit"].to_numpy()[0] == "u00"


def test_recovers_the_truth(fit: mc.Fit) -> None:
    summary = fit.summary()
    truth = [*WEIGHTS, *COEFFICIENTS.ravel(), *VARIANCES]
    assert (np.abs(summary["mean"] - truth) < 5 * summary["sd"]).all()
    assert fit.weights[0] > fit.weights[1]
    assert np.isfinite(fit.log_likelihood)


def test_alignment_brings_the_chains_together(fit: mc.Fit) -> None:
    before = flatten(fit.posterior_as_sampled, fit.parameters)
    after = flatten(fit.tree["posterior"].to_dataset(), fit.parameters)
    assert convergence(after)["r_hat"].max() < 1.05
    assert convergence(after)["r_hat"].max() <= convergence(before)["r_hat"].max()
    permutation = fit.tree["alignment"]["permutation"].to_numpy()
    assert (np.sort(permutation, axis=-1) == np.arange(2)).all()


def test_draws_agree_with_the_models_own_likelihood(fit: mc.Fit) -> None:
    draw = {"chain": 1, "draw": 17}
    posterior = fit.tree["posterior"].to_dataset().isel(draw)
    names = ("weights", "coefficients", "covariance")
    parameters = [posterior[name].to_numpy() for name in names]
    found = fit.tree["log_likelihood"]["outcomes"].isel(draw)
    expected = unit_log_likelihood("pymc", SPEC, fit.panel, *parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    tau = fit.tree["membership"]["responsibilities"]
    np.testing.assert_allclose(tau.sum(COMPONENT), 1, rtol=1e-12)


def test_power_scaling_reads_the_prior_and_the_likelihood(fit: mc.Fit) -> None:
    import arviz as az

    for group in ("prior", "likelihood"):
        sensitivity = az.psense(fit.tree, group=group, var_names=["coefficients"])
        assert np.isfinite(sensitivity["coefficients"].to_numpy()).all()
    prior = sum(fit.tree["log_prior"].to_dataset().data_vars.values())
    total = prior + fit.tree["log_likelihood"]["outcomes"].sum("unit")
    np.testing.assert_allclose(fit.tree["sample_stats"]["log_posterior"], total, rtol=1e-12)


def test_same_seed_same_draws_and_another_seed_others(fit: mc.Fit, table: pd.DataFrame) -> None:
    again = mc.fit(SPEC, table, backend="pymc", seed=1, **SMALL)
    other = mc.fit(SPEC, table, backend="pymc", seed=2, **SMALL)
    posteriors = [f.tree["posterior"].to_dataset() for f in (fit, again, other)]
    xr.testing.assert_identical(posteriors[0], posteriors[1])
    assert not posteriors[0].equals(posteriors[2])


def test_save_and_load(fit: mc.Fit, tmp_path: Path) -> None:
    loaded = mc.load(fit.save(tmp_path / "fit.nc"))
    xr.testing.assert_equal(loaded.tree.to_dataset(), fit.tree.to_dataset())
    for group in fit.tree.children:
        xr.testing.assert_equal(loaded.tree[group].to_dataset(), fit.tree[group].to_dataset())
    assert loaded.options == fit.options
    assert loaded.status == fit.status


def test_nothing_is_compiled_for_other_data_and_priors(
    fit: mc.Fit, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program computes on other data is the log density of their own model."""

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("compiled again")

    shorter = table.iloc[:-70].assign(y=lambda rows: 100 * rows["y"])
    spec = replace(SPEC, priors=mc.Priors(concentration=4.0, coefficient_sd=500.0, covariance_df=7))
    problem = Problem.of(spec, mc.build_panel(spec, shorter))
    mixture = build_mixture(problem)
    options = Options(draws=20, tune=100, chains=2, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr("numba.cfunc", refuse)
        patched.setattr("pytensor.function", refuse)
        draws = sample(mixture, options, overdispersed(mixture), np.random.SeedSequence(4))
    model = build_model(problem)
    log_density = model.compile_logp(mode=PYTHON)
    names = {name: model.rvs_to_values[model[name]].name for name in draws.variables}
    for draw in ((0, 3), (1, 19)):
        at = mixture.unconstrained({name: value[draw] for name, value in draws.variables.items()})
        expected = log_density({names[name]: value for name, value in at.items()})
        assert draws.stats["lp"][draw] == pytest.approx(float(expected), rel=1e-9)


def test_every_fit_checks_what_was_sampled(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_prior = Mixture.log_prior
    monkeypatch.setattr(Mixture, "log_prior", lambda *args: 1.001 * log_prior(*args))
    with pytest.raises(mc.DensityError, match="where the model's differs by"):
        mc.fit(SPEC, table, backend="pymc", seed=1, draws=20, tune=50, chains=1)


def test_message_has_the_evidence(fit: mc.Fit) -> None:
    assert "2 chains of 300 draws" in fit.message
    assert "R-hat" in fit.message
    assert "divergent" in fit.message


def test_pymc_sampler_agrees(fit: mc.Fit, table: pd.DataFrame) -> None:
    own = mc.fit(SPEC, table, backend="pymc", seed=3, sampler="pymc", **SMALL)
    summary, expected = own.summary(), fit.summary()
    error = np.hypot(summary["mcse_mean"], expected["mcse_mean"])
    assert (np.abs(summary["mean"] - expected["mean"]) < 6 * error).all()
    assert {"lp", "diverging", "tree_depth", "energy", "step_size"} <= set(
        own.tree["sample_stats"].data_vars
    )


def test_sequential_monte_carlo_agrees_and_gives_the_evidence(
    fit: mc.Fit, table: pd.DataFrame
) -> None:
    own = mc.fit(SPEC, table, backend="pymc", seed=3, sampler="smc", draws=500, chains=2)
    summary, expected = own.summary(), fit.summary()
    assert (np.abs(summary["mean"] - expected["mean"]) < 0.5 * expected["sd"]).all()
    evidence = own.tree["sample_stats"]["log_marginal_likelihood"]
    assert evidence.dims == ("chain",)
    assert (np.abs(evidence - evidence.mean()) < 3).all()
    assert evidence.max() < own.log_likelihood
    assert "Log marginal likelihood" in own.message


def test_an_approximation_says_so(fit: mc.Fit, table: pd.DataFrame) -> None:
    own = mc.fit(SPEC, table, backend="pymc", seed=3, sampler="advi", draws=300)
    assert own.status == "approximate"
    summary, expected = own.summary(), fit.summary()
    assert (np.abs(summary["mean"] - expected["mean"]) < expected["sd"]).all()
    comparison = mc.compare(mc.fit(SPEC, table, starts=5), own)
    verdicts = comparison.verdicts.set_index("section")
    assert verdicts.loc["MCMC convergence", "reason"] == "draws from an approximation"
    assert verdicts.loc["estimates", "verdict"] != "agree"


def test_original_units_agree_with_the_models_deterministics(table: pd.DataFrame) -> None:
    """Draws are converted by NumPy, the model's Deterministics by PyTensor."""
    wide = table.assign(y2=np.sin(np.arange(len(table))) + table["y"], y3=table["x"] ** 2)
    wide["age"] = wide["unit"].str[1:].astype(float)
    spec = mc.MixtureSpec(
        "y + y2 + y3 ~ x",
        unit="unit",
        n_components=3,
        covariance_by="shared",
        common="~ x",
        membership="~ age",
    )
    problem = Problem.of(spec, mc.build_panel(spec, wide))
    model = build_model(problem)
    rng = np.random.default_rng(0)
    free = {
        "membership": rng.normal(size=(3, 2, 2)),
        "common_deviations": rng.normal(size=(3, 3)),
        "deviations": rng.normal(size=(3, 3, 3)),
        "precision_squares": rng.chisquare(4, size=(3, 1, 3)),
        "precision_below": rng.normal(size=(3, 1, 3)),
    }
    found = evaluate(build_mixture(problem), free, 3).parameters
    for i in range(3):
        values = {model[name]: value[i] for name, value in free.items()}
        for name, draws in found.items():
            expected = model[name].eval(values, on_unused_input="ignore", mode=PYTHON)
            np.testing.assert_allclose(draws[i], expected, rtol=1e-10)


def test_one_class_is_bayesian_regression() -> None:
    """Under a nearly flat prior of the coefficients the posterior is known in closed form."""
    rng = np.random.default_rng(3)
    n = 80
    x = rng.normal(size=n)
    noise = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    y = np.column_stack([1 + x, 2 - x]) + noise
    spec = mc.MixtureSpec(
        "a + b ~ x",
        n_components=1,
        priors=mc.Priors(coefficient_sd=1e4, covariance_df=5, covariance_scale=2.0),
    )
    table = pd.DataFrame({"x": x, "a": y[:, 0], "b": y[:, 1]})
    fit = mc.fit(spec, table, backend="pymc", seed=1, draws=1000, tune=500, chains=2)
    design = np.column_stack([np.ones(n), x])
    ols = np.linalg.solve(design.T @ design, design.T @ y)
    residual = y - design @ ols
    sigma = invwishart(5 + n - 2, 2 * np.eye(2) + residual.T @ residual)
    spread = np.kron(np.linalg.inv(design.T @ design), sigma.mean())
    lower = ([0, 1, 1], [0, 0, 1])
    summary = fit.summary().drop(index="weights[1]")
    mean = [*ols.ravel(), *np.asarray(sigma.mean())[lower]]
    sd = np.sqrt([*np.diag(spread), *np.asarray(sigma.var())[lower]])
    assert fit.status == "converged", fit.message
    assert (np.abs(summary["mean"] - mean) < 5 * summary["mcse_mean"]).all()
    np.testing.assert_allclose(summary["sd"], sd, rtol=0.1)
    assert (fit.responsibilities == 1).all()
