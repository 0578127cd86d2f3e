"""Starts whose covariance or design becomes singular end as such, and end nothing else."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.backends.em.acceleration import extrapolate
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.normal.degeneracy import is_regular
from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.mixture import DegenerateComponentError, maximise
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import build_panel
from mixcompare.model.covariances import root
from mixcompare.prepared.compress import compress
from tests.em_cases import normal_data, normal_theta

FOUR = "a + b + c + d ~ 1"
KERNELS = ["numpy", "numba"]
# Answers on a scale are what these tests are about.
graded = pytest.mark.filterwarnings("ignore:.*outcome '[abcd]':mixcompare.base.errors.DataWarning")


def answers(n: int = 150, seed: int = 0) -> pd.DataFrame:
    """Four items answered 1 to 5 by two kinds of people."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.4
    latent = np.where(kind[:, None], 2.2, 3.8) + 0.6 * rng.normal(size=(n, 1))
    values = np.clip(np.rint(latent + 0.7 * rng.normal(size=(n, 4))), 1, 5)
    table = pd.DataFrame(values, columns=list("abcd"))
    return table.assign(
        unit=np.arange(n) // 3,
        x=rng.integers(2, size=n).astype(float),
        w=kind[np.arange(n) // 3 * 3].astype(float) + rng.integers(2, size=n)[np.arange(n) // 3],
        count=1.0 + np.arange(n) // 3 % 2,
    )


def on_a_line(rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=rows)
    others = rng.normal([4.0, -4.0], 1.0, size=(70, 2))
    return pd.DataFrame(
        np.concatenate([np.column_stack([x, 2 * x + 1]), others]), columns=["a", "b"]
    )


def correlation_eigenvalues(covariance: FloatArray) -> FloatArray:
    size = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return np.linalg.eigvalsh(covariance / (size[..., :, None] * size[..., None, :]))[..., 0]


@graded
@pytest.mark.parametrize("kernels", KERNELS)
def test_answers_of_a_survey(kernels: str) -> None:
    spec = mc.MixtureSpec(FOUR, n_components=3)
    fit = mc.fit(spec, answers(), starts=12, kernels=kernels)
    assert fit.status == "converged"
    assert correlation_eigenvalues(fit.covariance.to_numpy()).min() > 1e-6
    starts = fit.tree["starts"].to_dataset()
    status, message = starts["status"].to_numpy(), starts["message"].to_numpy()
    lost = status == "degenerate"
    assert 0 < lost.sum() < len(status)
    assert set(status) <= {"converged", "degenerate"}
    for words in message[lost]:
        assert words.startswith("iteration ")
        assert " component " in words


@graded
@pytest.mark.parametrize(
    ("covariance", "covariance_by"),
    [("full", "component"), ("full", "shared"), ("diagonal", "component"), ("spherical", "shared")],
)
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ({}, {}),
        ({"unit": "unit"}, {"kernels": "numba"}),
        ({"unit": "unit", "unit_weights": "count"}, {"estimator": "map"}),
        ({"unit": "unit", "membership": "w"}, {"criterion": "parameters"}),
        ({"common": "x"}, {"acceleration": "none"}),
        ({"common": "x"}, {"estimator": "map", "kernels": "numba"}),
        ({}, {"standard_errors": "sandwich", "history": "full"}),
    ],
)
def test_tied_values_never_end_in_a_traceback(
    covariance: Any, covariance_by: Any, model: dict[str, Any], options: dict[str, Any]
) -> None:
    spec = mc.MixtureSpec(
        "a + b + c ~ x",
        n_components=4,
        covariance=covariance,
        covariance_by=covariance_by,
        **model,
    )
    try:
        fit = mc.fit(spec, answers(60), starts=3, max_iterations=40, **options)
    except mc.DegenerateFitError as error:
        assert "iteration" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(fit.log_likelihood)
        assert correlation_eigenvalues(fit.covariance.to_numpy()).min() > 1e-12


@pytest.mark.parametrize("kernels", KERNELS)
def test_rows_exactly_on_a_line(kernels: str) -> None:
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2)
    start = (np.arange(120) >= 50).astype(int)
    words = r"iteration \d+: the covariance of component 1 has collapsed.*correlations"
    with pytest.raises(mc.DegenerateFitError, match=words):
        mc.fit(spec, on_a_line(), starts=0, initial=start, kernels=kernels)
    mode = mc.fit(spec, on_a_line(), starts=0, initial=start, kernels=kernels, estimator="map")
    assert mode.status == "converged"
    plain = mc.MixtureSpec("a + b ~ 1", n_components=2, covariance="diagonal")
    assert mc.fit(plain, on_a_line(), starts=10, kernels=kernels).status == "converged"


def test_a_trend_interpolated_between_censuses() -> None:
    rng = np.random.default_rng(2)
    year = np.tile(np.arange(1950.0, 2011.0), 8)
    unit = np.repeat(np.arange(8), 61)
    y = (
        3e6
        + (year - 1950) * 1e4 / 3
        + np.where(unit < 4, 0, 1e6 + 2e5 * rng.normal(size=unit.size))
    )
    spec = mc.MixtureSpec("y ~ year", unit="unit", n_components=2)
    start = (np.arange(8) >= 4).astype(int)
    with pytest.raises(mc.DegenerateFitError, match="variance of component 1 has collapsed"):
        mc.fit(spec, {"unit": unit, "year": year, "y": y}, starts=0, initial=start)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("common", [None, "z"])
def test_a_class_without_variation_of_a_covariate(kernels: str, common: str | None) -> None:
    rng = np.random.default_rng(3)
    first = np.arange(80) < 40
    x = np.where(first, rng.integers(2, size=80), 1.0)
    table = {"x": x, "z": rng.normal(size=80), "y": np.where(first, x, 30) + rng.normal(size=80)}
    spec = mc.MixtureSpec("y ~ x + z", n_components=2, common=common)
    words = "iteration 1: the rows of component 2 do not identify its coefficients"
    with pytest.raises(mc.DegenerateFitError, match=words):
        mc.fit(spec, table, starts=0, initial=(~first).astype(int), kernels=kernels)


# What is small, or far from zero, or nearly collinear is no less a class.


@pytest.mark.parametrize("kernels", KERNELS)
def test_small_and_flat_classes_are_fitted(kernels: str) -> None:
    rng = np.random.default_rng(4)
    wide = rng.normal(size=(300, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    small = 1e-6 * rng.normal(size=(200, 2)) + [0.2, 0.1]
    flat = rng.normal(size=(100, 1)) + [9.0, -9.0] + 1e-5 * rng.normal(size=(100, 2))
    values = np.concatenate([wide, small, flat])
    start = np.repeat([0, 1, 2], [300, 200, 100])
    spec = mc.MixtureSpec("a + b ~ 1", n_components=3)

    def fitted(unit: FloatArray, offset: float) -> mc.Fit:
        table = pd.DataFrame(values * unit + offset * unit, columns=["a", "b"])
        return mc.fit(spec, table, starts=0, initial=start, kernels=kernels)

    one = fitted(np.ones(2), 0.0)
    assert one.status == "converged"
    own = [np.cov(part.T, bias=True) for part in (wide, small, flat)]
    np.testing.assert_allclose(one.covariance, own, rtol=0.02, atol=0)
    scaled = fitted(np.array([1e8, 1e-5]), 0.0)
    expected = one.log_likelihood - 600 * np.log(1e3)
    assert scaled.log_likelihood == pytest.approx(expected, rel=1e-9)
    assert fitted(np.ones(2), 1e3).log_likelihood == pytest.approx(one.log_likelihood, abs=0.01)


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_class_of_nearly_collinear_outcomes_converges_from_every_start(kernels: str) -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(200, 1))
    flat = np.concatenate([first, first + 3e-6 * rng.normal(size=(200, 1))], axis=1)
    values = np.concatenate([rng.normal([1.0, -1.0], 1.0, size=(200, 2)), flat])
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2)
    table = pd.DataFrame(values, columns=["a", "b"])
    fit = mc.fit(spec, table, starts=8, kernels=kernels)
    assert set(fit.tree["starts"]["status"].to_numpy()) == {"converged"}
    assert fit.message.count("8 of 8 starts")


def test_one_class_of_outcomes_that_are_collinear_but_for_rounding() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=100)
    table = {"a": a, "b": a + 1e-8 * rng.normal(size=100)}
    with pytest.raises(mc.DegenerateFitError, match="collinear but for rounding: leave one"):
        mc.fit(mc.MixtureSpec("a + b ~ 1", n_components=1), table)


# The parts.


def test_cancelled_moments_where_rounding_makes_the_smallest_eigenvalue_positive() -> None:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        x = rng.integers(1, 4, size=(12, 1)) * rng.integers(1, 4, size=3) / 3
        squares = (x.T @ x)[None, None]
        nothing = np.zeros((1, 1, 1, 3))
        moments = Moments(
            np.ones((1, 1)), np.ones((1, 1)), nothing, np.ones((1, 1, 1, 1)), nothing, squares
        )
        scatter, cancelled, _ = moments.scatter(nothing)
        assert cancelled is None or cancelled.any()
        np.testing.assert_array_equal(scatter, squares)
        left = 0.999 * squares[0, 0]
        try:
            np.linalg.cholesky(left)
        except np.linalg.LinAlgError:
            found += np.linalg.eigvalsh(left)[0] > 0
    assert found  # or nothing was tried


def test_proposals_that_are_singular_are_not_made() -> None:
    table = on_a_line()
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2)
    data = mixture_of(spec, compress(build_panel(spec, table)))

    def at(log_diagonal: float) -> Theta:
        lower = np.array([[1.0, 0.0], [1.0, np.exp(log_diagonal)]])
        covariance = np.stack([lower @ lower.T, np.eye(2)])
        return normal_theta(np.full((1, 2), 0.5), np.zeros((1, 2, 1, 2)), covariance[None])

    gentle, steep = [at(0.0), at(-1.0), at(-1.8)], [at(0.0), at(-4.0), at(-7.5)]
    assert extrapolate(data, gentle, np.array([4.0]))[1].all()
    proposals, proposed = extrapolate(data, steep, np.array([8.0]))
    assert not proposed.any()
    assert len(proposals.weights) == 0


@pytest.mark.parametrize("kernels", KERNELS)
def test_singular_parameters_from_elsewhere(kernels: str) -> None:
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2)
    initial = {
        "weights": [0.5, 0.5],
        "coefficients": np.zeros((2, 1, 2)),
        "covariance": [np.eye(2), np.ones((2, 2))],
    }
    words = "cannot start from the initial parameters: the covariance of component 2"
    with pytest.raises(mc.DegenerateFitError, match=words):
        mc.fit(spec, on_a_line(), initial=initial, kernels=kernels)
    model = mixture_of(spec, compress(build_panel(spec, on_a_line())))
    at = model.theta({name: np.asarray(value, dtype=float) for name, value in initial.items()})
    assert np.isnan(model.expect(at).log_likelihood)
    np.testing.assert_array_equal(is_regular(normal_data(model), at.blocks), [True, False])


def test_draws_from_a_singular_covariance() -> None:
    covariance = np.stack([np.eye(2), np.ones((2, 2)), [[4.0, 1.0], [1.0, 2.0]]])
    factors = root(covariance)
    np.testing.assert_allclose(factors @ factors.mT, covariance, atol=1e-12)


def test_an_m_step_of_tied_rows_names_the_component() -> None:
    spec = mc.MixtureSpec("a + b ~ 1", n_components=2)
    data = mixture_of(spec, compress(build_panel(spec, on_a_line())))
    with pytest.raises(DegenerateComponentError, match="component 2 has collapsed"):
        maximise(data, np.eye(2)[(np.arange(120) < 50).astype(int)])


def test_a_selection_goes_on() -> None:
    spec = mc.MixtureSpec("a + b ~ 1", n_components=1)
    assert set(mc.select(spec, on_a_line(), n_components=[1, 2], starts=4).fits) == {1}
