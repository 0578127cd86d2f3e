"""The comparison's tables and every verdict rule, on posteriors with known faults."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.comparison.estimates import predicted_shift
from mixcompare.comparison.verdicts import conclude
from mixcompare.labels.metrics import adjusted_rand_index, relative_entropy, total_variation
from mixcompare.model.layout import COMPONENT, flatten
from mixcompare.prepared.compress import compress
from mixcompare.prepared.resolved_priors import resolve_priors
from mixcompare.report.wording import estimates_intro
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)
COMPARED = {"likelihood identity", "modes", "estimates", "likelihoods", "class membership"}
JUDGED_ALONE = {
    *("EM optimum", "MCMC convergence", "prior sensitivity", "model fit", "standard errors"),
    "label switching",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(units=80, rows=(4, 9), seed=5)


@pytest.fixture(scope="module")
def em(table: pd.DataFrame) -> mc.Fit:
    return mc.fit(SPEC, table, starts=12, seed=1)


@pytest.fixture(scope="module")
def agreeing(em: mc.Fit) -> mc.Comparison:
    return mc.compare(em, stand_in(em, seed=1))


def verdict(comparison: mc.Comparison, section: str) -> tuple[str, str]:
    row = comparison.verdicts.set_index("section").loc[section]
    return str(row["verdict"]), str(row["reason"])


def test_everything_agrees_when_it_should(agreeing: mc.Comparison) -> None:
    words = agreeing.verdicts.set_index("section")["verdict"]
    assert set(words[words == "agree"].index) == COMPARED
    assert set(words[words == "ok"].index) == JUDGED_ALONE
    assert agreeing.remedies == ()
    assert agreeing.restart is None
    assert "likelihood identity: agree" in repr(agreeing)
    assert agreeing.conclusion == "EM and MCMC agree in every section."
    assert "<table" in agreeing._repr_html_()


def test_order_of_the_fits_does_not_matter(em: mc.Fit, agreeing: mc.Comparison) -> None:
    swapped = mc.compare(agreeing.posterior_fit, em)
    pd.testing.assert_frame_equal(swapped.estimates, agreeing.estimates)


def test_estimates_table(em: mc.Fit, agreeing: mc.Comparison) -> None:
    estimates = agreeing.estimates
    assert list(estimates.index) == [p.name for p in em.parameters]
    np.testing.assert_allclose(
        estimates["difference"],
        (estimates["posterior_mean"] - estimates["em_estimate"]) / estimates["posterior_sd"],
    )
    # The stand-in's draws are normal with EM's standard errors.
    np.testing.assert_allclose(estimates["posterior_sd"], estimates["em_se"], rtol=0.15)
    assert estimates["difference"].abs().max() < 0.2
    assert (estimates["r_hat"] < 1.01).all()
    first = agreeing.aligned["coefficients"].sel(mixture_component=1, covariate="x1", outcome="y1")
    assert estimates.loc["coefficients[1, x1]", "posterior_mean"] == pytest.approx(
        float(first.mean())
    )


def test_likelihoods_table(em: mc.Fit, agreeing: mc.Comparison) -> None:
    value = agreeing.likelihoods["value"]
    d, units, rows = em.n_parameters, em.panel.n_units, em.panel.n_rows
    assert value["EM maximum"] == em.log_likelihood
    assert value["EM estimate scored by PyMC"] == pytest.approx(em.log_likelihood, rel=1e-9)
    assert value["BIC, n = units"] == pytest.approx(-2 * em.log_likelihood + d * np.log(units))
    assert value["BIC, n = rows"] == pytest.approx(-2 * em.log_likelihood + d * np.log(rows))
    drawn = agreeing.posterior_fit.tree["log_likelihood"]["outcomes"].sum("unit")
    assert value["highest draw"] == pytest.approx(float(drawn.max()))
    assert value["mean over draws"] == pytest.approx(float(drawn.mean()))
    assert value["highest draw less EM maximum"] < 0
    assert value["PSIS-LOO elpd"] < float(drawn.max())


def test_switching_labels_are_counted_and_undone(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, switch_every=50, seed=2))
    value = comparison.switching["value"]
    assert value["labellings visited"] == 2
    assert value["switches per chain"] > 0
    assert value["largest R-hat aligned"] < 1.02
    assert value["largest R-hat as sampled"] > 1.05
    assert value["R-hat of log-likelihood"] < 1.02
    assert verdict(comparison, "label switching") == ("ok", "")
    assert "2 labellings" in comparison.verdicts["statement"].iloc[-1]
    assert verdict(comparison, "estimates")[0] == "agree"
    counts = np.abs(np.diff(comparison.permutation[..., 0], axis=1)).sum(axis=1)
    assert value["switches per chain"] == counts.mean()


def test_em_at_a_worse_optimum_is_found_and_restarted(em: mc.Fit, table: pd.DataFrame) -> None:
    """A single-class start is a saddle: EM that stops there stays far below the maximum."""
    even = np.full((80, 2), 0.5)
    stuck = mc.fit(SPEC, table, starts=0, initial=even, seed=1, max_iterations=2)
    assert stuck.log_likelihood < em.log_likelihood - 10
    comparison = mc.compare(stuck, stand_in(em, seed=3))
    assert verdict(comparison, "EM optimum") == ("differ", "EM stopped at a worse optimum")
    assert comparison.restart is not None
    assert comparison.restart.log_likelihood == pytest.approx(em.log_likelihood, rel=1e-10)
    assert comparison.likelihoods["value"]["EM restarted"] == comparison.restart.log_likelihood
    assert verdict(comparison, "estimates")[1] == "EM stopped at a worse optimum"
    by = comparison.restart.log_likelihood - stuck.log_likelihood
    assert comparison.conclusion.startswith(f"EM and MCMC differ: EM missed a maximum {by:.3g} ")
    assert "EM stopped at a worse optimum" not in comparison.conclusion


def test_a_conclusion_names_each_reason_once_and_differences_first() -> None:
    lines = [
        ("likelihoods", "agree", ""),
        ("convergence", "caution", "not converged"),
        ("estimates", "differ", "prior pull"),
        ("modes", "caution", ""),
        ("label switching", "caution", "not converged"),
    ]
    verdicts = pd.DataFrame(lines, columns=["section", "verdict", "reason"])
    cautions = "aution on convergence and label switching (not converged); modes."
    assert conclude(verdicts) == f"EM and MCMC differ in estimates (prior pull). C{cautions}"
    without = verdicts[verdicts["verdict"] != "differ"]
    assert conclude(without) == f"EM and MCMC do not contradict each other; c{cautions}"


def test_few_starts_at_the_best_optimum_is_a_caution(em: mc.Fit, table: pd.DataFrame) -> None:
    alone = mc.fit(SPEC, table, starts=0, initial=em)
    assert verdict(mc.compare(alone, stand_in(em)), "EM optimum") == (
        "caution",
        "few starts at the best optimum",
    )


def test_chains_in_different_modes(em: mc.Fit, table: pd.DataFrame) -> None:
    """One chain sits at another optimum: no relabelling can mend the log-likelihood."""
    spec = replace(SPEC, n_components=3)
    three = mc.fit(spec, table, starts=40, seed=1)
    optima = three.tree["starts"].to_dataset()
    other_start = int(np.flatnonzero(optima["optimum"].to_numpy() == 1)[0])
    start = {
        n: optima[n].to_numpy()[other_start] for n in ("weights", "coefficients", "covariance")
    }
    other = mc.fit(spec, table, starts=0, initial=start)
    comparison = mc.compare(three, stand_in([three, other], spread=0.3, seed=4))
    assert verdict(comparison, "MCMC convergence") == ("differ", "chains in different modes")
    assert verdict(comparison, "estimates")[1] == "chains in different modes"


def test_unconverged_chains_are_a_caution(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, autocorrelation=0.97, draws=200, seed=5))
    assert verdict(comparison, "MCMC convergence")[0] in ("caution", "differ")
    assert verdict(comparison, "estimates")[0] == "caution"


def test_prior_pull_is_told_from_skewness(em: mc.Fit, table: pd.DataFrame) -> None:
    """A shift that the prior predicts is its pull; the same shift under a weak prior is not."""
    priors = mc.Priors(coefficient_mean={"Intercept": 6.0}, coefficient_sd={"Intercept": 0.5})
    pulled = mc.fit(replace(SPEC, priors=priors), table, starts=12, seed=1)
    shift = predicted_shift(pulled, resolve_priors(pulled.spec, compress(pulled.panel)))
    explained = mc.compare(pulled, stand_in(pulled, offset=shift, seed=6))
    assert verdict(explained, "estimates") == ("differ", "prior pull")
    unexplained = mc.compare(em, stand_in(em, offset=0.3 * shift, seed=6))
    assert verdict(unexplained, "estimates") == ("differ", "skewed posterior")
    # No skewness leaves every draw eighteen standard deviations from a point so much higher.
    never_there = mc.compare(em, stand_in(em, offset=shift, seed=6), climbs=4)
    assert verdict(never_there, "estimates") == ("differ", "chains missed a higher mode")


def test_predicted_shift_is_a_newton_step_of_the_log_prior(em: mc.Fit) -> None:
    """Against numerical derivatives of the prior's density from SciPy."""
    from scipy.stats import dirichlet, invgamma, norm

    priors = resolve_priors(em.spec, compress(em.panel))
    estimate = {
        n: em.tree["estimate"][n].to_numpy() for n in ("weights", "coefficients", "covariance")
    }

    def log_prior(coefficients: np.ndarray, covariance: np.ndarray) -> float:
        shape, scale = priors.covariance_df / 2, float(priors.covariance_scale[0, 0]) / 2
        return float(
            norm(priors.coefficient_mean, priors.coefficient_sd).logpdf(coefficients).sum()
            + invgamma(shape, scale=scale).logpdf(covariance).sum()
        )

    gradient = []
    for p in em.parameters:
        if p.variable == "weights":
            w = estimate["weights"].copy()
            step = 1e-6
            ahead = np.array([w[0] + step, w[1] - step])
            density = dirichlet(np.full(2, priors.concentration))
            along = (density.logpdf(ahead) - density.logpdf(w)) / step
            gradient.append(along / 2 if p.component == 1 else -along / 2)
            continue
        values = []
        step = 1e-5 * abs(estimate[p.variable][p.position])
        for sign in (1, -1):
            moved = {n: a.copy() for n, a in estimate.items()}
            moved[p.variable][p.position] += sign * step
            values.append(log_prior(moved["coefficients"], moved["covariance"]))
        gradient.append((values[0] - values[1]) / (2 * step))
    covariance = em.tree["standard_errors"]["parameter_covariance"].to_numpy()
    bent = np.diag(
        [
            (priors.concentration - 1) / estimate["weights"][p.position] ** 2
            if p.variable == "weights"
            else 1 / priors.coefficient_sd[p.position[1:]] ** 2
            if p.variable == "coefficients"
            else 0.0
            for p in em.parameters
        ]
    )
    moved_by = np.linalg.solve(np.eye(len(bent)) + bent @ covariance, np.array(gradient))
    expected = covariance @ moved_by
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(predicted_shift(em, priors) / errors, expected / errors, atol=1e-5)


PARTS = SPEC.but(common="~ x2", membership="~ income", unit_weights="count")


@pytest.fixture(scope="module")
def with_parts(table: pd.DataFrame) -> mc.Fit:
    return mc.fit(PARTS, table, starts=12, seed=1)


def test_predicted_shift_leads_to_the_mode_of_the_posterior(table: pd.DataFrame) -> None:
    """EM finds that mode exactly; a common coefficient and the membership are pulled once."""
    priors = mc.Priors(
        membership_sd=0.3, coefficient_mean={"x2": 0.01}, coefficient_sd={"x2": 0.02}
    )
    fits = [
        mc.fit(replace(PARTS, priors=priors), table, starts=12, seed=1, estimator=estimator)
        for estimator in ("ml", "map")
    ]
    ml, mode = (flatten(f.tree["estimate"].to_dataset(), f.parameters) for f in fits)
    shift = predicted_shift(fits[0], resolve_priors(fits[0].spec, compress(fits[0].panel)))
    errors = np.sqrt(np.diag(fits[0].tree["standard_errors"]["parameter_covariance"].to_numpy()))
    moved = (mode - ml) / errors
    names = [p.name for p in fits[0].parameters]
    assert abs(moved[names.index("coefficients[x2]")]) > 0.1
    assert abs(moved[names.index("membership[2, income]")]) > 0.1
    np.testing.assert_allclose(shift / errors, moved, atol=0.1 * np.abs(moved).max())


def test_common_coefficients_membership_and_weights(with_parts: mc.Fit) -> None:
    comparison = mc.compare(with_parts, stand_in(with_parts, switch_every=50, seed=1))
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    assert set(verdicts) == {"agree", "ok"}
    # A covariate lies far from zero, where the intercept has its prior, which moves it a little.
    assert "Of these the prior moves" in comparison.verdicts["statement"][5]
    assert {"coefficients[x2]", "membership[2, income]"} <= set(comparison.estimates.index)
    counted = with_parts.panel.unit_weights
    assert counted is not None
    note = str(comparison.likelihoods.loc["BIC, n = units", "note"])
    assert f"n = {counted.sum():g}, counted by their weights" in note
    assert set(comparison.priors["parameter"]) >= {"membership[Intercept]", "membership[income]"}


def test_predicted_shift_is_exact_for_ridge_regression() -> None:
    """One class, variance known: the posterior mode is in closed form, however strong the prior."""
    rng = np.random.default_rng(2)
    year = np.tile(np.arange(1990.0, 2010.0), 5)
    y = 50 + 0.3 * (year - 2000) + rng.normal(size=year.size)
    spec = mc.MixtureSpec(
        "y ~ year",
        n_components=1,
        priors=mc.Priors(coefficient_mean=0.0, coefficient_sd={"Intercept": 30.0, "year": 0.02}),
    )
    em = mc.fit(spec, {"y": y, "year": year})
    shift = predicted_shift(em, resolve_priors(spec, compress(em.panel)))[1:3]
    x = np.column_stack([np.ones_like(year), year])
    ridge = np.diag([30.0**-2, 0.02**-2]) * em.covariance.item()
    mode = np.linalg.solve(x.T @ x + ridge, x.T @ y)
    np.testing.assert_allclose(em.coefficients.to_numpy().ravel() + shift, mode, rtol=1e-6)
    assert abs(shift[0]) > 100


def test_membership_tables(em: mc.Fit, agreeing: mc.Comparison) -> None:
    membership = agreeing.membership
    assert sorted(membership.index) == sorted(em.panel.unit_labels)
    assert membership["distance"].is_monotonic_decreasing
    unit = membership.index[0]
    own = em.responsibilities.sel(unit=unit).to_numpy()
    other = agreeing.posterior_responsibilities.sel(unit=unit).to_numpy()
    assert membership.loc[unit, "em_class"] == own.argmax() + 1
    assert membership.loc[unit, "distance"] == pytest.approx(0.5 * np.abs(own - other).sum())
    np.testing.assert_allclose(agreeing.posterior_responsibilities.sum(COMPONENT), 1)


def test_one_component_has_nothing_to_switch(table: pd.DataFrame) -> None:
    spec = replace(SPEC, n_components=1)
    em = mc.fit(spec, table, starts=1)
    comparison = mc.compare(em, stand_in(em, seed=7))
    verdicts = comparison.verdicts.set_index("section")["verdict"]
    # A covariate lies far from zero, where the intercept has its prior, which moves it a little.
    assert "Of these the prior moves" in comparison.verdicts["statement"][5]
    # One class for data of two.
    assert verdicts.pop("model fit") == "caution"
    assert verdicts.pop("standard errors") == "caution"
    assert set(verdicts) == {"agree", "ok"}
    assert comparison.estimates.loc["weights[1]", "difference"] == 0.0
    assert not comparison.verdicts["statement"].str.contains("nan").any()


@pytest.mark.parametrize(
    "structure", [("full", "shared"), ("diagonal", "component"), ("spherical", "shared")]
)
def test_other_structures(structure: tuple[Any, Any]) -> None:
    table = simulate(units=60, rows=(4, 8), m=2, seed=9)
    spec = mc.MixtureSpec(
        "y1 + y2 ~ x1 + x2",
        unit="unit",
        absorb="unit:cell",
        n_components=2,
        covariance=structure[0],
        covariance_by=structure[1],
    )
    em = mc.fit(spec, table, starts=12, seed=2)
    comparison = mc.compare(em, stand_in(em, seed=8))
    assert verdict(comparison, "likelihood identity") == ("agree", "")
    assert verdict(comparison, "estimates") == ("agree", "")


def test_withheld_standard_errors_do_not_break_the_comparison(
    em: mc.Fit, table: pd.DataFrame
) -> None:
    early = mc.fit(SPEC, table, starts=1, kinds="random", max_iterations=3, seed=1)
    assert np.isnan(early.summary()["se"]).all()
    comparison = mc.compare(early, stand_in(em))
    assert comparison.estimates["em_se"].isna().all()
    assert verdict(comparison, "EM optimum")[0] not in ("agree", "ok")


def test_fits_that_cannot_be_compared(em: mc.Fit, table: pd.DataFrame) -> None:
    posterior = stand_in(em, draws=10)
    with pytest.raises(mc.DataError, match="needs one or more fits with backend='em'"):
        mc.compare(em, em)
    with pytest.raises(mc.DataError, match="different models"):
        mc.compare(mc.fit(replace(SPEC, n_components=1), table), posterior)
    with pytest.raises(mc.DataError, match="different data"):
        mc.compare(mc.fit(SPEC, table.assign(y1=table["y1"] + 1), starts=4), posterior)


def test_thresholds_decide(em: mc.Fit, agreeing: mc.Comparison) -> None:
    strict = mc.compare(em, agreeing.posterior_fit, thresholds=mc.Thresholds(difference=1e-6))
    assert verdict(strict, "estimates")[0] == "differ"
    with pytest.raises(mc.OptionError, match="threshold r_hat must be a positive number"):
        mc.Thresholds(r_hat=0)


# Metrics by hand.


def test_adjusted_rand_index_by_hand() -> None:
    """Contingency table [[2, 1], [0, 3]]: index (5 - 2.8) / (6.5 - 2.8)... by the formula."""
    first, second = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])
    together, rows, columns = 1 + 3, 3 + 3, 1 + 6
    expected = rows * columns / 15
    assert adjusted_rand_index(first, second) == pytest.approx(
        (together - expected) / ((rows + columns) / 2 - expected)
    )
    assert adjusted_rand_index(first, 1 - first) == 1.0
    assert adjusted_rand_index(np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 1.0


def test_distances_and_entropy_by_hand() -> None:
    certain, even = np.eye(2), np.full((2, 2), 0.5)
    np.testing.assert_allclose(total_variation(certain, even), [0.5, 0.5])
    assert relative_entropy(certain) == 1.0
    assert relative_entropy(even) == pytest.approx(0.0)
    assert relative_entropy(np.ones((3, 1))) == 1.0


def test_a_model_that_misfits_is_said_although_backends_agree() -> None:
    """Residuals that share a term within the unit: both backends' intervals are too short."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(60), 8)
    x = rng.normal(size=unit.size)
    y = x * np.where(unit < 30, 3, -3) + rng.normal(size=60)[unit] + rng.normal(size=unit.size)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    em = mc.fit(spec, {"unit": unit, "x": x, "y": y}, starts=8)
    comparison = mc.compare(em, stand_in(em))
    statement = comparison.verdicts.set_index("section")["statement"]["likelihoods"]
    assert "fits the units poorly" in statement
    assert comparison.likelihoods["value"]["PSIS-LOO p"] > 2 * em.n_parameters


def test_few_draws_leave_cross_validation_out(em: mc.Fit) -> None:
    comparison = mc.compare(em, stand_in(em, draws=10, chains=2))
    assert np.isnan(comparison.likelihoods["value"]["PSIS-LOO elpd"])
    assert verdict(comparison, "MCMC convergence")[0] == "caution"


def test_errors_that_rows_of_a_unit_share_are_a_caution() -> None:
    """A term that all rows of a unit share; with one class both errors have closed forms."""
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(100), 8)
    y = 1.0 + rng.normal(size=100)[unit] + 0.5 * rng.normal(size=unit.size)
    spec = mc.MixtureSpec("y ~ 1", unit="unit", n_components=1)
    em = mc.fit(spec, {"unit": unit, "y": y})
    mean = "coefficients[1, Intercept]"
    sums = np.bincount(unit, y - y.mean())
    summary = em.summary().loc[mean]
    assert summary["se"] == pytest.approx(y.std() / np.sqrt(y.size), rel=1e-9)
    assert summary["sandwich_se"] == pytest.approx(np.sqrt(sums @ sums) / y.size, rel=1e-9)
    comparison = mc.compare(em, stand_in(em, seed=1))
    assert verdict(comparison, "standard errors") == ("caution", "rows that depend on one another")
    assert comparison.estimates.loc[mean, "em_sandwich_se"] == summary["sandwich_se"]
    (_, said) = estimates_intro(comparison)
    assert f"{summary['sandwich_se'] / summary['se']:.2f} times EM's ({mean})" in said
    lenient = mc.Thresholds(sandwich=5.0)
    assert verdict(mc.compare(em, stand_in(em, seed=1), thresholds=lenient), "standard errors") == (
        "ok",
        "",
    )


def test_units_of_one_row_have_no_sandwich_beside_the_models_errors() -> None:
    y = np.random.default_rng(4).normal(size=60)
    em = mc.fit(mc.MixtureSpec("y ~ 1", n_components=1), {"y": y})
    assert em.sandwich_se is None
    assert "sandwich_se" not in em.summary()
