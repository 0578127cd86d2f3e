"""Stopping rules, the history of the best start, and sandwich standard errors."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import statsmodels.api as sm

import mixcompare as mc
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.stopping import TOLERANCES, Criterion, Iterate, criterion_value
from tests.em_cases import build, random_parameters, simulate

SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=2)


@pytest.mark.parametrize("criterion", get_args(Criterion))
def test_every_rule_reaches_the_same_maximum(criterion: str) -> None:
    table = simulate(seed=8)
    reference = mc.fit(SPEC, table, starts=4, seed=1)
    fit = mc.fit(SPEC, table, starts=4, seed=1, criterion=criterion)
    assert fit.status == "converged"
    assert fit.log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-10)
    assert f"{criterion} criterion" in fit.message
    best = fit.tree["starts"].to_dataset().isel(start=0)
    assert float(best["criterion"]) <= TOLERANCES[criterion]
    assert fit.tree["estimate"].attrs["score_distance"] < 1e-3


@pytest.mark.parametrize("criterion", get_args(Criterion))
def test_a_looser_tolerance_stops_earlier(criterion: str) -> None:
    table = simulate(seed=8)
    strict, loose = (
        mc.fit(SPEC, table, starts=1, kinds="random", seed=1, criterion=criterion, tolerance=t)
        for t in (TOLERANCES[criterion], 1e-3)
    )
    first, second = (f.tree["starts"].to_dataset()["iterations"] for f in (loose, strict))
    assert int(first[0]) < int(second[0])
    assert loose.log_likelihood < strict.log_likelihood


def test_q_rule_by_hand() -> None:
    case = build(m=2, k=2, seed=1)
    points = [case.model.from_raw(random_parameters(case, seed=s))[None] for s in (1, 2)]
    old, new = (Iterate(case.model.expect(p), np.zeros(1)) for p in points)
    size, connected = np.ones(1), np.array([2])
    tau = old.reached.occupancy
    expected = abs((tau * new.reached.joint).sum() - (tau * old.reached.joint).sum())
    [found] = criterion_value("q", [old, new], size, connected)
    assert found == pytest.approx(expected, rel=1e-10)
    assert criterion_value("q", [old, new], size, np.array([1])) == [np.inf]  # it has leapt
    assert criterion_value("q", [old], size, connected) == [np.inf]
    assert criterion_value("aitken", [old, new], size, connected) == [np.inf]


def test_history_holds_every_iterate_and_the_bound_touches_it() -> None:
    fit = mc.fit(SPEC, simulate(seed=8), starts=4, seed=1)
    history = fit.tree["history"].to_dataset()
    np.testing.assert_allclose(
        history["expected_log_likelihood"] + history["entropy"],
        history["log_likelihood"],
        rtol=1e-12,
    )
    for name in ("weights", "coefficients", "covariance"):
        np.testing.assert_array_equal(history[name].isel(iteration=-1), getattr(fit, name))
    assert (history["entropy"] >= 0).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"criterion": "score"}, "criterion must be one of aitken, log_likelihood, parameters, q"),
        ({"standard_errors": "hc3"}, "standard_errors must be one of observed, sandwich"),
    ],
)
def test_unknown_rules_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(mc.OptionError, match=words):
        Options(**options)


def test_sandwich_equals_clustered_least_squares_for_one_component() -> None:
    table = simulate(k=1, seed=3, units=40)
    spec = replace(SPEC, n_components=1)
    fit = mc.fit(spec, table, starts=1, standard_errors="sandwich")
    x = sm.add_constant(table[["x1", "x2"]])
    clustered = sm.OLS(table["y1"], x).fit(
        cov_type="cluster", cov_kwds={"groups": table["unit"], "use_correction": False}
    )
    errors = fit.tree["standard_errors"].to_dataset()
    np.testing.assert_allclose(errors["coefficients"].to_numpy()[0, :, 0], clustered.bse, rtol=1e-8)
    assert "White" in errors.attrs["method"]


def test_sandwich_is_near_the_observed_where_the_model_holds_and_wider_where_not() -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(400), 6)
    x = rng.normal(size=400)[unit]
    noise = rng.normal(size=unit.size)
    shared = rng.normal(size=400)[unit]
    mean = x * np.where(unit < 200, 3, -3) + np.where(unit < 200, 4, -4)
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    ratios = []
    for y in (mean + noise, mean + noise + shared):
        data = {"unit": unit, "x": x, "y": y}
        observed, sandwich = (
            mc.fit(spec, data, starts=4, standard_errors=m).summary()["se"].to_numpy()
            for m in ("observed", "sandwich")
        )
        ratios.append(sandwich / observed)
    slopes = [
        i for i, name in enumerate(mc.fit(spec, data, starts=4).summary().index) if ", x" in name
    ]
    np.testing.assert_allclose(ratios[0], 1.0, atol=0.2)
    # A shared term with half the variance inflates by sqrt(1 + 5 / 2).
    np.testing.assert_allclose(ratios[1][slopes], np.sqrt(3.5), rtol=0.15)
