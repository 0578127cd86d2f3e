"""Compiled kernels against the NumPy reference, on all structures and at the edges."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcompare as mc
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.kernels.compiled_mixture import (
    _WORTH_SECONDS,
    FusedMixture,
    numpy_seconds,
    with_kernels,
)
from mixcompare.backends.em.kernels.compiled_panel import Compiled
from mixcompare.backends.em.mixture import DegenerateComponentError, Mixture, maximise
from mixcompare.backends.em.theta import Theta
from mixcompare.prepared.compress import compress
from tests.backends.em.test_reference import CASES, specification
from tests.em_cases import STRUCTURES, build, changed, normal_data, random_parameters, with_data
from tests.places import REFERENCE

EXTREMES = [1.0, 30.0, 1e6]


def compiled(model: Mixture) -> FusedMixture:
    """By the passes of panels, also where the data are a Gaussian mixture's."""
    return FusedMixture(model.classes, model.emissions, Compiled(normal_data(model)))


def attempt(model: Mixture, tau: np.ndarray) -> tuple[Theta | None, str]:
    """The M-step's parameters, or its error up to the figures."""
    try:
        return maximise(model, tau), ""
    except DegenerateComponentError as error:
        return None, str(error).split(" to ")[0]


def assert_same_e_step(ours: Expected, reference: Expected) -> None:
    size = np.abs(reference.joint[np.isfinite(reference.joint)]).max()
    near = {"rtol": 1e-12, "atol": 1e-12 * size}
    np.testing.assert_allclose(ours.joint, reference.joint, **near)
    np.testing.assert_allclose(ours.unit_log_likelihood, reference.unit_log_likelihood, **near)
    np.testing.assert_allclose(
        ours.occupancy, reference.occupancy, rtol=1e-10, atol=1e-12 * max(size, 1)
    )
    np.testing.assert_allclose(ours.occupancy.sum(axis=1), 1, rtol=1e-12)
    total = 1e-12 * size * len(reference.unit_log_likelihood)
    for name in ("log_likelihood", "expected_log_likelihood", "entropy"):
        assert getattr(ours, name) == pytest.approx(getattr(reference, name), rel=1e-12, abs=total)
    assert ours.expected_log_likelihood + ours.entropy == pytest.approx(
        ours.log_likelihood, rel=1e-12, abs=total
    )


def assert_same_parameters(ours: Theta, reference: Theta) -> None:
    np.testing.assert_allclose(ours.weights, reference.weights, rtol=1e-12)
    for name in ("coefficients", "covariance"):
        expected = reference.blocks[name]
        # Of unit scale in these coordinates; a class may condition them worse than all do.
        size = max(np.abs(expected).max(), 1.0)
        np.testing.assert_allclose(ours.blocks[name], expected, rtol=0, atol=1e-11 * size)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    structure=st.sampled_from(STRUCTURES),
    m=st.integers(1, 3),
    k=st.integers(1, 4),
    absorb=st.booleans(),
    units=st.sampled_from([30, 128, 150]),
    spread=st.sampled_from(EXTREMES),
)
def test_steps_equal_the_reference(
    seed: int,
    structure: tuple[str, str],
    m: int,
    k: int,
    absorb: bool,
    units: int,
    spread: float,
) -> None:
    """Units of one row, with absorbed cells some of none, up to separations beyond exp."""
    case = build(*structure, m=m, k=k, absorb=absorb, seed=seed, units=units)
    ours = compiled(case.model)
    at = case.model.from_raw(random_parameters(case, seed))
    at = changed(at, coefficients=at.blocks["coefficients"] * spread)
    assert_same_e_step(ours.expect(at), case.model.expect(at))
    tau = np.random.default_rng(seed).dirichlet(np.full(k, 0.5), size=units)
    (reference, message), (found, own_message) = (
        attempt(model, tau) for model in (case.model, ours)
    )
    assert own_message == message
    if reference is None or found is None:
        return
    assert_same_parameters(found, reference)
    assert_same_e_step(ours.expect(found), case.model.expect(found))


@pytest.mark.parametrize(("m", "p"), [(1, 1), (1, 5), (5, 1), (9, 3)])
@pytest.mark.parametrize("triangular", [False, True])
def test_any_shape(m: int, p: int, triangular: bool) -> None:
    """One-row units and triangular factors, also of more outcomes than are blocked."""
    rng = np.random.default_rng(m + p)
    case = build(m=m, k=2, seed=1)
    rows = p + m if triangular else 1
    factor = rng.normal(size=(300, rows, p + m))
    if triangular:
        factor = np.linalg.qr(factor, mode="r")
    data = with_data(
        case.model,
        covariates=factor[..., :p],
        outcomes=factor[..., p:],
        degrees_of_freedom=np.full(300, float(rows)),
    )
    tau = rng.dirichlet([1.0, 1.0], size=300)
    reference = maximise(data, tau)
    assert_same_parameters(maximise(compiled(data), tau), reference)
    assert_same_e_step(compiled(data).expect(reference), data.expect(reference))


@pytest.mark.parametrize("m", [1, 2])
def test_a_weight_of_zero(m: int) -> None:
    case = build(m=m, k=2, seed=3)
    at = changed(case.model.from_raw(random_parameters(case)), weights=np.array([1.0, 0.0]))
    found, reference = compiled(case.model).expect(at), case.model.expect(at)
    np.testing.assert_array_equal(found.occupancy[:, 1], 0)
    np.testing.assert_allclose(found.unit_log_likelihood, reference.unit_log_likelihood, rtol=1e-12)
    assert found.entropy == 0.0
    assert found.expected_log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("m", [1, 2])
def test_degenerate_components_raise_the_same_error(m: int) -> None:
    case = build(m=m, k=2, seed=3)
    empty = np.zeros((30, 2))
    empty[:, 0] = 1
    flat = with_data(case.model, covariates=np.asarray(case.data.covariates) * [1.0, 1.0, 0.0])
    exact = with_data(case.model, outcomes=np.asarray(case.data.covariates)[..., :1] + np.zeros(m))
    even = np.full((30, 2), 0.5)
    for data, tau in ((case.model, empty), (flat, even), (exact, even)):
        _, message = attempt(data, tau)
        assert message
        assert attempt(compiled(data), tau) == (None, message)


@pytest.mark.parametrize("m", [1, 2])
def test_the_m_step_hands_the_squared_residuals_of_one_outcome_to_the_e_step(m: int) -> None:
    model = compiled(build(m=m, k=2, seed=3).model)
    tau = np.random.default_rng(0).dirichlet([1.0, 1.0], size=(3, 30))
    theta, reasons, squares = model.m_step(model.given(tau))
    assert not any(reasons)
    assert (squares is not None) == (m == 1)
    handed, own = model.expect(theta, squares), model.expect(theta)
    for name in ("joint", "occupancy", "log_likelihood"):
        np.testing.assert_array_equal(getattr(handed, name), getattr(own, name))
    if squares is not None:  # it is these that are used
        assert (model.expect(theta, 2 * squares).log_likelihood < own.log_likelihood).all()


def test_coefficients_that_are_not_numbers_do_not_pass_unseen() -> None:
    case = build(m=1, k=2, seed=3)
    at = case.model.from_raw(random_parameters(case))
    coefficients = at.blocks["coefficients"].copy()
    coefficients[1] = np.nan
    found = compiled(case.model).expect(changed(at, coefficients=coefficients))
    assert np.isnan(found.log_likelihood)


@pytest.mark.parametrize(
    "name", ["produc_raw_K2_ml", "iris_K3_VVV", "faithful_K3_EEE", "sim_onerow_units"]
)
def test_fits_equal_those_of_numpy(name: str) -> None:
    data = pd.read_csv(REFERENCE / CASES[name]["data"])
    fits = [
        mc.fit(specification(CASES[name]), data, starts=6, seed=1, kernels=kernels)
        for kernels in ("numba", "numpy")
    ]
    ours, reference = (fit.tree["starts"].to_dataset() for fit in fits)
    np.testing.assert_array_equal(ours["status"], reference["status"])
    np.testing.assert_allclose(ours["log_likelihood"], reference["log_likelihood"], rtol=1e-10)
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-10)


def test_few_rows_with_covariates_that_do_not_vary_within_units() -> None:
    """Their triangle has more rows than the unit: here 3 rows of 6 columns, of rank 2 or 3."""
    rng = np.random.default_rng(9)
    unit = np.repeat(np.arange(40), 3)
    level = rng.normal(size=40)[unit]
    table = pd.DataFrame({"unit": unit, "a": level, "b": level**2, "x": rng.normal(size=120)})
    table["t"] = np.tile([0.0, 1.0, 2.0], 40)
    table["y"] = level * (1 + unit % 2) + table["x"] + rng.normal(size=120)
    spec = mc.MixtureSpec("y ~ a + b + t + x", unit="unit", n_components=2)
    prepared = compress(mc.build_panel(spec, table))
    data = mixture_of(spec, prepared)
    tau = rng.dirichlet([1.0, 1.0], size=40)
    at = maximise(data, tau)
    assert_same_parameters(maximise(compiled(data), tau), at)
    assert_same_e_step(compiled(data).expect(at), data.expect(at))


def test_small_fits_are_left_to_numpy() -> None:
    case = build(seed=1)
    assert not isinstance(with_kernels(case.model, "auto", 4), FusedMixture)
    assert isinstance(with_kernels(case.model, "auto", 10_000), FusedMixture)
    assert not isinstance(with_kernels(case.model, "numpy", 10_000), FusedMixture)
    assert isinstance(with_kernels(case.model, "numba", 4), FusedMixture)
    with pytest.raises(mc.OptionError, match="kernels must be one of auto, numba, numpy"):
        mc.fit(case.spec, case.table, kernels="jit")


def test_numba_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, json, mixcompare as mc\n"
        "import mixcompare.backends.em\n"
        "before = 'numba' in sys.modules\n"
        "table = {'y': [0.0, 1.0, 2.0, 3.5, 9.0, 10.0, 11.0, 12.5]}\n"
        "spec = mc.MixtureSpec('y ~ 1', n_components=2, covariance_by='shared')\n"
        "mc.fit(spec, table, starts=2)\n"
        "print(json.dumps([before, 'mixcompare.backends.em.kernels.panel_kernels' in sys.modules]))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == [False, False]


@pytest.mark.parametrize(
    ("rows", "k", "starts", "pays"),
    [(10_000, 4, 50, True), (3_000, 3, 50, True), (10_000, 4, 2, False), (300, 2, 50, False)],
)
def test_kernels_are_used_from_a_size_on(rows: int, k: int, starts: int, pays: bool) -> None:
    """10,000 rows in 4 classes took NumPy 14.9 s, compiled kernels 2.4."""
    spec = mc.MixtureSpec("y ~ x", n_components=k)
    rng = np.random.default_rng(0)
    panel = mc.build_panel(spec, {"x": rng.normal(size=rows), "y": rng.normal(size=rows)})
    data = mixture_of(spec, compress(panel))
    assert (numpy_seconds(data, starts) > _WORTH_SECONDS) == pays
