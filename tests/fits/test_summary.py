"""Intervals within their range, posterior summaries as ArviZ computes them."""

import arviz as az
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcompare.fits.summary import (
    convergence,
    summarise_estimate,
    summarise_posterior,
    wald_interval,
)
from mixcompare.model.layout import Layout, Names, Parameter
from mixcompare.model.spec import MixtureSpec

Z = 1.959963984540054
WEIGHT = Parameter("weights", ((0,),), 1, "weights[1]", "probability")
SLOPE = Parameter("coefficients", ((0, 0, 0),), 1, "coefficients[1, x]")
VARIANCE = Parameter("covariance", ((0, 0, 0),), 1, "covariance[1, y1, y1]", "positive")
COVARIANCE = Parameter("covariance", ((0, 0, 1), (0, 1, 0)), 1, "covariance[1, y2, y1]")


def interval(parameter: Parameter, estimate: float, error: float) -> tuple[float, float]:
    lower, upper = wald_interval([parameter], np.array([estimate]), np.array([error]))
    return float(lower[0]), float(upper[0])


def test_coefficients_and_covariances_are_symmetric() -> None:
    for parameter in (SLOPE, COVARIANCE):
        assert interval(parameter, -2.0, 0.5) == pytest.approx((-2 - Z / 2, -2 + Z / 2))


def test_weights_by_the_delta_method_on_the_logit() -> None:
    eta, error = np.log(0.2 / 0.8), 0.1 / (0.2 * 0.8)
    bounds = [1 / (1 + np.exp(-(eta + sign * Z * error))) for sign in (-1, 1)]
    assert interval(WEIGHT, 0.2, 0.1) == pytest.approx(bounds, rel=1e-12)


def test_variances_by_the_delta_method_on_the_logarithm() -> None:
    bounds = [4 * np.exp(sign * Z * 1.5 / 4) for sign in (-1, 1)]
    assert interval(VARIANCE, 4.0, 1.5) == pytest.approx(bounds, rel=1e-12)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0, 1))
def test_weights_stay_between_zero_and_one(weight: float, error: float) -> None:
    lower, upper = interval(WEIGHT, weight, error)
    assert 0 <= lower <= weight * (1 + 1e-9)
    assert weight * (1 - 1e-9) <= upper <= 1


@given(st.floats(1e-12, 1e12), st.floats(0, 1e3))
def test_variances_stay_positive(variance: float, relative_error: float) -> None:
    lower, upper = interval(VARIANCE, variance, relative_error * variance)
    assert 0 <= lower <= variance * (1 + 1e-9)
    assert upper >= variance * (1 - 1e-9)


def test_absent_standard_errors_give_absent_intervals() -> None:
    parameters = [WEIGHT, SLOPE, VARIANCE, COVARIANCE]
    table = summarise_estimate(parameters, np.array([1.0, 2, 3, 4]), np.full(4, np.nan))
    assert list(table.columns) == ["estimate", "se", "lower", "upper"]
    assert table.index.tolist() == [p.name for p in parameters]
    assert table["estimate"].tolist() == [1, 2, 3, 4]
    assert table[["se", "lower", "upper"]].isna().all(axis=None)


def test_the_inputs_are_not_changed() -> None:
    estimate, error = np.array([0.3]), np.array([0.1])
    wald_interval([WEIGHT], estimate, error)
    assert (estimate[0], error[0]) == (0.3, 0.1)


def sticky_draws() -> np.ndarray:
    """Autocorrelated chains, of which one has another mean; the last value is constant."""
    rng = np.random.default_rng(8)
    draws = rng.normal(size=(4, 200, 5)).cumsum(axis=1) * 0.1 + rng.normal(size=(4, 200, 5))
    draws[0, :, 1] += 1
    draws[..., 4] = 1.0
    return draws


def test_convergence_equals_arviz() -> None:
    draws = sticky_draws()
    found = convergence(draws)
    for i in range(4):
        values = draws[..., i]
        assert found["r_hat"][i] == pytest.approx(float(az.rhat(values)), rel=1e-12)
        assert found["ess_bulk"][i] == pytest.approx(float(az.ess(values)), rel=1e-12)
        tail = float(az.ess(values, method="tail", prob=(0.05, 0.95)))
        assert found["ess_tail"][i] == pytest.approx(tail, rel=1e-12)
        assert found["mcse_mean"][i] == pytest.approx(float(az.mcse(values)), rel=1e-12)
    assert found["r_hat"][1] > 1.05


def test_constant_quantities_are_nan_without_warnings() -> None:
    assert all(np.isnan(values[4]) for values in convergence(sticky_draws()).values())
    constant = convergence(np.ones((2, 10, 3)))
    assert all(np.isnan(values).all() for values in constant.values())


def test_posterior_summary() -> None:
    draws = sticky_draws()
    spec = MixtureSpec("y ~ x", n_components=1)
    parameters = Layout.of(spec, Names(("Intercept", "x", "w"), ("y",))).parameters
    table = summarise_posterior(parameters, draws)
    assert table.index.tolist() == [p.name for p in parameters]
    flat = draws.reshape(-1, 5)
    np.testing.assert_allclose(table["mean"], flat.mean(axis=0))
    np.testing.assert_allclose(table["median"], np.median(flat, axis=0))
    np.testing.assert_allclose(table["sd"], flat.std(axis=0, ddof=1), atol=1e-15)
    np.testing.assert_allclose(table["lower"], np.quantile(flat, 0.025, axis=0))
    np.testing.assert_allclose(table["upper"], np.quantile(flat, 0.975, axis=0))
    assert list(table.columns[5:]) == ["r_hat", "ess_bulk", "ess_tail", "mcse_mean"]
