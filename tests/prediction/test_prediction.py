"""Predictions against SciPy on raw rows, and what must not change them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

import mixcompare as mc
from mixcompare.base.arrays import FloatArray
from mixcompare.prediction.samples import parameter_samples
from tests.em_cases import simulate
from tests.stand_in_posterior import stand_in

MODELS: dict[str, dict[str, Any]] = {
    "panel": {},
    "outcomes": {"m": 2},
    "shared": {"m": 2, "covariance": "full", "covariance_by": "shared", "common": "~ x2"},
    "membership": {"membership": "~ income", "unit_weights": "count"},
    "three": {"k": 3, "seed": 3},
}


def table(model: str, *, seed: int | None = None) -> pd.DataFrame:
    options = MODELS[model]
    return simulate(
        m=options.get("m", 1),
        k=options.get("k", 2),
        seed=options.get("seed", 0) if seed is None else seed,
        units=60,
    )


def specification(model: str, **changes: Any) -> mc.MixtureSpec:
    options = {k: v for k, v in MODELS[model].items() if k not in {"m", "k", "seed"}}
    outcomes = " + ".join(f"y{j + 1}" for j in range(MODELS[model].get("m", 1)))
    return mc.MixtureSpec(
        f"{outcomes} ~ x1 + x2",
        unit="unit",
        n_components=MODELS[model].get("k", 2),
        **options,
        **changes,
    )


@cache
def em_fit(model: str, absorb: str | None = None) -> mc.Fit:
    return mc.fit(specification(model, absorb=absorb), table(model), starts=10, seed=1)


@cache
def fit(model: str, backend: str) -> mc.Fit:
    em = em_fit(model)
    return em if backend == "em" else stand_in(em, draws=10, chains=2, switch_every=3)


def new_table(model: str) -> pd.DataFrame:
    """Other units, of which the first two have one row and the third has no outcomes."""
    drawn = table(model, seed=77)
    first = drawn.groupby("unit").cumcount() == 0
    drawn = drawn[(drawn.unit > 1) | first]
    outcomes = [name for name in drawn.columns if name.startswith("y")]
    drawn.loc[drawn.unit == 2, outcomes] = np.nan
    drawn["unit"] += 1000
    return drawn[drawn.unit < 1020].sample(frac=1, random_state=3).reset_index(drop=True)


def oracle(model: str, made: mc.Fit, data: pd.DataFrame) -> dict[str, FloatArray]:
    """The same by loops over draws, units, classes and rows."""
    samples = parameter_samples(made, None)
    membership = samples.blocks.get("membership_coefficients")
    covariance = samples.blocks["covariance"]
    names = [name for name in data.columns if name.startswith("y")]
    x = np.column_stack([np.ones(len(data)), data.x1, data.x2])
    assert made.covariate_names == ("Intercept", "x1", "x2")
    y = data[names].to_numpy()
    units = np.unique(data.unit)
    prior, joint = [], []
    for s in range(samples.n_samples):
        for unit in units:
            rows = np.flatnonzero(data.unit == unit)
            if membership is None:
                probabilities = samples.weights[s]
            else:
                income = data.income.iloc[rows[0]]
                probabilities = softmax(membership[s] @ [1.0, income])
            prior.append(probabilities)
            seen = [r for r in rows if np.isfinite(y[r]).all()]
            densities = [
                sum(multivariate_normal(x[r] @ b, sigma).logpdf(y[r]) for r in seen)
                for b, sigma in zip(samples.coefficients[s], covariance[s], strict=True)
            ]
            joint.append(np.log(probabilities) + densities)
    shape = (samples.n_samples, len(units), -1)
    priors, joints = np.reshape(prior, shape), np.reshape(joint, shape)
    density = logsumexp(joints, axis=-1)
    tau = np.exp(joints - density[..., None])
    given = np.stack([x @ b for b in samples.coefficients.swapaxes(0, 1)], axis=2)
    of_row = np.searchsorted(units, data.unit)
    return {
        "prior_probabilities": priors,
        "responsibilities": tau,
        "log_predictive_density": logsumexp(density, axis=0) - np.log(samples.n_samples),
        "fitted_by_class": given,
        "fitted": np.einsum("snk,snkm->snm", priors[:, of_row], given),
        "fitted_given_outcomes": np.einsum("snk,snkm->snm", tau[:, of_row], given),
    }


@pytest.mark.parametrize("backend", ["em", "pymc"])
@pytest.mark.parametrize("model", MODELS)
def test_everything_equals_loops_over_raw_rows(model: str, backend: str) -> None:
    made, data = fit(model, backend), new_table(model)
    predicted = mc.predict(made, data, interval=0.5)
    expected = oracle(model, made, data)
    assert predicted["row"].to_numpy().tolist() == list(range(len(data)))
    assert predicted["unit"].to_numpy()[predicted["unit_index"]].tolist() == data.unit.tolist()
    for name, values in expected.items():
        if name == "log_predictive_density":
            close(predicted[name], values)
            continue
        close(predicted[name], values.mean(axis=0))
        if backend == "em":
            assert f"{name}_interval" not in predicted
        else:
            close(predicted[f"{name}_interval"], np.quantile(values, [0.25, 0.75], axis=0))


def close(one: Any, other: Any, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-11)


@pytest.mark.parametrize("backend", ["em", "pymc"])
@pytest.mark.parametrize("model", ["panel", "outcomes", "shared", "three"])
def test_the_fitted_table_gives_the_fits_responsibilities(model: str, backend: str) -> None:
    made = fit(model, backend)
    for data in (None, table(model), made.panel):
        predicted = mc.predict(made, data)
        np.testing.assert_allclose(
            predicted["responsibilities"], made.responsibilities, rtol=0, atol=1e-10
        )
        if backend == "em":
            np.testing.assert_allclose(
                predicted["log_predictive_density"],
                made.tree["estimate"]["log_likelihood"],
                rtol=1e-10,
            )


def test_membership_and_weights_of_the_fitted_table() -> None:
    made = fit("membership", "em")
    predicted = mc.predict(made, table("membership"))
    np.testing.assert_allclose(predicted["responsibilities"], made.responsibilities, atol=1e-10)
    count = made.panel.unit_weights
    assert count is not None
    np.testing.assert_allclose(
        predicted["log_predictive_density"] * count, made.tree["estimate"]["log_likelihood"]
    )
    average = count @ predicted["prior_probabilities"].to_numpy() / count.sum()
    np.testing.assert_allclose(average, made.weights, rtol=1e-9)
    without = table("membership").drop(columns="count")
    close_datasets(mc.predict(made, without), predicted)


def close_datasets(one: Any, other: Any, tolerance: float = 1e-10) -> None:
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        np.testing.assert_allclose(one[name], other[name], rtol=tolerance, atol=1e-11)


def test_row_order_and_unit_labels_do_not_matter() -> None:
    made, data = fit("outcomes", "em"), new_table("outcomes")
    base = mc.predict(made, data)
    order = np.random.default_rng(0).permutation(len(data))
    other = mc.predict(made, data.iloc[order].assign(unit=lambda d: 5000 - d.unit))
    for name in ("fitted", "fitted_given_outcomes", "fitted_by_class"):
        np.testing.assert_allclose(other[name], base[name].to_numpy()[order], rtol=1e-10)
    for name in ("responsibilities", "log_predictive_density"):
        np.testing.assert_allclose(other[name], base[name].to_numpy()[::-1], rtol=1e-9, atol=1e-12)


def test_the_labels_of_draws_do_not_matter() -> None:
    em, data = em_fit("panel"), new_table("panel")
    steady = stand_in(em, draws=10, chains=2)
    tree = stand_in(em, draws=10, chains=2).tree
    flipped = tree["posterior_as_sampled"].to_dataset().isel(mixture_component=[1, 0])
    tree["posterior_as_sampled"] = type(tree)(flipped.assign_coords(mixture_component=[1, 2]))
    group = tree["alignment"].to_dataset()
    tree["alignment"] = type(tree)(group.assign(permutation=1 - group["permutation"]))
    close_datasets(mc.predict(mc.Fit(tree), data), mc.predict(steady, data))


def test_a_unit_is_predicted_alike_alone_and_among_others() -> None:
    made, data = fit("panel", "em"), new_table("panel")
    base = mc.predict(made, data)
    for unit in (1000, 1002, 1007):
        if unit == 1002:
            alone = mc.predict(made, data[data.unit == unit], classes="prior")
            assert "responsibilities" not in alone
        else:
            alone = mc.predict(made, data[data.unit == unit])
            np.testing.assert_allclose(
                alone["responsibilities"], base["responsibilities"].sel(unit=[unit]), rtol=1e-10
            )
        own = (data.unit == unit).to_numpy()
        np.testing.assert_allclose(alone["fitted"], base["fitted"][own], rtol=1e-10)


def test_units_without_outcomes_keep_their_prior_probabilities() -> None:
    made, data = fit("membership", "em"), new_table("membership")
    predicted = mc.predict(made, data).sel(unit=1002)
    close(predicted["responsibilities"], predicted["prior_probabilities"], rtol=1e-14)
    assert predicted["log_predictive_density"] == 0
    blind = mc.predict(made, data.drop(columns="y1"), classes="prior")
    assert not {"responsibilities", "log_predictive_density", "observed"} & set(blind.data_vars)
    np.testing.assert_allclose(blind["fitted"], mc.predict(made, data)["fitted"])


def test_prior_probabilities_are_said_to_be_such(tmp_path: Path) -> None:
    for model, words in (("panel", "the same for every unit"), ("membership", "covariates alone")):
        made, data = fit(model, "em"), new_table(model)
        asked = mc.predict(made, data, classes="prior")
        assert asked.attrs["classes"] == "prior"
        assert not {"responsibilities", "observed"} & set(asked.data_vars)
        for blind in (data.drop(columns="y1"), data.assign(y1=np.nan)):
            with pytest.warns(mc.DataWarning, match=rf"no outcomes \('y1'\).*{words}"):
                close_datasets(mc.predict(made, blind), asked)
        assert mc.predict(made, data).attrs["classes"] == "outcomes"
        close_datasets(mc.predict(made, made.panel, classes="prior"), mc.predict(made)[[*asked]])
    path = tmp_path / "new.csv"
    data.rename(columns={"y1": "Y1"}).to_csv(path, index=False)
    for slip in (path, data.rename(columns={"y1": "y_1"})):
        with pytest.raises(mc.DataError, match=r"no outcome 'y1' \(did you mean .*classes='prior'"):
            mc.predict(made, slip)
    mc.predict(made, path, classes="prior")
    seen = data.assign(unit=range(len(data))).drop(columns="y1").iloc[:20]
    assert mc.predict(made, seen, units="known").sizes["unit"] == 20
    mc.predictive_draws(made, path, seed=1, draws=2)


def test_known_units_begin_with_what_the_fitted_rows_say() -> None:
    # p(class | all rows) and p(later rows | earlier rows) follow from predicting all at once.
    for backend in ("em", "pymc"):
        made, earlier = fit("panel", backend), table("panel")
        later = earlier[earlier.unit.isin([3, 8, 40])].groupby("unit").head(2)
        later = later.assign(y1=later.y1 + 0.5).reset_index(drop=True)
        known = mc.predict(made, later, units="known")
        np.testing.assert_allclose(
            known["prior_probabilities"], made.responsibilities.sel(unit=[3, 8, 40]), atol=1e-10
        )
        if backend == "em":
            both = mc.predict(made, pd.concat([earlier, later])).sel(unit=[3, 8, 40])
            before = mc.predict(made, earlier).sel(unit=[3, 8, 40])
            np.testing.assert_allclose(
                known["responsibilities"], both["responsibilities"], atol=1e-10
            )
            gained = both["log_predictive_density"] - before["log_predictive_density"]
            np.testing.assert_allclose(known["log_predictive_density"], gained, rtol=1e-9)
    with pytest.raises(mc.DataError, match=r"1 unit\(s\) were not fitted, the first is unit=9999"):
        mc.predict(made, later.assign(unit=9999), units="known")


def test_one_class_is_ordinary_least_squares() -> None:
    data, new = table("panel"), new_table("panel")
    made = mc.fit(mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=1), data, starts=1)
    least_squares = sm.OLS(data.y1, sm.add_constant(data[["x1", "x2"]])).fit()
    expected = least_squares.predict(sm.add_constant(new[["x1", "x2"]]))
    predicted = mc.predict(made, new)
    np.testing.assert_allclose(predicted["fitted"][:, 0], expected, rtol=1e-9)
    np.testing.assert_array_equal(predicted["responsibilities"], 1.0)


def test_a_gaussian_mixture_classifies_single_rows() -> None:
    data = table("outcomes")[["y1", "y2"]]
    spec = mc.MixtureSpec("y1 + y2 ~ 1", n_components=2)
    made = mc.fit(spec, data, starts=5)
    new = data.iloc[40:50] + 0.1
    predicted = mc.predict(made, new)
    densities = np.stack(
        [
            made.weights.to_numpy()[k]
            * multivariate_normal(made.coefficients[k, 0], made.covariance[k]).pdf(new)
            for k in range(2)
        ],
        axis=1,
    )
    total = densities.sum(axis=1)
    close(predicted["responsibilities"], densities / total[:, None])
    close(predicted["log_predictive_density"], np.log(total))
    with pytest.raises(mc.DataError, match="needs a fit with a unit column"):
        mc.predict(made, new, units="known")


def test_a_calendar_year_with_its_square_far_from_zero() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(40), 50)
    year = np.tile(np.arange(1950, 2000), 40)
    slope = (1 + unit % 2) * (year - 1975)
    data = pd.DataFrame({"unit": unit, "year": year, "y": 1e8 + slope + rng.normal(size=2000) * 9})
    spec = mc.MixtureSpec("y ~ year + I(year**2)", unit="unit", n_components=2)
    made = mc.fit(spec, data, starts=5)
    later = data[data.year > 1997]
    predicted = mc.predict(made, pd.concat([data, later.assign(y=np.nan)]))
    np.testing.assert_allclose(predicted["responsibilities"], made.responsibilities, atol=1e-10)
    alone = mc.predict(made, later, units="known")
    fitted = predicted["fitted_by_class"].to_numpy()
    np.testing.assert_allclose(alone["fitted_by_class"], fitted[2000:], rtol=1e-15)


# Absorbed effects


@pytest.mark.parametrize("backend", ["em", "pymc"])
def test_beside_absorbed_effects_deviations_are_predicted(backend: str) -> None:
    em = em_fit("panel", "unit:cell")
    made = em if backend == "em" else stand_in(em, draws=10, chains=2)
    data = new_table("panel")
    predicted = mc.predict(made, data)
    assert "deviations" in predicted.attrs["scale"]
    deviations = data[["x1", "x2"]] - data.groupby(["unit", "cell"])[["x1", "x2"]].transform("mean")
    expected = np.einsum("np,skpm->snkm", deviations, parameter_samples(made, None).coefficients)
    np.testing.assert_allclose(predicted["fitted_by_class"], expected.mean(axis=0), atol=1e-9)
    # Nothing changes with the cells' levels.
    moved = data.assign(y1=data.y1 + 100 * data.unit + 7 * data.cell)
    close_datasets(mc.predict(made, moved), predicted, tolerance=1e-7)
    np.testing.assert_allclose(
        mc.predict(made)["responsibilities"], made.responsibilities, atol=1e-10
    )


# Draws of outcomes


@pytest.mark.parametrize("classes", ["prior", "outcomes"])
def test_draws_have_the_predicted_means_and_class_shares(classes: Any) -> None:
    made, data = fit("outcomes", "em"), new_table("outcomes").iloc[:6]
    drawn = mc.predictive_draws(made, data, seed=5, draws=20_000, classes=classes)
    predicted = mc.predict(made, data)
    shares = np.stack([(drawn["classes"] == k).mean("draw") for k in (1, 2)], axis=-1)
    names = {
        "prior": ("prior_probabilities", "fitted"),
        "outcomes": ("responsibilities", "fitted_given_outcomes"),
    }[classes]
    np.testing.assert_allclose(shares, predicted[names[0]], atol=4 * 0.5 / np.sqrt(20_000))
    error = 4 * drawn["outcomes"].std("draw") / np.sqrt(20_000)
    assert (np.abs(drawn["outcomes"].mean("draw") - predicted[names[1]]) < error).all()
    # Given the class, residuals have the class's covariance.
    for k in (1, 2):
        own = (drawn["classes"][:, drawn["unit_index"][0]] == k).to_numpy()
        rest = drawn["outcomes"][own, 0] - predicted["fitted_by_class"].sel(mixture_component=k)[0]
        covariance = np.cov(rest.T)
        scale = np.sqrt(np.diag(covariance))
        gap = (covariance - made.covariance.sel(mixture_component=k).to_numpy()) / np.outer(
            scale, scale
        )
        assert np.abs(gap).max() < 6 / np.sqrt(own.sum())


def test_draws_of_a_posterior_use_one_set_of_parameters_each() -> None:
    made, data = fit("panel", "pymc"), new_table("panel")
    drawn = mc.predictive_draws(made, data, seed=1)
    assert drawn["outcomes"].shape == (20, len(data), 1)
    again = mc.predictive_draws(made, data, seed=1)
    np.testing.assert_array_equal(drawn["outcomes"], again["outcomes"])
    assert not np.array_equal(
        drawn["outcomes"], mc.predictive_draws(made, data, seed=2)["outcomes"]
    )
    assert mc.predictive_draws(made, data, seed=1, draws=7).sizes["draw"] == 7
    samples = parameter_samples(made, None)
    x = np.column_stack([np.ones(len(data)), data.x1, data.x2])
    own = drawn["classes"].to_numpy()[:, drawn["unit_index"]] - 1
    mean = np.einsum("np,snpm->snm", x, samples.coefficients[np.arange(20)[:, None], own])
    sd = np.sqrt(samples.blocks["covariance"][np.arange(20)[:, None], own, 0])
    standard = (drawn["outcomes"].to_numpy() - mean) / sd
    assert abs(standard.mean()) < 4 / np.sqrt(standard.size)
    assert abs(standard.std() - 1) < 4 / np.sqrt(standard.size)


# The interface


def test_thinned_draws_are_spread_over_the_chains() -> None:
    made = fit("panel", "pymc")
    assert parameter_samples(made, 3).draws.tolist() == [0, 10, 19]  # type: ignore[union-attr]
    assert mc.predict(made, draws=4).attrs["n_draws"] == 4
    for bad in (0, 21, 2.5, True):
        with pytest.raises(mc.OptionError, match=r"draws must be .*20"):
            mc.predict(made, draws=bad)  # type: ignore[arg-type]


def test_options_are_checked() -> None:
    made = fit("panel", "em")
    for options, message in [
        ({"units": "old"}, "units must be one of new, known"),
        ({"interval": 1.0}, "interval must be a probability"),
        ({"data": new_table("panel"), "missing": "ignore"}, "one of error, drop"),
    ]:
        with pytest.raises(mc.MixCompareError, match=message):
            mc.predict(made, **options)  # type: ignore[arg-type]
    blind = new_table("panel").drop(columns="y1")
    with pytest.raises(mc.OptionError, match="needs data with outcomes"):
        mc.predictive_draws(made, blind, seed=0, classes="outcomes")
    with pytest.raises(mc.OptionError, match="draws must be a whole number"):
        mc.predictive_draws(made, seed=0, draws=0)


def test_tables_have_a_line_for_each_row() -> None:
    made, data = fit("outcomes", "pymc"), new_table("outcomes")
    predicted = mc.predict(made, data)
    shown = mc.prediction_table(predicted)
    assert len(shown) == len(data)
    assert shown["unit"].tolist() == data.unit.tolist()
    np.testing.assert_array_equal(shown["row"], np.arange(len(data)))
    np.testing.assert_array_equal(shown["fitted[y2]"], predicted["fitted"].sel(outcome="y2"))
    np.testing.assert_array_equal(
        shown["fitted_by_class_upper[2, y1]"],
        predicted["fitted_by_class_interval"].sel(bound="upper", mixture_component=2, outcome="y1"),
    )
    tau = predicted["responsibilities"].to_numpy()[predicted["unit_index"]]
    np.testing.assert_array_equal(shown["responsibilities[2]"], tau[:, 1])
    np.testing.assert_array_equal(shown["class"], tau.argmax(axis=1) + 1)
