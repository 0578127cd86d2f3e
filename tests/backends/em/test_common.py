"""Common coefficients: exact, one number for all classes, the same as other packages' OLS."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mixcompare as mc
from mixcompare.backends.em.mixture import maximise
from tests.em_cases import STRUCTURES, build, normal_theta, random_parameters, simulate


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_common_coefficients_are_the_same_number_in_all_classes(
    covariance: str, by: str, absorb: bool
) -> None:
    case = build(covariance, by, m=2, k=3, absorb=absorb, common="~ x1", units=60)
    fit = mc.fit(case.spec, case.table, starts=10)
    values = fit.coefficients.sel(covariate="x1").to_numpy()
    np.testing.assert_array_equal(values, np.broadcast_to(values[0], values.shape))
    names = [p.name for p in fit.parameters]
    assert "coefficients[x1, y1]" in names
    assert "coefficients[1, x1, y1]" not in names
    assert fit.n_parameters == len(names) - 1
    assert float(fit.tree["standard_errors"]["coefficients"].min()) > 0
    assert fit.tree["estimate"].attrs["score_distance"] < 1e-3


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
def test_m_step_is_the_conditional_maximum(covariance: str, by: str) -> None:
    case = build(covariance, by, m=2, k=2, common="~ x2")
    before = case.model.from_raw(random_parameters(case, seed=1))
    tau = np.random.default_rng(1).dirichlet([1.0, 1.0], size=case.data.shape[0])
    after = maximise(case.model, tau, before)
    reached = after.blocks["coefficients"]

    def expected(coefficients: np.ndarray) -> float:
        at = normal_theta(after.weights, coefficients, before.blocks["covariance"])
        return float((tau * case.model.expect(at).joint).sum())

    best = expected(reached)
    rng = np.random.default_rng(2)
    for _ in range(20):
        move = rng.normal(size=reached.shape) * 1e-3
        move[:, -1] = move[0, -1]  # the common row
        assert expected(reached + move) < best


def test_known_classes_give_statsmodels_interactions() -> None:
    table = simulate(units=60, rows=(4, 4), k=2, seed=4)
    spec = mc.MixtureSpec(
        "y1 ~ x1 + x2", unit="unit", n_components=2, common="~ x2", covariance_by="shared"
    )
    # Classes so far apart that they are known.
    classes = (np.arange(60) % 3 == 0).astype(int)
    table["y1"] += 1e4 * classes[table["unit"]]
    fit = mc.fit(spec, table, starts=0, initial=classes)
    group = classes[table["unit"]]
    design = pd.DataFrame(
        {f"{name}{c}": value * (group == c) for c in (0, 1) for name, value in columns(table)}
    ).assign(x2=table["x2"])
    ols = sm.OLS(table["y1"], design).fit()
    order = [0, 1] if fit.weights[0] > 0.5 else [1, 0]
    for k, c in enumerate(order):
        row = fit.coefficients.isel(mixture_component=k, outcome=0)
        assert float(row.sel(covariate="Intercept")) == pytest.approx(ols.params[f"c{c}"], rel=1e-9)
        assert float(row.sel(covariate="x1")) == pytest.approx(ols.params[f"x1{c}"], rel=1e-7)
        assert float(row.sel(covariate="x2")) == pytest.approx(ols.params["x2"], rel=1e-7)
    assert float(fit.covariance[0, 0, 0]) == pytest.approx(ols.ssr / len(table), rel=1e-9)
    log_likelihood = ols.llf + 60 * np.log([2 / 3, 1 / 3]) @ [2 / 3, 1 / 3]
    assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)


def columns(table: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    return [("c", pd.Series(1.0, index=table.index)), ("x1", table["x1"])]


def test_terms_beside_the_formula_categories_and_the_intercept_may_be_common() -> None:
    table = simulate(units=60, k=2, seed=1).assign(
        region=lambda t: (t["unit"] % 3).map(list("abc").__getitem__)
    )
    spec = mc.MixtureSpec("y1 ~ x1", unit="unit", n_components=2, common="~ 1 + C(region) + x2")
    panel = mc.build_panel(spec, table)
    assert panel.covariate_names == ("Intercept", "x1", "C(region)[T.b]", "C(region)[T.c]", "x2")
    assert panel.common_names == ("Intercept", "C(region)[T.b]", "C(region)[T.c]", "x2")
    fit = mc.fit(spec, table, starts=8)
    spread = np.ptp(fit.coefficients.to_numpy(), axis=0)[:, 0]
    np.testing.assert_array_equal(spread > 0, [False, True, False, False, False])


def test_common_is_a_constraint_so_the_likelihood_cannot_rise() -> None:
    table = simulate(units=60, k=2, seed=2)
    free = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)
    tied = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2, common="~ x1")
    full, less = (mc.fit(spec, table, starts=20) for spec in (free, tied))
    assert less.log_likelihood < full.log_likelihood
    assert full.n_parameters - less.n_parameters == 1
    single = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=1)
    tied_single = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=1, common="~ x1")
    one, other = (mc.fit(spec, table) for spec in (single, tied_single))
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"common": "~ 1 + x1", "covariance_by": "shared"}, "nothing tells one class from another"),
        ({"common": "~ z"}, "unknown column 'z'"),
        ({"common": "~ 1", "unit": "unit", "absorb": "unit"}, "common '~ 1' asks for an intercept"),
    ],
)
def test_what_cannot_be_common_is_refused(spec: dict[str, str], words: str) -> None:
    with pytest.raises(mc.DataError) as raised:
        mc.build_panel(mc.MixtureSpec("y1 ~ x1", n_components=2, **spec), simulate())  # type: ignore[arg-type]
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("common", "words"),
    [
        ("y ~ x", "must have one side"),
        ("~ 0", "names no term"),
        ("", "non-empty"),
        ("~ x +* z", "parsed"),
    ],
)
def test_malformed_common_formulas_are_refused(common: str, words: str) -> None:
    with pytest.raises(mc.SpecificationError, match=words):
        mc.MixtureSpec("y ~ x", n_components=2, common=common)
