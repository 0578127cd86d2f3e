"""Cross-validation by unit: importance weights, and exact refits where they fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import invgamma, norm

import mixcompare as mc
from mixcompare.backends import pymc as pymc_backend
from mixcompare.checking.leave_one_out import HIGH_PARETO_K, REFIT, leave_one_out
from mixcompare.fits.result import Draws, Result
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import resolve_priors
from tests.scored import blocks
from tests.stand_in_posterior import drawn_result, stand_in

# One mean and one variance, whose posterior a grid knows.
SPEC = mc.MixtureSpec("y ~ 1", unit="unit", n_components=1)
LABELS = np.array([f"u{i}" for i in range(12)])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Twelve units of two rows, of which the last lies far out."""
    y = norm.ppf((np.arange(24) + 0.5) / 24)
    rng = np.random.default_rng(0)
    rng.shuffle(y)
    y[-2:] += 5
    return pd.DataFrame({"unit": np.repeat(LABELS, 2), "y": y})


class Grid:
    """The exact posterior of a mean and a variance, and draws from it."""

    resolution = 601, 501

    def __init__(self, spec: MixtureSpec, prepared: PreparedPanel) -> None:
        priors = resolve_priors(spec, prepared)
        n = int(prepared.degrees_of_freedom.sum())
        rows = prepared.pooled_rows
        self.mean = np.linspace(-4, 8, self.resolution[0])
        self.variance = np.exp(np.linspace(-2, 5, self.resolution[1]))
        mu, v = self.mean[:, None], self.variance
        squares = sum((y - mu * x) ** 2 for x, y in rows)
        density = -0.5 * n * np.log(2 * np.pi * v) - 0.5 * squares / v
        density += norm(priors.coefficient_mean.item(), priors.coefficient_sd.item()).logpdf(mu)
        a, b = priors.covariance_df / 2, priors.covariance_scale.item() / 2
        density += invgamma(a, scale=b).logpdf(v) + np.log(v)  # a grid in log v
        self.log_weight = density - logsumexp(density)

    def log_predictive(self, y: np.ndarray, copies: float = 1.0) -> float:
        """Exact log density of further rows."""
        mu, v = self.mean[:, None], self.variance
        each = sum(norm(mu, np.sqrt(v)).logpdf(value) for value in y)
        return float(logsumexp(self.log_weight + copies * each))

    def draw(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        flat = rng.choice(self.log_weight.size, size, p=np.exp(self.log_weight).ravel())
        i, j = np.unravel_index(flat, self.log_weight.shape)
        return self.mean[i], self.variance[j]


def sampled(spec: MixtureSpec, prepared: PreparedPanel, seed: Any) -> Draws:
    """Posterior draws as the backend hands them back."""
    mean, variance = Grid(spec, prepared).draw(4000, np.random.default_rng(seed))
    parameters = {
        "weights": np.ones((4, 1000, 1)),
        "coefficients": mean.reshape(4, 1000, 1, 1, 1),
        "covariance": variance.reshape(4, 1000, 1, 1, 1),
    }
    same = np.zeros((4, 1000, 1), dtype=np.intp)
    return Draws(parameters, np.ones((4, 1000, prepared.n_units, 1)), {}, same, {})


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame) -> mc.Fit:
    return exact_fit(SPEC, table)


def exact_fit(spec: MixtureSpec, table: pd.DataFrame) -> mc.Fit:
    em = mc.fit(spec, table, starts=1, seed=0, progress=False)
    tree = stand_in(em, draws=1000, chains=4).tree.copy()
    drawn = sampled(spec, em.problem.factors, 5).parameters
    mean, variance = drawn["coefficients"], drawn["covariance"]
    by_row = norm(mean[..., 0, 0], np.sqrt(variance[..., 0, 0])).logpdf(em.panel.outcomes[:, 0])
    by_unit = np.add.reduceat(by_row, np.arange(0, by_row.shape[-1], 2), axis=-1)
    own = tree["log_likelihood"].to_dataset()
    outcomes = own["outcomes"].copy(data=by_unit * em.replicated)
    tree["log_likelihood"] = xr.DataTree(own.assign(outcomes=outcomes))
    for group in ("posterior", "posterior_as_sampled"):  # one class has one label
        tree[group] = xr.DataTree(tree[group].to_dataset().copy(data=drawn))
    return mc.Fit(tree)


@pytest.fixture
def grid_sampler(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    """Refits take draws from the grid; the problems that were refitted."""
    seen: list[Problem] = []

    def run(problem: Problem, options: Any, seed: Any) -> Result:
        assert options.progress is False
        seen.append(problem)
        draws = sampled(problem.spec, problem.factors, seed)
        nothing = np.zeros((4, 1000, problem.prepared.n_units))
        return drawn_result(problem.layout, draws, nothing)

    monkeypatch.setattr(pymc_backend, "run", run)
    return seen


def exact(spec: MixtureSpec, table: pd.DataFrame, label: str, copies: float = 1.0) -> float:
    problem = Problem.of(spec, mc.build_panel(spec, table)).with_fixed_priors()
    rest = problem.without_unit(problem.panel.unit_labels.tolist().index(label))
    y = table.loc[table["unit"] == label, "y"].to_numpy()
    return Grid(rest.spec, rest.factors).log_predictive(y, copies)


def test_importance_weights_agree_with_the_grid_where_k_is_low(
    fit: mc.Fit, table: pd.DataFrame
) -> None:
    found = leave_one_out(fit)
    assert sorted(found.units.index) == sorted(LABELS)
    assert found.high.index.tolist() == ["u11"]
    assert found.unresolved == 1
    assert "none of them refitted" in found.sentence
    low = found.units[found.units["pareto_k"] < 0.5]
    assert len(low) >= 9
    expected = [exact(SPEC, table, str(label)) for label in low.index]
    np.testing.assert_allclose(low["elpd"], expected, atol=0.03)
    assert found.elpd == pytest.approx(found.units["elpd"].sum())
    assert found.se == pytest.approx(np.sqrt(12) * np.std(found.units["elpd"], ddof=1))


def test_a_refit_is_exact_where_importance_weights_fail(
    fit: mc.Fit, table: pd.DataFrame, grid_sampler: list[Problem]
) -> None:
    before, after = leave_one_out(fit), leave_one_out(fit, refit=2, seed=1)
    assert len(grid_sampler) == 1
    expected = exact(SPEC, table, "u11")
    found = after.units.loc["u11"].to_dict()
    assert found["remedy"] == REFIT
    assert found["pareto_k"] > HIGH_PARETO_K
    assert found["elpd"] == pytest.approx(expected, abs=4 * found["mcse"])
    assert 0 < found["mcse"] < 0.2
    assert abs(float(before.units["elpd"]["u11"]) - expected) > 2 * abs(found["elpd"] - expected)
    gained = after.units["p"] + after.units["elpd"]
    pd.testing.assert_series_equal(gained, before.units["p"] + before.units["elpd"])
    assert after.unresolved == 0
    assert "1 of them refitted exactly" in after.sentence


def test_too_many_units_are_not_refitted(fit: mc.Fit, grid_sampler: list[Problem]) -> None:
    assert leave_one_out(fit, refit=0).unresolved == 1
    assert not grid_sampler


def test_a_weighted_unit_leaves_with_all_its_copies(
    table: pd.DataFrame, grid_sampler: list[Problem]
) -> None:
    spec = mc.MixtureSpec("y ~ 1", unit="unit", n_components=1, unit_weights="w")
    weighted = table.assign(w=np.where(table["unit"] == "u11", 2.0, 1.0))
    found = leave_one_out(exact_fit(spec, weighted), refit=3, seed=1).units
    assert found["weight"]["u11"] == 2.0
    assert found["remedy"]["u11"] == REFIT
    expected = exact(spec, weighted, "u11", copies=2.0)
    assert float(found["elpd"]["u11"]) == pytest.approx(expected, rel=0.1)


def test_a_unit_without_rows_says_nothing(table: pd.DataFrame) -> None:
    problem = Problem.of(SPEC, mc.build_panel(SPEC, table)).with_fixed_priors()
    rest, prepared = problem.without_unit(3), problem.factors
    assert rest.factors.total_degrees_of_freedom == 22
    assert not rest.factors.factor[3].any()
    assert rest.factors.factor.shape == prepared.factor.shape
    only = problem.only_unit(3)
    np.testing.assert_array_equal(only.factors.factor[0], prepared.factor[3])
    others = mc.build_panel(SPEC, table[table["unit"] != prepared.unit_labels[3]])
    at = blocks(np.ones(1), np.full((1, 1, 1), 0.3), np.full((1, 1, 1), 1.7))
    scorer = pymc_backend.scorer(rest)
    by_unit = scorer.unit_log_likelihood(at)[0]
    assert by_unit[3] == 0
    expected = pymc_backend.scorer(Problem.of(problem.spec, others)).unit_log_likelihood(at)[0]
    np.testing.assert_allclose(np.delete(by_unit, 3), expected, rtol=1e-12)
    apart = scorer.unit_log_likelihood(at, only)[0]
    whole = pymc_backend.scorer(problem).unit_log_likelihood(at)[0]
    np.testing.assert_allclose(apart, whole[3:4], rtol=1e-12)


def test_few_draws_give_nothing(table: pd.DataFrame) -> None:
    em = mc.fit(SPEC, table, starts=1, seed=0, progress=False)
    found = leave_one_out(stand_in(em, draws=20, chains=2))
    assert np.isnan(found.elpd)
    assert found.unresolved == 0
    with pytest.raises(mc.OptionError, match="posterior"):
        leave_one_out(em)
    with pytest.raises(mc.OptionError, match="refit"):
        leave_one_out(stand_in(em, draws=20, chains=2), refit=-1)


@pytest.mark.slow
def test_the_real_sampler_refits_like_the_grid(table: pd.DataFrame) -> None:
    fit = mc.fit(SPEC, table, backend="pymc", draws=1000, tune=500, chains=4, seed=1)
    found = leave_one_out(fit, refit=2, seed=1).units.loc["u11"].to_dict()
    assert found["remedy"] == REFIT
    assert found["elpd"] == pytest.approx(exact(SPEC, table, "u11"), abs=5 * found["mcse"])
