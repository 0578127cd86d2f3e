"""Data-generating mechanisms have the moments that they state; estimates get the truth's labels."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare import DataError
from mixcompare.base.arrays import FloatArray
from mixcompare.model.layout import Layout
from mixcompare.study.file.load import build_study
from mixcompare.study.file.methods import Method, fit_method, within
from mixcompare.study.mechanism.covariates import resample_units
from mixcompare.study.mechanism.generate import DataSet, generate
from mixcompare.study.report.wording import mechanism
from mixcompare.study.task.extract import keep
from mixcompare.study.task.seeds import data_stream
from tests.stand_in_posterior import stand_in
from tests.study_cases import SIMULATED, content

# Covariates of a row and of a unit.
UNIT = {"x": {"distribution": "normal"}, "u": {"distribution": "normal", "level": "unit"}}

# A covariate of the name that the design's own time has.
TIME = {"x": {"distribution": "normal"}, "time": {"distribution": "time", "scale": 0.3}}


def made(tables: dict[str, Any], replicate: int = 0) -> DataSet:
    study = build_study(tables)
    scenario = study.scenarios[0]
    return generate(scenario, study.read_data, data_stream(1, scenario.label, replicate))


def simulated(**changes: Any) -> dict[str, Any]:
    """One class unless changed, so that residuals are known."""
    own = {
        "simulate__weights": [1.0],
        "simulate__covariance": 4.0,
        "simulate__coefficients": {"Intercept": [2.0], "x": [1.0]},
        "simulate__units": 4000,
        "simulate__periods": 5,
        "model__n_components": 1,
    }
    tables = content(**{**own, **changes})
    del tables["grid"]
    return tables


def residuals(data: DataSet) -> FloatArray:
    assert data.outcomes is not None
    return np.asarray(data.outcomes[:, 0] - 2 - data.frame["x"].to_numpy())


def test_units_rows_and_classes_are_as_stated() -> None:
    data = made(content(simulate__units=3000))
    frame = data.frame
    rows = frame.groupby("unit").size()
    assert len(rows) == 3000
    assert set(rows) == {3, 4, 5, 6}
    assert data.classes is not None
    assert data.classes.mean(axis=0) == pytest.approx([0.6, 0.4], abs=0.03)
    assert frame["x"].std() == pytest.approx(1, abs=0.03)


def test_outcomes_follow_class_and_separation() -> None:
    data = made(content(simulate__units=3000))  # the first scenario: separation 0.7
    assert data.truth is not None
    # Means of the classes' coefficients are 1.2 and 0.2; deviations shrink to 0.7 of them.
    expected = [[1.2 - 0.7 * 1.2, 0.2 + 0.7 * 0.8], [1.2 + 0.7 * 1.8, 0.2 - 0.7 * 1.2]]
    np.testing.assert_allclose(data.truth.coefficients[..., 0], expected, rtol=1e-12)
    assert data.outcomes is not None
    assert data.classes is not None
    panel = data.panel(mc.MixtureSpec("y ~ x", unit="unit", n_components=2))
    for k in range(2):
        own = data.classes[panel.unit, k] == 1
        found, *_ = np.linalg.lstsq(panel.covariates[own], panel.outcomes[own, 0])
        np.testing.assert_allclose(found, expected[k], atol=0.06)


@pytest.mark.parametrize(
    ("changes", "autocorrelation", "kurtosis"),
    [
        ({}, 0.0, 3.0),
        ({"simulate__autocorrelation": 0.6}, 0.6, 3.0),
        ({"simulate__errors": "t", "simulate__degrees_of_freedom": 9.0}, 0.0, 3 + 6 / 5),
        ({"simulate__autocorrelation": 0.6, "simulate__covariates": TIME}, 0.6, 3.0),
    ],
)
def test_errors_have_the_stated_law(
    changes: dict[str, Any], autocorrelation: float, kurtosis: float
) -> None:
    e = residuals(made(simulated(**changes)))
    assert e.mean() == pytest.approx(0, abs=0.1)
    assert e.var() == pytest.approx(4, rel=0.06)
    series = e.reshape(4000, 5)
    neighbours = np.mean(series[:, 1:] * series[:, :-1]) / e.var()
    assert neighbours == pytest.approx(autocorrelation, abs=0.04)
    assert series[:, 0].var() == pytest.approx(4, rel=0.1)
    assert np.mean((e / e.std()) ** 4) == pytest.approx(kurtosis, abs=0.5)


def test_heteroscedastic_errors_grow_with_the_covariate() -> None:
    tables = simulated(simulate__heteroscedastic={"covariate": "x", "strength": 0.5})
    data = made(tables)
    e, x = residuals(data), data.frame["x"].to_numpy()
    assert e.var() == pytest.approx(4, rel=0.08)
    slope = np.polyfit(x, np.log(np.abs(e)), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.05)


def test_lost_rows_leave_every_unit_one() -> None:
    whole, fewer = made(simulated()), made(simulated(simulate__missing_rows=0.6))
    assert len(fewer.frame) / len(whole.frame) == pytest.approx(0.4, abs=0.02)
    assert fewer.frame["unit"].nunique() == 4000


def test_cell_effects_follow_the_covariate_and_leave_no_trace_in_absorbed_fits() -> None:
    effect = {"sd": 1.0, "covariate": "x", "slope": 3.0}
    tables = simulated(
        simulate__cells=2, simulate__cell_effect=effect, simulate__coefficients={"x": [1.0]},
        model__absorb="cell",
    )  # fmt: skip
    data = made(tables)
    assert data.outcomes is not None
    by_cell = data.frame.assign(e=data.outcomes[:, 0] - data.frame["x"]).groupby("cell")
    means = by_cell[["x", "e"]].mean()
    assert np.polyfit(means["x"], means["e"], 1)[0] == pytest.approx(3, abs=0.1)
    spec = mc.MixtureSpec("y ~ x", unit="unit", absorb="cell", n_components=1)
    fitted = mc.fit(spec, data.panel(spec), starts=1)
    assert fitted.coefficients.item() == pytest.approx(1, abs=0.05)
    assert fitted.covariance.item() == pytest.approx(4, rel=0.05)


def test_within_transformation_counts_all_rows() -> None:
    tables = simulated(
        simulate__coefficients={"x": [1.0]}, model__absorb="cell", simulate__periods=4
    )
    data = made(tables)
    spec = mc.MixtureSpec("y ~ x", unit="unit", absorb="cell", n_components=1)
    fits = [
        fit_method(Method("em", {"starts": 1}, within=w), spec, data.panel(spec), 0, {})
        for w in (False, True)
    ]
    ratio = fits[1].covariance.item() / fits[0].covariance.item()
    assert ratio == pytest.approx(3 / 4, rel=1e-9)
    assert fits[1].coefficients.item() == pytest.approx(fits[0].coefficients.item(), rel=1e-9)
    plain = mc.MixtureSpec("y ~ 0 + x", unit="unit", n_components=1)
    with pytest.raises(DataError, match="needs a model with absorb"):
        within(plain, data.panel(plain))


def test_resampled_units_keep_their_rows_together() -> None:
    frame = pd.DataFrame({"u": list("aabbbc"), "c": [0, 1, 0, 0, 1, 0], "y": np.arange(6.0)})
    spec = mc.MixtureSpec("y ~ 1", unit="u", absorb=("u", "c"), n_components=1)
    drawn, chosen = resample_units(frame, spec, 50, np.random.default_rng(1))
    assert drawn["u"].nunique() == 50
    for copy, source in enumerate(chosen):
        own = drawn.loc[drawn["u"] == copy, "y"].tolist()
        assert own == frame.loc[frame["u"] == "abc"[source], "y"].tolist()


def test_bootstrap_study_has_the_whole_panels_fit_for_truth(tiny_csv: Any) -> None:
    tables = content(data={"file": str(tiny_csv), "resample": "units"})
    del tables["simulate"], tables["grid"]
    data = made(tables)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    whole = mc.fit(spec, tiny_csv, starts=50)
    assert data.truth is not None
    np.testing.assert_allclose(data.truth.weights, whole.weights)
    fitted = mc.fit(spec, data.panel(spec), starts=5)
    found = {row.estimand: row for row in keep(fitted, data, []).estimates}
    for name, row in found.items():
        assert abs(row.estimate - row.truth) < 8 * row.standard_error, name


def test_real_design_with_parameters_of_a_fit(tiny_csv: Any) -> None:
    tables = content(
        data={"file": str(tiny_csv)},
        simulate={"design": "resampled", "truth": "fit", "units": 60, "missing_rows": 0.2},
    )
    del tables["grid"]
    data = made(tables)
    assert data.frame["unit"].nunique() == 60
    assert 210 < len(data.frame) < 270  # of 300
    assert any("20 % of the rows" in text for text in mechanism(build_study(tables)))
    assert data.outcomes is not None
    assert set(data.frame["x"]) <= set(pd.read_csv(tiny_csv)["x"])
    assert not np.any(np.isin(data.outcomes, data.frame["y"]))


def two_classes() -> tuple[mc.Fit, DataSet]:
    tables = content(simulate__units=60, simulate__weights=[0.3, 0.7])
    del tables["grid"]
    data = made(tables)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    return mc.fit(spec, data.panel(spec), starts=5), data


def test_estimates_get_the_labels_of_the_truth() -> None:
    fitted, data = two_classes()
    # The fit numbers its classes by weight, so its first is the truth's second.
    assert fitted.weights.to_numpy()[0] > 0.5
    found = {row.estimand: row for row in keep(fitted, data, []).estimates}
    assert found["weights[1]"].truth == 0.3
    assert found["weights[1]"].estimate == fitted.weights.to_numpy()[1]
    summary = fitted.summary()
    for name, row in found.items():
        other = name.replace("[1", "[0").replace("[2", "[1").replace("[0", "[2")
        assert row[2:] == pytest.approx(summary.loc[other, ["estimate", "se", "lower", "upper"]])
        assert abs(row.estimate - row.truth) < 5 * row.standard_error, name


def test_posteriors_get_the_labels_of_the_truth() -> None:
    fitted, data = two_classes()
    posterior = stand_in(fitted, switch_every=10)
    em, own = (keep(f, data, ["x"]).estimates for f in (fitted, posterior))
    assert [row.estimand for row in own] == ["coefficients[1, x]", "coefficients[2, x]"]
    for a, b in zip(em, own, strict=True):
        assert b.estimate == pytest.approx(a.estimate, abs=0.3 * a.standard_error)
        assert b.standard_error == pytest.approx(a.standard_error, rel=0.3)
    assert keep(posterior, data, []).diagnostics["labellings"] == 2


def members(**changes: Any) -> dict[str, Any]:
    """The small study with classes that follow a covariate of the unit."""
    own = {
        "model__membership": "~ z",
        "simulate__membership": {"Intercept": [1.0, 0.0], "z": [0.5, 2.0]},
        "simulate__units": 400,
    }
    tables = content(**{**own, **changes})
    del tables["grid"], tables["simulate"]["weights"]
    tables["simulate"]["covariates"]["z"] = {"distribution": "normal", "level": "unit"}
    return tables


def test_classes_follow_the_units_covariates() -> None:
    data = made(members(simulate__units=5000))
    assert data.truth is not None
    assert data.truth.membership is not None
    assert data.classes is not None
    assert data.truth.membership.tolist() == [[0, 0], [-1, 1.5]]
    assert data.classes.mean(axis=0) == pytest.approx(data.truth.weights, abs=0.02)
    z = data.frame.groupby("unit")["z"].first().to_numpy()
    second = 1 / (1 + np.exp(1 - 1.5 * z))
    # Score of the logistic regression at the truth, in its standard errors.
    design = np.stack([np.ones_like(z), z])
    information = np.diag(design * (second * (1 - second)) @ design.T)
    score = design @ (data.classes[:, 1] - second) / np.sqrt(information)
    assert np.all(np.abs(score) < 3)


def test_log_odds_are_against_the_class_that_is_first_in_truth() -> None:
    data = made(members())
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, membership="~ z")
    fitted = mc.fit(spec, data.panel(spec), starts=5)
    # The mechanism's first class is the smaller one, so that the fit's numbering differs.
    assert data.truth is not None
    assert data.truth.weights[0] > 0.5
    swapped = made(members(simulate__membership={"Intercept": [-2.0, 0.0], "z": [0.0, 1.5]}))
    other = mc.fit(spec, swapped.panel(spec), starts=5)
    for fit, own, flipped in ((fitted, data, False), (other, swapped, True)):
        summary: Any = fit.summary()
        found = {row.estimand: row for row in keep(fit, own, []).estimates}
        for name in ("membership[2, Intercept]", "membership[2, z]"):
            row, sign = found[name], -1 if flipped else 1
            assert row.estimate == pytest.approx(sign * summary.loc[name, "estimate"])
            assert row.standard_error == pytest.approx(summary.loc[name, "se"])
            assert abs(row.estimate - row.truth) < 4 * row.standard_error
        posterior = {row.estimand: row for row in keep(stand_in(fit), own, []).estimates}
        row = posterior["membership[2, z]"]
        assert row.estimate == pytest.approx(found[row.estimand].estimate, abs=0.2)
        assert row.truth == found[row.estimand].truth


def test_log_odds_between_two_classes_that_are_not_the_fits_first() -> None:
    # The fit's classes (0, 1, 2) are the truth's (2, 0, 1).
    spec = mc.MixtureSpec("y ~ 1", unit="u", n_components=3, membership="~ z")
    names = SimpleNamespace(
        covariate_names=("Intercept",), outcome_names=("y",), common_names=(),
        concomitant_names=("Intercept", "z"),
    )  # fmt: skip
    layout = Layout.of(spec, names)
    odds = np.array([[0, 0], [1, 2], [10, 20.0]])
    values = [
        odds[p.position] if p.variable == "membership_coefficients" else np.nan
        for p in layout.parameters
    ]
    permutation = np.array([1, 2, 0])
    moved = odds[permutation] - odds[permutation][0]
    combinations = layout.combinations(permutation)
    for parameter, combination in zip(layout.parameters, combinations, strict=True):
        if parameter.variable == "membership_coefficients":
            total = sum(factor * values[place] for place, factor in combination)
            assert total == moved[parameter.position]


def test_membership_that_a_model_adds_or_leaves_out() -> None:
    plain = made(content(simulate__units=400))
    frame = plain.frame.assign(z=np.sin(plain.frame["unit"]))
    data = replace(plain, frame=frame)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2, membership="~ z")
    found = {row.estimand: row for row in keep(mc.fit(spec, data.panel(spec)), data, []).estimates}
    assert found["membership[2, z]"].truth == 0
    assert found["membership[2, Intercept]"].truth == pytest.approx(np.log(0.4 / 0.6))
    tables = members(methods__naive={"backend": "em", "membership": False})
    study = build_study(tables)
    assert study.methods["naive"].spec(study.spec).membership is None


def test_fit_with_other_classes_has_criteria_but_no_estimates() -> None:
    _, data = two_classes()
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=1)
    fitted = mc.fit(spec, data.panel(spec), starts=1)
    kept = keep(fitted, data, [])
    assert kept.estimates == ()
    found = kept.criteria
    assert found["components_recovered"] == 0
    assert "brier_score" not in found


def test_fit_without_a_wanted_estimand_has_none() -> None:
    fitted, data = two_classes()
    assert keep(fitted, data, ["coefficients[3, x]"]).estimates == ()
    assert len(keep(fitted, data, ["coefficients[2, x]"]).estimates) == 1


def test_number_of_classes_is_chosen_by_bic() -> None:
    _, data = two_classes()
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=1)
    chosen = fit_method(
        Method("em", {"starts": 3}, choose=(1, 2, 3)), spec, data.panel(spec), 0, {}
    )
    assert chosen.spec.n_components == 2
    assert keep(chosen, data, []).criteria["components_recovered"] == 1


def test_omitted_and_superfluous_effects() -> None:
    tables = simulated(
        simulate__formula="y ~ x + z",
        simulate__coefficients={"Intercept": [2.0], "x": [1.0], "z": [0.5]},
        simulate__units=300,
    )
    tables["simulate"]["covariates"] |= {
        "z": {"distribution": "uniform", "low": -1.0, "high": 1.0},
        "w": {"distribution": "bernoulli", "probability": 0.3, "level": "unit"},
    }
    data = made(tables)
    spec = mc.MixtureSpec("y ~ x + w", unit="unit", n_components=1)
    fitted = mc.fit(spec, data.panel(spec), starts=1)
    truths = {row.estimand: row.truth for row in keep(fitted, data, []).estimates}
    assert truths["coefficients[1, x]"] == 1
    assert truths["coefficients[1, w]"] == 0
    assert data.frame.groupby("unit")["w"].nunique().max() == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"simulate__coefficients": {"x": [1.0]}}, "must have Intercept, x.*it has x"),
        ({"simulate__coefficients": {"Intercept": [0.0, 1.0], "x": [1.0]}}, "must have shape"),
        ({"simulate__covariance": [1.0, 2.0]}, "covariance must be a variance, 1 variances"),
        ({"simulate__covariance": -1.0}, "must be positive definite"),
        ({"simulate__formula": "y ~ x + z"}, r"'z' .*without a distribution.*covariates\.z"),
        (
            {
                "model__membership": "~ z",
                "simulate__weights": None,
                "simulate__membership": {"z": [0.0]},
            },
            r"'z' .*without a distribution.*covariates\.z",
        ),
        (
            {
                "model__membership": "~ u",
                "simulate__covariates": UNIT,
                "simulate__weights": None,
                "simulate__membership": {"u": [0.0]},
            },
            r"\[simulate.membership\] must have Intercept, u.* it has u",
        ),
        ({"simulate__heteroscedastic": {"covariate": "xx", "strength": 1.0}}, "'xx'.*did you mean"),
        (
            {"simulate__covariates": {"unit": {"distribution": "normal"}}},
            r"\[simulate.covariates.unit\] has the name .* design's units",
        ),
        (
            {"simulate__covariates": {**UNIT, "cell": {"distribution": "normal"}}},
            r"\[simulate.covariates.cell\] has the name .* design's cells",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        made(simulated(**{"simulate__units": 20, **changes}))


def on_real_rows(path: Any, **simulate: Any) -> dict[str, Any]:
    """The design of a table, without a unit unless one is given."""
    tables = content(data={"file": str(path)}, model__n_components=1)
    del tables["grid"], tables["model"]["unit"]
    stated = {name: SIMULATED["simulate"][name] for name in ("coefficients", "covariance")}
    tables["simulate"] = {"design": "given", "weights": [0.6, 0.4], **stated, **simulate}
    return tables


@pytest.mark.parametrize("name", ["missing_rows", "autocorrelation"])
def test_rows_that_are_units_cannot_be_lost_or_correlated(tiny_csv: Any, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} = 0\.3.*without \[model\] unit"):
        made(on_real_rows(tiny_csv, **{name: 0.3}))


def test_columns_of_a_real_design_may_have_the_names_of_a_mechanisms_own(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(2000), 4)
    years = 1990 + 5 * np.tile(np.arange(4), 2000)
    frame = pd.DataFrame({"unit": unit, "time": years, "cell": "a", "x": rng.normal(size=8000)})
    frame.assign(y=0.0).to_csv(tmp_path / "real.csv", index=False)
    tables = on_real_rows(
        tmp_path / "real.csv", autocorrelation=0.6, weights=[1.0], covariance=1.0,
        coefficients={"Intercept": [0.0], "x": [0.0]},
    )  # fmt: skip
    tables["model"]["unit"] = "unit"
    data = made(tables)
    assert data.outcomes is not None
    series = data.outcomes.reshape(2000, 4)
    neighbours = np.mean(series[:, 1:] * series[:, :-1]) / series.var()
    assert neighbours == pytest.approx(0.6, abs=0.04)
    tables["simulate"]["cell_effect"] = {"sd": 1.0}
    with pytest.raises(DataError, match="needs design = 'generated'"):
        made(tables)
