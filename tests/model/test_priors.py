"""Default priors by the formulas of the documentation, and their overrides."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixcompare.base.errors import SpecificationError
from mixcompare.data.panel import build_panel
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.prior_table import describe_priors, prior_table
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import resolve_priors


def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x, w = rng.normal(5, 3, size=(2, 60))
    noise = rng.normal(size=(2, 60))
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(15), 4),
            "x": x,
            "w": w,
            "y1": 100 + 2 * x + noise[0],
            "y2": -3 + 0.5 * w + 4 * noise[1] + noise[0],
        }
    )


def model(formula: str = "y1 + y2 ~ x + w", **options: Any) -> tuple[MixtureSpec, Prepared]:
    problem = described(formula, **options)
    return problem.spec, problem.prepared


def described(formula: str, **options: Any) -> Problem:
    spec = MixtureSpec(formula, **{"unit": "unit", "n_components": 3, **options})
    return Problem.of(spec, build_panel(spec, data()))


def residual_covariance(x: Any, y: Any, divisor: int) -> Any:
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return rest.T @ rest / divisor


def test_defaults() -> None:
    priors = resolve_priors(*model())
    d = data()
    y, x = d[["y1", "y2"]].to_numpy(), d[["x", "w"]].to_numpy()
    assert priors.concentration == 2
    intercept = np.vstack([y.mean(axis=0), np.zeros((2, 2))])
    np.testing.assert_allclose(priors.coefficient_mean, intercept)
    slopes = 2.5 * y.std(axis=0) / x.std(axis=0)[:, None]
    np.testing.assert_allclose(priors.coefficient_sd, [2.5 * y.std(axis=0), *slopes])
    assert priors.covariance_df == 4
    design = np.column_stack([np.ones(60), x])
    expected = residual_covariance(design, y, 60) / 3
    np.testing.assert_allclose(priors.covariance_scale, expected, rtol=1e-10)


def test_defaults_with_one_outcome_divide_by_the_square_of_k() -> None:
    spec, prepared = model("y1 ~ x", n_components=4)
    priors = resolve_priors(spec, prepared)
    d = data()
    expected = residual_covariance(np.column_stack([np.ones(60), d.x]), d[["y1"]].to_numpy(), 60)
    np.testing.assert_allclose(priors.covariance_scale, expected / 16, rtol=1e-10)
    assert priors.covariance_df == 3


def test_defaults_under_absorption_use_what_is_left() -> None:
    priors = resolve_priors(*model(absorb="unit"))
    d = data()
    within = d - d.groupby("unit").transform("mean").assign(unit=0)
    sd = np.sqrt((within**2).sum() / 45)
    np.testing.assert_allclose(priors.coefficient_mean, 0)
    for i, x in enumerate(("x", "w")):
        expected = [2.5 * sd[y] / sd[x] for y in ("y1", "y2")]
        np.testing.assert_allclose(priors.coefficient_sd[i], expected, rtol=1e-10)
    scale = residual_covariance(within[["x", "w"]].to_numpy(), within[["y1", "y2"]].to_numpy(), 45)
    np.testing.assert_allclose(priors.covariance_scale, scale / 3, rtol=1e-10)


def test_a_constant_other_than_one_is_an_intercept_in_its_own_unit() -> None:
    spec, prepared = model("y1 ~ 0 + I(0 * x + 10) + x")
    priors, plain = resolve_priors(spec, prepared), resolve_priors(*model("y1 ~ x"))
    np.testing.assert_allclose(priors.coefficient_mean[0], plain.coefficient_mean[0] / 10)
    np.testing.assert_allclose(priors.coefficient_sd[0], plain.coefficient_sd[0] / 10)
    np.testing.assert_allclose(priors.coefficient_sd[1], plain.coefficient_sd[1])


def test_overrides() -> None:
    default = resolve_priors(*model())
    changed = resolve_priors(
        *model(
            priors={
                "concentration": 1.5,
                "coefficient_mean": {"x": 7, "w": {"y2": -1}},
                "coefficient_sd": {"Intercept": {"y1": 9}},
                "covariance_df": 11,
                "covariance_scale": [[2, 1], [1, 3]],
            }
        )
    )
    assert (changed.concentration, changed.covariance_df) == (1.5, 11)
    mean = default.coefficient_mean.copy()
    mean[1], mean[2, 1] = 7, -1
    np.testing.assert_array_equal(changed.coefficient_mean, mean)
    sd = default.coefficient_sd.copy()
    sd[0, 0] = 9
    np.testing.assert_array_equal(changed.coefficient_sd, sd)
    np.testing.assert_array_equal(changed.covariance_scale, [[2, 1], [1, 3]])


def test_numbers_for_all() -> None:
    priors = resolve_priors(
        *model(priors={"coefficient_mean": 1, "coefficient_sd": 2, "covariance_scale": 5})
    )
    np.testing.assert_array_equal(priors.coefficient_mean, np.full((3, 2), 1))
    np.testing.assert_array_equal(priors.coefficient_sd, np.full((3, 2), 2))
    np.testing.assert_array_equal(priors.covariance_scale, 5 * np.eye(2))


@pytest.mark.parametrize(
    ("priors", "options", "message"),
    [
        ({"coefficient_mean": {"z": 1}}, {}, "covariate 'z'.* it has: Intercept, x, w"),
        ({"coefficient_sd": {"x": {"y3": 1}}}, {}, "outcome 'y3'.* it has: y1, y2"),
        ({"covariance_scale": [[1.0]]}, {}, "is 1 x 1; the model has 2 outcome"),
        ({"covariance_df": 1.0}, {}, "above 1 for 2 outcome.* not 1.0"),
        ({"coefficient_mean": {"Intercept": 1}}, {"absorb": "unit"}, "covariate 'Intercept'"),
    ],
)
def test_overrides_that_do_not_fit(
    priors: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecificationError, match=message):
        resolve_priors(*model(priors=priors, **options))


def test_degrees_of_freedom_of_variances_may_be_small() -> None:
    priors = resolve_priors(*model(priors={"covariance_df": 0.5}, covariance="diagonal"))
    assert priors.covariance_df == 0.5


@pytest.mark.parametrize(
    ("covariance", "words"),
    [
        ("full", "Inverse-Wishart(6, [2 1; 1 4])"),
        ("diagonal", "Inverse-Gamma(3, [1, 2])"),
        ("spherical", "Inverse-Gamma(3, 1.5)"),
    ],
)
def test_the_table_in_words(covariance: Any, words: str) -> None:
    problem = described(
        "y1 + y2 ~ 0 + x",
        covariance=covariance,
        priors={
            "coefficient_mean": 1,
            "coefficient_sd": {"x": {"y1": 2, "y2": 0.25}},
            "covariance_df": 6,
            "covariance_scale": [[2, 1], [1, 4]],
        },
    )
    assert prior_table(problem).to_dict("list") == {
        "parameter": ["weights", "coefficients[x][y1]", "coefficients[x][y2]", "covariance"],
        "prior": ["Dirichlet(2, 2, 2)", "Normal(1, 2)", "Normal(1, 0.25)", words],
        "note": [""] * 4,
    }


def test_a_covariate_far_from_zero_is_noted() -> None:
    """A calendar year makes independent priors of intercept and slope say a lot."""
    year = np.tile(np.arange(1990.0, 2000.0), 3)
    data = {"y": np.sin(year), "year": year, "t": year - 1994.5}
    far = describe_priors(MixtureSpec("y ~ year", n_components=2), data)["note"]
    near = describe_priors(MixtureSpec("y ~ t", n_components=2), data)["note"]
    assert [bool(note) for note in far] == [False, False, True, False]
    assert "centre the covariate" in far[2]
    assert not near.any()


def test_the_table_with_one_outcome() -> None:
    problem = described(
        "y1 ~ 0 + x", priors={"coefficient_sd": 3, "covariance_df": 4, "covariance_scale": 10}
    )
    assert prior_table(problem)["prior"].tolist() == [
        "Dirichlet(2, 2, 2)",
        "Normal(0, 3)",
        "Inverse-Gamma(2, 5)",
    ]
    assert prior_table(problem)["parameter"].tolist()[1] == "coefficients[x]"
