"""Simulation from known parameters and the bootstrap built on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.em.bootstrap import bootstrap
from mixcompare.model.layout import COMPONENT, flatten
from mixcompare.simulate.outcomes import simulate
from tests.em_cases import build, random_parameters
from tests.em_cases import simulate as table
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def fit() -> mc.Fit:
    return mc.fit(SPEC, table(units=100, rows=(4, 8), seed=5), starts=8, seed=1)


def test_simulated_rows_have_the_moments_of_their_class() -> None:
    case = build(m=2, k=3, units=4000, seed=1)
    own = SimpleNamespace(**random_parameters(case, seed=2).blocks)
    at = random_parameters(case, seed=2).blocks
    drawn, classes = simulate(case.spec, case.panel, at, np.random.default_rng(3))
    share = np.bincount(classes, minlength=3) / 4000
    np.testing.assert_allclose(share, own.weights, atol=4 * np.sqrt(0.25 / 4000))
    for k in range(3):
        rows = classes[drawn.unit] == k
        rest = drawn.outcomes[rows] - drawn.covariates[rows] @ own.coefficients[k]
        scale = np.sqrt(np.diag(own.covariance[k]))
        np.testing.assert_allclose(rest.mean(axis=0) / scale, 0, atol=4 / np.sqrt(rows.sum()))
        np.testing.assert_allclose(
            np.cov(rest.T, bias=True) / np.outer(scale, scale),
            own.covariance[k] / np.outer(scale, scale),
            atol=6 / np.sqrt(rows.sum()),
        )
    np.testing.assert_array_equal(drawn.covariates, case.panel.covariates)


def test_simulation_refuses_shapes_that_do_not_fit() -> None:
    case = build(m=2, k=2)
    half, by_class, one = np.ones(2) / 2, np.ones((2, 3, 2)), np.stack([np.eye(2)] * 2)
    rng = np.random.default_rng(0)
    for weights, coefficients, covariance in (
        (half, np.ones((2, 3, 1)), np.ones((2, 1, 1))),
        (half, by_class[:, :2], one),
        (half, by_class, one[:, :1, :1]),
        (np.array([0.0, 0.0, 1.0]), by_class, one),
    ):
        at = {"weights": weights, "coefficients": coefficients, "covariance": covariance}
        with pytest.raises(mc.DataError, match="shape"):
            simulate(case.spec, case.panel, at, rng)


@pytest.mark.parametrize("kind", ["units", "parametric"])
def test_bootstrap_standard_errors_equal_louis_within_monte_carlo_error(
    fit: mc.Fit, kind: Any
) -> None:
    drawn = bootstrap(fit, replicates=200, kind=kind, seed=1)
    group = drawn.tree["bootstrap"].to_dataset()
    assert group.attrs["failures"] == 0
    values = flatten(group, fit.parameters)[0]
    ratio = values.std(axis=0, ddof=1) / fit.summary()["se"].to_numpy()
    # Relative Monte Carlo error of a standard deviation is 1/sqrt(2 * 200) = 5 %; the units'
    # own sampling adds to it for resampled units.
    assert np.all(np.abs(ratio - 1) < (0.2 if kind == "parametric" else 0.4)), ratio
    bias = (values.mean(axis=0) - fit.summary()["estimate"]) / fit.summary()["se"]
    assert np.all(np.abs(bias) < 0.4)


def test_replicates_are_aligned_to_the_estimate(fit: mc.Fit) -> None:
    group = bootstrap(fit, replicates=30, seed=2).tree["bootstrap"].to_dataset()
    slopes = group["coefficients"].sel(covariate="x1", outcome="y1")
    own = fit.coefficients.sel(covariate="x1", outcome="y1")
    distance = np.abs(slopes.to_numpy()[0, :, :, None] - own.to_numpy())
    np.testing.assert_array_equal(distance.argmin(axis=-1), np.tile([0, 1], (30, 1)))


def test_same_seed_same_replicates_whatever_their_number(fit: mc.Fit, tmp_path: Path) -> None:
    few, many = (bootstrap(fit, replicates=n, seed=7) for n in (5, 10))
    first, second = (f.tree["bootstrap"].to_dataset()["weights"].to_numpy() for f in (few, many))
    np.testing.assert_array_equal(first, second[:, :5])
    again = mc.load(few.save(tmp_path / "fit.nc"))
    assert again.tree.identical(few.tree)
    assert "bootstrap" not in fit.tree.children


def test_failed_replicates_are_counted() -> None:
    """Two units carry a class: resamples without them leave it empty."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(20), 4)
    y = np.where(unit < 2, 30.0, 0.0) + rng.normal(size=80)
    fit = mc.fit(mc.MixtureSpec("y ~ 1", unit="unit", n_components=2), {"unit": unit, "y": y})
    group = bootstrap(fit, replicates=60, seed=1).tree["bootstrap"].to_dataset()
    assert 0 < group.attrs["failures"] < 60
    assert group.sizes["draw"] == 60 - group.attrs["failures"]
    assert "component" in group.attrs["reasons"]


def test_what_cannot_be_bootstrapped_is_refused(fit: mc.Fit) -> None:
    with pytest.raises(mc.DataError, match="backend='em'"):
        bootstrap(stand_in(fit, draws=10))
    with pytest.raises(mc.OptionError, match="kind must be one of"):
        bootstrap(fit, kind="rows")  # type: ignore[arg-type]
    with pytest.raises(mc.OptionError, match="replicates"):
        bootstrap(fit, replicates=0)


def test_absorbed_effects_and_several_outcomes() -> None:
    spec = SPEC.but(formula="y1 + y2 ~ x1 + x2", absorb="unit:cell", covariance="diagonal")
    fit = mc.fit(spec, table(m=2, units=60, rows=(5, 9), seed=3), starts=8, seed=1)
    for kind in ("units", "parametric"):
        group = bootstrap(fit, replicates=10, kind=kind).tree["bootstrap"].to_dataset()
        assert group["covariance"].dims == ("chain", "draw", COMPONENT, "outcome", "outcome_bis")
        assert float(group["covariance"][0, 0, 0, 0, 1]) == 0.0
