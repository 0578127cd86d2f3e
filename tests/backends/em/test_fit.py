"""EM fits: closed forms, ascent, invariances, degenerate components, options."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcompare as mc
from mixcompare import labels
from mixcompare.backends.em import run
from mixcompare.backends.em.choice import group_optima
from mixcompare.backends.em.loop import iterate_together
from mixcompare.backends.em.mixture import Maximised, Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.stopping import remaining_gain
from mixcompare.prepared.problem import Problem
from tests.em_cases import STRUCTURES, build, changed, simulate

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)


# One component has closed forms.


def test_one_component_equals_least_squares() -> None:
    table = simulate(m=2, k=1, seed=1)
    spec = mc.MixtureSpec("y1 + y2 ~ x1 + x2", unit="unit", n_components=1)
    fit = mc.fit(spec, table, starts=1)
    x = sm.add_constant(table[["x1", "x2"]])
    residuals = []
    errors = fit.tree["standard_errors"].to_dataset()["coefficients"]
    for j, name in enumerate(["y1", "y2"]):
        ols = sm.OLS(table[name], x).fit()
        residuals.append(ols.resid)
        np.testing.assert_allclose(fit.coefficients.to_numpy()[0, :, j], ols.params, rtol=1e-9)
        # ML divides by n, OLS by n - p.
        np.testing.assert_allclose(
            errors.to_numpy()[0, :, j],
            ols.bse * np.sqrt(ols.df_resid / ols.nobs),
            rtol=1e-9,
        )
    np.testing.assert_allclose(
        fit.covariance.to_numpy()[0], np.cov(np.stack(residuals), bias=True), rtol=1e-9
    )
    single = mc.fit(mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=1), table, starts=1)
    assert single.log_likelihood == pytest.approx(sm.OLS(table["y1"], x).fit().llf, rel=1e-12)
    assert float(single.weights[0]) == 1.0
    assert float(single.tree["standard_errors"].to_dataset()["weights"][0]) == 0.0


def test_one_component_with_absorbed_effects_equals_the_within_estimator() -> None:
    table = simulate(k=1, seed=2, units=20)
    spec = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", absorb="unit:cell", n_components=1)
    fit = mc.fit(spec, table, starts=1)
    cell = table["unit"].astype(str) + ":" + table["cell"].astype(str)
    dummies = pd.get_dummies(cell, dtype=float)
    ols = sm.OLS(table["y1"], pd.concat([table[["x1", "x2"]], dummies], axis=1)).fit()
    np.testing.assert_allclose(fit.coefficients.to_numpy()[0, :, 0], ols.params[:2], rtol=1e-8)
    left = len(table) - dummies.shape[1]
    assert float(fit.covariance[0, 0, 0]) == pytest.approx(ols.ssr / left, rel=1e-9)
    expected = -0.5 * left * (np.log(2 * np.pi * ols.ssr / left) + 1)
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-10)


# Ascent.


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    structure=st.sampled_from(STRUCTURES),
    m=st.integers(1, 3),
    k=st.integers(1, 4),
    absorb=st.booleans(),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    tail=st.sampled_from([1.0, 30.0]),
)
def test_log_likelihood_never_falls(
    seed: int, structure: tuple[str, str], m: int, k: int, absorb: bool, scale: float, tail: float
) -> None:
    case = build(*structure, m=m, k=k, absorb=absorb, seed=seed)
    rng = np.random.default_rng(seed)
    noisy = replace(
        case.prepared,
        factor=case.prepared.factor
        * np.where(rng.random((case.prepared.n_units, 1, 1)) < 0.1, tail, 1.0)
        * np.append(np.ones(2 + (not absorb)), np.full(m, scale)),
    )
    problem = Problem(case.spec, case.panel, noisy)
    try:
        result = run(problem, Options(starts=4), np.random.SeedSequence(seed))
    except mc.DegenerateFitError:
        return
    assert result.search is not None
    paths = result.search.log_likelihood_history
    size = np.nanmax(np.abs(paths)) + case.prepared.total_degrees_of_freedom * m
    assert np.nanmin(np.diff(paths, axis=1), initial=0.0) >= -1e-12 * size
    assert "ascent violated" not in result.search.ends["status"]


def test_a_fall_is_an_error_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty M-step is caught at its first fall and the fit before it is kept."""
    case = build(seed=3)
    exact = Mixture.m_step
    calls = []

    def faulty(*arguments: Any) -> Maximised:
        calls.append(1)
        good = exact(*arguments)
        covariance = good.theta.blocks["covariance"].copy()
        if len(calls) == 5:
            covariance[1] *= 4
        return good._replace(theta=changed(good.theta, covariance=covariance))

    tau = np.random.default_rng(0).dirichlet([0.2, 0.2], size=(3, case.data.shape[0]))
    first, _, last = iterate_together(case.model, tau, Options())
    monkeypatch.setattr(Mixture, "m_step", faulty)
    one, ended, other = iterate_together(case.model, tau, Options())
    assert ended.status == "ascent violated"
    assert ended.message.startswith("iteration 5 lowered the log-likelihood by ")
    assert len(ended.log_likelihood) == 4
    assert not ended.usable
    np.testing.assert_array_equal(one.log_likelihood, first.log_likelihood)
    np.testing.assert_array_equal(other.log_likelihood, last.log_likelihood)


def test_remaining_gain_is_exact_for_a_geometric_sequence() -> None:
    path = [10 - 0.9**i for i in range(6)]
    assert float(remaining_gain(np.array(path[-3:]))) == pytest.approx(10 - path[-1], rel=1e-9)


# Invariances.


def best(table: pd.DataFrame, spec: mc.MixtureSpec = SPEC, **options: Any) -> mc.Fit:
    return mc.fit(spec, table, **({"starts": 8, "seed": 3} | options))


def test_row_order_does_not_matter() -> None:
    table = simulate(seed=7)
    first, second = best(table), best(table.sample(frac=1, random_state=1))
    assert second.log_likelihood == first.log_likelihood
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.responsibilities, first.responsibilities)


def test_renumbered_start_gives_the_same_fit() -> None:
    table = simulate(seed=7)
    fit = best(table)
    start = {
        name: getattr(fit, name).to_numpy()[::-1]
        for name in ("weights", "coefficients", "covariance")
    }
    again = best(table, starts=0, initial=start)
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(again.weights, fit.weights, rtol=1e-6)
    assert again.weights.to_numpy()[0] >= again.weights.to_numpy()[1]


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_rescaling_the_outcome(factor: float) -> None:
    table = simulate(seed=7)
    first, second = best(table), best(table.assign(y1=table["y1"] * factor))
    rows = len(table)
    assert second.log_likelihood + rows * np.log(factor) == pytest.approx(
        first.log_likelihood, rel=1e-10
    )
    np.testing.assert_allclose(second.coefficients, first.coefficients * factor, rtol=1e-5)
    for name, power in (("coefficients", 1), ("covariance", 2)):
        np.testing.assert_allclose(
            second.tree["standard_errors"][name],
            first.tree["standard_errors"][name] * factor**power,
            rtol=1e-5,
        )


def test_calendar_year_and_its_square() -> None:
    """The raw year gives the fit of the centred one: the models are the same."""
    table = simulate(seed=7).assign(t=lambda d: d.groupby("unit").cumcount().astype(float))
    table["year"] = 1990 + table["t"]
    table["y1"] += 0.3 * table["t"] ** 2
    centred = best(table, SPEC.but(formula="y1 ~ t + I(t**2)"))
    with pytest.warns(mc.DataWarning, match="nearly collinear"):  # a few years, far from zero
        raw = best(table, SPEC.but(formula="y1 ~ year + I(year**2)"))
    assert raw.log_likelihood == pytest.approx(centred.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(
        raw.coefficients.sel(covariate="I(year ** 2)"),
        centred.coefficients.sel(covariate="I(t ** 2)"),
        rtol=1e-4,
    )
    assert raw.tree["standard_errors"].attrs["reason"] == ""


def test_classes_a_million_standard_deviations_apart() -> None:
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.normal(size=40), 1e6 + 2 * rng.normal(size=60)])
    fit = mc.fit(mc.MixtureSpec("y ~ 1", n_components=2), {"y": y}, starts=8, seed=1)
    parts = (y[40:], y[:40])
    np.testing.assert_allclose(fit.weights, [0.6, 0.4], rtol=1e-12)
    np.testing.assert_allclose(
        fit.coefficients.to_numpy().ravel(), [p.mean() for p in parts], atol=1e-8
    )
    np.testing.assert_allclose(
        fit.covariance.to_numpy().ravel(), [p.var() for p in parts], rtol=1e-8
    )


# Starts.


def test_same_seed_same_fit_and_first_starts_do_not_depend_on_their_number() -> None:
    table = simulate(seed=8)
    few, many, again = (best(table, starts=n) for n in (6, 12, 12))
    np.testing.assert_array_equal(
        many.tree["starts"]["log_likelihood"], again.tree["starts"]["log_likelihood"]
    )
    np.testing.assert_array_equal(
        many.tree["starts"]["log_likelihood"].to_numpy()[:6], few.tree["starts"]["log_likelihood"]
    )
    other = best(table, starts=12, seed=4)
    assert not np.array_equal(other.tree["starts"]["iterations"], many.tree["starts"]["iterations"])


def test_starts_are_kept_aligned_to_the_best() -> None:
    fit = best(simulate(seed=8, units=60), starts=12)
    starts = fit.tree["starts"].to_dataset()
    assert set(starts["kind"].to_numpy()) == {"kmeans", "random", "elemental", "perturbed"}
    assert starts.sizes["start"] == 12
    same = starts.isel(start=np.flatnonzero(starts["optimum"].to_numpy() == 0))
    for name in ("weights", "coefficients", "covariance"):
        own = getattr(fit, name)
        np.testing.assert_allclose(same[name], own.broadcast_like(same[name]), rtol=1e-3, atol=1e-3)
    paths = starts["log_likelihood_history"].to_numpy()
    ends = paths[range(12), starts["iterations"].to_numpy() - 1]
    np.testing.assert_array_equal(ends, starts["log_likelihood"])
    history = fit.tree["history"].to_dataset()
    assert float(history["log_likelihood"][-1]) == pytest.approx(fit.log_likelihood, rel=1e-13)
    np.testing.assert_allclose(history["weights"][-1], fit.weights)
    assert np.all(np.diff(fit.weights) <= 0)


def test_users_own_starts() -> None:
    table = simulate(seed=8)
    fit = best(table)
    classes = fit.responsibilities.to_numpy().argmax(axis=1)
    for initial in (fit, classes, fit.responsibilities.to_numpy()):
        again = best(table, starts=0, initial=initial)
        assert list(again.tree["starts"]["kind"].to_numpy()) == ["user"]
        assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"starts": 0}, "starts must be a whole number of at least 1"),
        ({"starts": 2.5}, "not 2.5"),
        ({"kinds": ("kmean",)}, "unknown kind of start 'kmean'"),
        ({"tolerance": 0}, "tolerance must be between 0 and 1"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"start": 3}, "has no option 'start'; it has: estimator, starts"),
        ({"initial": np.zeros(3, dtype=int)}, "not an array of shape (3,)"),
        ({"initial": np.full(30, 2)}, "initial classes must lie in 0..1"),
        ({"initial": np.full((30, 2), 0.7)}, "must sum to 1"),
        ({"initial": {"weights": [1, 1]}}, "initial parameters must be weights, coefficients"),
        (
            {"initial": {"weights": [1, 1], "coefficients": np.ones((2, 2, 1)), "covariance": 1}},
            "initial coefficients must have shape (2, 3, 1)",
        ),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(mc.OptionError) as raised:
        best(simulate(seed=8), **options)
    assert words in str(raised.value)


def test_iteration_limit_is_said_and_standard_errors_are_withheld() -> None:
    fit = best(simulate(seed=8), starts=2, max_iterations=3, kinds="kmeans")
    assert fit.status == "iteration limit"
    assert "standard errors from zero" in fit.tree["standard_errors"].attrs["reason"]
    assert np.isnan(fit.summary()["se"]).all()


def test_optima_are_numbered_from_the_best() -> None:
    values = np.array([-100.0, -90.0, -np.inf, -90.0 - 1e-9, -95.0])
    np.testing.assert_array_equal(group_optima(values), [2, 0, -1, 0, 1])


# Degenerate components.


def test_degenerate_starts_are_marked_and_the_others_go_on() -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=12), rng.normal(6, 1, size=12)])
    fit = mc.fit(mc.MixtureSpec("y ~ 1", n_components=3), {"y": y}, starts=60, seed=2)
    starts = fit.tree["starts"].to_dataset()
    degenerate = starts["status"].to_numpy() == "degenerate"
    assert degenerate.any()
    assert not degenerate.all()
    assert np.all(starts["optimum"].to_numpy()[degenerate] == -1)
    assert np.isfinite(fit.log_likelihood)
    assert all("component" in m for m in starts["message"].to_numpy()[degenerate])


def test_all_starts_degenerate_is_an_error_that_explains() -> None:
    y = np.repeat([0.0, 1.0, 5.0], 6)
    with pytest.raises(mc.DegenerateFitError, match="unbounded") as raised:
        mc.fit(mc.MixtureSpec("y ~ 1", n_components=3), {"y": y}, starts=8)
    assert "covariance_by='shared'" in str(raised.value)
    assert "collapsed" in str(raised.value) or "emptied" in str(raised.value)


def test_perfect_fit_within_a_class_is_degenerate() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = np.where(np.arange(60) < 30, 1 + 2 * x, -5 + rng.normal(size=60))
    spec = mc.MixtureSpec("y ~ x", n_components=2)
    with pytest.raises(mc.DegenerateFitError, match="collapsed"):
        mc.fit(spec, {"x": x, "y": y}, starts=0, initial=(np.arange(60) < 30).astype(int))


# Recovery.


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_recovers_the_truth(covariance: str, by: str) -> None:
    """Every parameter within 4.5 standard errors of what made the data."""
    rng = np.random.default_rng(12)
    units, rows, m = 400, 6, 2
    root = np.array([[1.0, 0.0], [0.6, 0.8]])
    sigma = {"full": root @ root.T, "diagonal": np.diag([1.0, 0.3]), "spherical": np.eye(m)}
    sizes = [1.0, 2.0] if by == "component" else [1.0, 1.0]
    truth = {
        "weights": np.array([0.65, 0.35]),
        "coefficients": np.array([[[1.0, 0.0], [0.5, -1.0]], [[-1.0, 1.0], [2.0, 0.0]]]),
        "covariance": np.stack([sigma[covariance] * s for s in sizes]),
    }
    classes = rng.choice(2, p=truth["weights"], size=units)
    unit = np.repeat(np.arange(units), rows)
    x = rng.normal(size=unit.size)
    z = classes[unit]
    noise = np.einsum(
        "nij,nj->ni", np.linalg.cholesky(truth["covariance"])[z], rng.normal(size=(unit.size, m))
    )
    mean = truth["coefficients"][z, 0] + truth["coefficients"][z, 1] * x[:, None]
    table = {"unit": unit, "x": x, "y1": (mean + noise)[:, 0], "y2": (mean + noise)[:, 1]}
    spec = mc.MixtureSpec(
        "y1 + y2 ~ x",
        unit="unit",
        n_components=2,
        covariance=covariance,  # type: ignore[arg-type]
        covariance_by=by,  # type: ignore[arg-type]
    )
    fit = mc.fit(spec, table, starts=8, seed=1)
    permutation = labels.align_to_reference(fit.responsibilities.to_numpy(), np.eye(2)[classes])
    errors = fit.tree["standard_errors"].to_dataset()
    for name, expected in truth.items():
        own = getattr(fit, name).to_numpy()[permutation]
        allowed = 4.5 * errors[name].to_numpy()[permutation]
        assert np.all(np.abs(own - expected) <= allowed + 1e-12), name


@pytest.mark.slow
def test_intervals_cover_at_the_nominal_rate() -> None:
    """300 replicates: 95 % intervals cover within Monte Carlo error (3 standard errors)."""
    replicates, covered = 300, []
    for r in range(replicates):
        rng = np.random.default_rng([99, r])
        unit = np.repeat(np.arange(150), 5)
        z = (rng.random(150) < 0.4).astype(int)[unit]
        x = rng.normal(size=unit.size)
        y = np.where(z == 1, 2 + x, -1 - x) + rng.normal(size=unit.size)
        spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, covariance_by="shared")
        table = mc.fit(spec, {"unit": unit, "x": x, "y": y}, starts=4, seed=r).summary()
        truth = np.array([0.6, 0.4, -1, -1, 2, 1, 1])
        covered.append((table["lower"] <= truth) & (truth <= table["upper"]))
    rate = np.mean(covered, axis=0)
    assert np.all(np.abs(rate - 0.95) <= 3 * np.sqrt(0.95 * 0.05 / replicates)), rate


def test_a_panel_of_another_model_is_refused() -> None:
    panel = mc.build_panel(SPEC, simulate(seed=8))
    assert mc.fit(SPEC, panel, starts=2).status == "converged"
    with pytest.raises(mc.DataError, match="built for"):
        mc.fit(SPEC.but(formula="y1 ~ x1"), panel)
