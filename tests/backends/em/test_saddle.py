"""EM's end at a saddle point is left, or said to be one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.em import saddle as saddle_module
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.information import complete_information, score_and_information
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import maximise
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Started
from mixcompare.backends.em.saddle import off_saddles
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.compress import compress
from tests.em_cases import build, changed, simulate

KERNELS = ["numpy", "numba"]


def two_groups(n: int = 60) -> FloatArray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, n), rng.normal(9, 1, n)])


def undecided(n: int, k: int = 2) -> FloatArray:
    return np.full((n, k), 1 / k)


@pytest.mark.parametrize("kernels", KERNELS)
def test_equal_classes_are_told_apart(kernels: str) -> None:
    # Symmetric and flatter than a normal, so that the curvature is zero and not negative.
    x = two_groups()
    x = np.concatenate([x, 9 - x])
    spec = mc.MixtureSpec("x ~ 1", n_components=2)
    best = mc.fit(spec, {"x": x}, starts=5, kernels=kernels)
    fit = mc.fit(spec, {"x": x}, starts=0, initial=undecided(len(x)), kernels=kernels)
    assert fit.status == "converged"
    assert fit.cautions == ()
    assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-6)
    assert "beyond a saddle point after" in fit.message
    starts, history = (fit.tree[name].to_dataset() for name in ("starts", "history"))
    assert "beyond a saddle point after" in str(starts["message"].item())
    assert int(starts["iterations"].item()) == history.sizes["iteration"]
    assert np.diff(history["log_likelihood"]).min() > -1e-9
    assert np.isfinite(fit.summary()["se"]).all()


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({}, {}),
        ({"covariance_by": "shared"}, {}),
        ({"common": "x2"}, {"kernels": "numba"}),
        ({"unit_weights": "count"}, {}),
        ({"membership": "income"}, {}),
        ({}, {"estimator": "map"}),
        ({"n_components": 3}, {}),
    ],
)
def test_a_panel_with_undecided_units(model: dict[str, Any], options: dict[str, Any]) -> None:
    table = simulate(units=60, seed=7)
    spec = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", **{"n_components": 2, **model})
    start = undecided(60, spec.n_components)
    fit = mc.fit(spec, table, starts=0, initial=start, **options)
    one = mc.fit(mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=1), table)
    assert fit.status == "converged"
    assert "saddle" in fit.message
    if not options and "unit_weights" not in model:
        assert fit.log_likelihood > one.log_likelihood + 10
    assert not np.isnan(fit.summary()["se"]).any()


def test_a_saddle_point_of_two_different_classes() -> None:
    # Four groups on a rectangle, mirrored exactly: a split along its short side stays one.
    quarter = np.random.default_rng(1).normal([4.0, 1.5], 0.7, size=(40, 2))
    values = np.concatenate([quarter * sides for sides in [(1, 1), (-1, 1), (1, -1), (-1, -1)]])
    table = pd.DataFrame(values, columns=["a", "b"])
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2, covariance="spherical")
    best = mc.fit(spec, table, starts=10)
    start = (values[:, 1] > 0).astype(int)
    fit = mc.fit(spec, table, starts=0, initial=start, acceleration="none")
    assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-6)
    assert "saddle" in fit.message


@pytest.mark.filterwarnings(
    "ignore:Outcome 'x' has only two values:mixcompare.base.errors.DataWarning"
)
@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("low", [0.0, -9999.0])
@pytest.mark.parametrize("shares", [(50, 50), (30, 70)])
def test_two_places(low: float, shares: tuple[int, int], kernels: str) -> None:
    # Beside equal classes the likelihood rises without bound: there is no maximum to give.
    table = {"x": np.repeat([low, 9999.0], shares)}
    spec = mc.MixtureSpec("x ~ 1", n_components=2)
    fit = mc.fit(spec, table, starts=0, initial=undecided(100), kernels=kernels)
    assert fit.status == "saddle"
    of_data, caution = fit.cautions
    assert "only two values" in of_data
    assert "saddle point, not a maximum" in caution
    assert "a saddle point (EM from beside it rises: iteration" in fit.message
    assert "collapsed" in fit.message
    assert fit.tree["standard_errors"].attrs["reason"]
    assert np.isnan(fit.summary()["se"]).any()


@pytest.mark.filterwarnings(
    "ignore:Outcome 'x' has only two values:mixcompare.base.errors.DataWarning"
)
def test_every_start_at_the_saddle_point_is_said_to_be_there() -> None:
    table = {"x": np.repeat([0.0, 9999.0], 50)}
    fit = mc.fit(mc.MixtureSpec("x ~ 1", n_components=2), table, starts=12)
    starts = fit.tree["starts"].to_dataset()
    assert fit.status == "saddle"
    assert set(starts["status"].to_numpy()) == {"saddle", "degenerate"}
    np.testing.assert_array_equal(starts["optimum"] == 0, starts["status"] == "saddle")


def test_a_saddle_point_that_cannot_be_left_gives_way_to_a_maximum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = mc.MixtureSpec("x ~ 1", n_components=2)
    data = mixture_of(spec, compress(mc.build_panel(spec, {"x": two_groups()})))
    hard = np.eye(2)[np.repeat([0, 1], 60)]
    saddle, maximum = (iterate(data, tau, Options()) for tau in (undecided(120), hard))
    low = saddle.log_likelihood[-1] - 1 - maximum.log_likelihood[-1]
    lower = replace(maximum, log_likelihood=maximum.log_likelihood + low)
    collapsed = replace(maximum, status="degenerate", message="collapsed")
    monkeypatch.setattr(saddle_module, "iterate", lambda *_: collapsed)

    def highest(started: Sequence[Started]) -> int:
        heights = [s.run.objective[-1] if s.run.usable else -np.inf for s in started]
        return int(np.argmax(heights))

    started = [Started("user", lower), Started("random", saddle), Started("random", saddle)]
    ended, curvature = off_saddles(data, started, Options(), highest)
    assert [s.run.status for s in ended] == ["converged", "saddle", "saddle"]
    assert "collapsed" in ended[1].run.message
    assert np.linalg.eigvalsh(curvature[2])[0] > 0


# What is no saddle point stays what it was.


def test_one_class_and_a_good_maximum_are_left_alone() -> None:
    table = simulate(units=60, seed=7)
    for k in (1, 2):
        fit = mc.fit(mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=k), table, starts=4)
        assert fit.status == "converged"
        assert "saddle" not in fit.message


def test_separated_units_are_no_saddle_point() -> None:
    x, w = two_groups(), np.repeat([0.0, 1.0], 60)
    spec = mc.MixtureSpec("x ~ 1", n_components=2, membership="w")
    fit = mc.fit(spec, {"x": x, "w": w}, starts=4)
    assert fit.status == "separated"
    assert "saddle" not in fit.message


def test_an_unfinished_run_is_not_judged() -> None:
    spec = mc.MixtureSpec("x ~ 1", n_components=2)
    start = undecided(120) + np.array([1e-9, -1e-9])
    fit = mc.fit(spec, {"x": two_groups()}, starts=0, initial=start, max_iterations=2)
    assert fit.status == "iteration limit"


@pytest.mark.parametrize("membership", [None, "income"])
@pytest.mark.parametrize("common", [None, "x1"])
def test_complete_information_is_the_observed_one_where_classes_are_known(
    common: str | None, membership: str | None
) -> None:
    case = build(m=2, common=common, membership=membership, units=40)
    tau = np.eye(2)[np.random.default_rng(0).integers(2, size=40)]
    at = maximise(case.model, tau)
    observed = score_and_information(case.model, at)[2]
    complete = complete_information(case.model, at)
    assert np.linalg.eigvalsh(complete - observed)[0] > -1e-9 * np.abs(complete).max()
    far = at.blocks["coefficients"].copy()
    far[1, 0] += 1e4
    apart = changed(at, coefficients=far)
    observed = score_and_information(case.model, apart)[2]
    complete = complete_information(case.model, apart)
    np.testing.assert_allclose(observed, complete, rtol=1e-9, atol=1e-6 * np.abs(complete).max())
