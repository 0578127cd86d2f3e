"""Membership covariates that separate classes: found, named, and their errors withheld."""

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc

SPEC = mc.MixtureSpec("y ~ 1", unit="id", n_components=2, membership="~ x")


def panel(classes: np.ndarray, **unit_columns: np.ndarray) -> pd.DataFrame:
    """Six rows a unit, whose means are ten standard deviations apart by class."""
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(len(classes)), 6)
    y = 10.0 * classes[unit] + rng.normal(size=len(unit))
    return pd.DataFrame({"id": unit, "y": y, **{n: v[unit] for n, v in unit_columns.items()}})


def half_separated() -> pd.DataFrame:
    """Class 2 has 12 of the 40 units with x = 0 and none of the 20 with x = 1."""
    x = np.repeat([0.0, 1.0], [40, 20])
    return panel((np.arange(60) < 12).astype(int), x=x)


def errors(fit: mc.Fit) -> pd.Series:
    return fit.summary()["se"]


def test_a_class_that_one_group_never_has() -> None:
    fit = mc.fit(SPEC, half_separated(), starts=10, seed=1)
    assert fit.status == "separated"
    (caution,) = fit.cautions
    assert "'x' in class 2" in caution
    assert "'Intercept'" not in caution
    assert "20 units" in caution
    assert "estimator='map'" in caution
    se = errors(fit)
    assert list(se.index[se.isna()]) == ["membership[2, x]"]
    # Classes are certain, so that the log-odds where x = 0 are those of 12 against 28.
    assert se["membership[2, Intercept]"] == pytest.approx(np.sqrt(1 / 12 + 1 / 28), rel=1e-6)
    estimate = fit.summary()["estimate"]
    assert estimate["membership[2, Intercept]"] == pytest.approx(np.log(12 / 28), abs=1e-6)
    plain = mc.fit(mc.MixtureSpec("y ~ 1", unit="id", n_components=2), half_separated(), starts=10)
    for name in ("coefficients[1, Intercept]", "covariance[2]"):
        assert se[name] == pytest.approx(errors(plain)[name], rel=1e-6)


def test_weights_have_their_errors_of_the_limit() -> None:
    """The average probability is 40/60 of the first group's, whose variance is p q / 40."""
    se = errors(mc.fit(SPEC, half_separated(), starts=10, seed=1))
    p = 12 / 40
    assert se["weights[2]"] == pytest.approx(40 / 60 * np.sqrt(p * (1 - p) / 40), rel=1e-6)


@pytest.mark.parametrize("method", ["observed", "sandwich"])
def test_a_line_that_separates_leaves_no_odds_with_an_error(method: str) -> None:
    x = np.linspace(-1, 1, 60)
    fit = mc.fit(SPEC, panel((x > 0.2).astype(int), x=x), starts=10, seed=1, standard_errors=method)
    assert fit.status == "separated"
    assert "'Intercept' in class 2" in fit.cautions[0]
    missing = errors(fit).isna()
    assert set(missing.index[missing]) == {"membership[2, Intercept]", "membership[2, x]"}


@pytest.mark.parametrize("membership", ["~ z", "~ z * w", "~ z + x"])
def test_every_unit_that_is_separated_is_counted(membership: str) -> None:
    """Level c is one class, a and b are the other: all 60 units are certain in the limit."""
    w = np.random.default_rng(2).normal(size=60)
    z = np.repeat(["a", "b", "c"], [12, 13, 35])
    table = panel((z != "c").astype(int), w=w, x=np.arange(60.0), z=z)
    spec = mc.MixtureSpec("y ~ 1", unit="id", n_components=2, membership=membership)
    fit = mc.fit(spec, table, starts=4, seed=1)
    assert fit.status == "separated"
    assert "where 60 units have" in fit.cautions[0]
    odds = errors(fit).filter(like="membership")
    assert odds.isna().all()


def test_so_they_do_whatever_the_scale_and_order_of_the_data() -> None:
    table = half_separated()
    other = table.assign(x=1e6 + 1e-3 * table["x"]).sample(frac=1, random_state=0)
    fit = mc.fit(SPEC, other, starts=10, seed=1)
    assert fit.status == "separated"
    # Far from zero the constant and the covariate run off together.
    missing = errors(fit).isna()
    assert set(missing.index[missing]) == {"membership[2, Intercept]", "membership[2, x]"}


def test_one_of_three_classes_and_one_of_two_covariates() -> None:
    rng = np.random.default_rng(3)
    group = np.repeat([0.0, 1.0], [90, 60])
    age = rng.normal(size=150)
    classes = np.where(group == 0, rng.integers(0, 3, 150), rng.integers(0, 2, 150))
    spec = mc.MixtureSpec("y ~ 1", unit="id", n_components=3, membership="~ group + age")
    fit = mc.fit(spec, panel(classes, group=group, age=age), starts=20, seed=1)
    assert fit.status == "separated"
    missing = errors(fit).isna()
    (name,) = missing.index[missing]
    assert name.startswith("membership[")
    assert name.endswith("group]")


@pytest.mark.parametrize("slope", [3.0, 12.0])
def test_steep_log_odds_with_a_maximum_are_not_separated(slope: float) -> None:
    """Classes overlap along x by a few units, although most probabilities are below 1e-6."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    classes = (rng.random(400) < 1 / (1 + np.exp(-slope * x))).astype(int)
    fit = mc.fit(SPEC, panel(classes, x=x), starts=10, seed=1)
    assert fit.status == "converged"
    assert not fit.cautions
    assert errors(fit).notna().all()


def test_the_mode_of_the_posterior_is_finite() -> None:
    fit = mc.fit(SPEC, half_separated(), starts=10, seed=1, estimator="map")
    assert fit.status == "converged"
    assert not fit.cautions
    assert abs(fit.summary()["estimate"]["membership[2, x]"]) < 10
    assert errors(fit).notna().all()


def test_functions_of_log_odds_that_run_off_have_no_error() -> None:
    fit = mc.fit(SPEC, half_separated(), starts=10, seed=1)
    odds = "membership_coefficients"
    ratio = mc.delta_method(fit, lambda p: p[odds][1])
    assert np.isfinite(ratio["se"][0])
    assert np.isnan(ratio["se"][1])
    gap = mc.delta_method(fit, lambda p: p["coefficients"][1, 0, 0] - p["coefficients"][0, 0, 0])
    assert np.isfinite(gap["se"]).all()
