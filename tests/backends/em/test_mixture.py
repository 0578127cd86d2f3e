"""The one-pass kernel for Gaussian mixtures against the NumPy reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcompare as mc
from mixcompare.backends.em import Options
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.expected import Expected, Posterior
from mixcompare.backends.em.kernels.compiled_mixture import (
    FusedMixture,
    compiled,
)
from mixcompare.backends.em.kernels.compiled_panel import Compiled
from mixcompare.backends.em.kernels.gaussian_mixture import CompiledMixture, is_mixture
from mixcompare.backends.em.kernels.passes import At
from mixcompare.backends.em.kernels.posterior_kernels import TILE, exponential, logarithm
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import DegenerateComponentError, Mixture, maximise
from mixcompare.backends.em.runs import Run
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.compress import compress
from tests.backends.em.test_kernels import assert_same_e_step, assert_same_parameters
from tests.em_cases import STRUCTURES, build, changed, normal_data


def mixture(
    units: int,
    m: int,
    k: int = 2,
    *,
    seed: int = 0,
    apart: float = 3.0,
    structure: tuple[str, str] = ("full", "component"),
    weighted: bool = False,
) -> tuple[mc.MixtureSpec, Mixture, FloatArray]:
    """A mixture's data, and responsibilities that lean to the truth."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(k, size=units)
    means = apart * rng.normal(size=(k, m))
    y = means[classes] + rng.normal(size=(units, m)) @ rng.normal(size=(m, m))
    table = pd.DataFrame(y, columns=[f"y{j}" for j in range(m)])
    table["often"] = rng.choice([0.2, 0.5, 1.0, 3.0], size=units)
    spec = mc.MixtureSpec(
        f"{' + '.join(table.columns[:m])} ~ 1",
        n_components=k,
        covariance=structure[0],  # type: ignore[arg-type]
        covariance_by=structure[1],  # type: ignore[arg-type]
        unit_weights="often" if weighted else None,
    )
    data = mixture_of(spec, compress(mc.build_panel(spec, table)))
    # Distant classes that are mixed have covariances of which no rounding is small.
    lean = 0.7 if apart < 1e3 else 1.0
    tau = lean * np.eye(k)[classes] + (1 - lean) * rng.dirichlet(np.ones(k), size=units)
    return spec, data, tau


def in_one_pass(model: Mixture) -> FusedMixture:
    return FusedMixture(model.classes, model.emissions, CompiledMixture(normal_data(model)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    structure=st.sampled_from(STRUCTURES),
    m=st.integers(1, 9),
    k=st.integers(1, 4),
    units=st.sampled_from([60, TILE, TILE + 1, 500]),
    apart=st.sampled_from([0.0, 3.0, 1e6]),
    weighted=st.booleans(),
)
def test_steps_equal_the_reference(
    seed: int,
    structure: tuple[str, str],
    m: int,
    k: int,
    units: int,
    apart: float,
    weighted: bool,
) -> None:
    """Two iterations; classes from none to 1e6 standard deviations apart."""
    options = {"seed": seed, "apart": apart, "structure": structure, "weighted": weighted}
    _, data, tau = mixture(units, m, k, **options)  # type: ignore[arg-type]
    ours = in_one_pass(data)
    try:
        at = maximise(data, tau)
    except DegenerateComponentError as error:
        with pytest.raises(DegenerateComponentError, match=str(error).split(" to ")[0]):
            maximise(ours, tau)
        return
    assert_same_parameters(maximise(ours, tau), at)
    found, reference = ours.expect(at), data.expect(at)
    assert found.moments is not None
    assert_same_e_step(found, reference)
    try:
        expected = maximise(data, reference, at)
    except DegenerateComponentError:
        return
    assert_same_parameters(maximise(ours, found, at), expected)


def test_moments_about_distant_means_are_not_used() -> None:
    """A mean that moves by 1e6 standard deviations leaves nothing of its scatter."""
    _, data, tau = mixture(400, 2, apart=1e6)
    hard = tau.round()
    end = maximise(data, hard)
    swapped = data.permute(end, np.array([1, 0]))
    passes = CompiledMixture(normal_data(data))
    moments = passes._moments_about(swapped.blocks["coefficients"], hard)
    assert moments.scatter(swapped.blocks["coefficients"]).cancelled is None
    assert moments.scatter(end.blocks["coefficients"]).cancelled
    ours = FusedMixture(data.classes, data.emissions, passes)
    found = Expected(ours, swapped, Posterior(hard, hard[:, 0], hard), moments=moments)
    assert_same_parameters(maximise(ours, found), end)


def test_log_weights_by_unit() -> None:
    _, data, _ = mixture(500, 3)
    rng = np.random.default_rng(1)
    rows = normal_data(data)
    passes, other = CompiledMixture(rows), Compiled(rows)
    by_unit = np.log(rng.dirichlet([1.0, 1.0], size=500))
    at = At(rng.normal(size=(2, 1, 3)), np.tile(np.eye(3), (2, 1, 1)), by_unit, np.ones(2))
    assert passes.moments(at, None) is None
    arrays, sums = passes.e_step(at)
    others, other_sums = other.e_step(at)
    np.testing.assert_allclose(sums, other_sums, rtol=1e-11)
    for name in ("occupancy", "unit_log_likelihood", "joint"):
        np.testing.assert_allclose(getattr(arrays, name), getattr(others, name), rtol=1e-11)


def test_a_weight_of_zero() -> None:
    _, data, tau = mixture(300, 2)
    at = changed(maximise(data, tau), weights=np.array([1.0, 0.0]))
    found, reference = in_one_pass(data).expect(at), data.expect(at)
    np.testing.assert_array_equal(found.occupancy[:, 1], 0)
    assert found.entropy == 0
    assert found.log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-13)


def test_only_one_row_units_with_an_intercept_are_mixtures() -> None:
    _, data, _ = mixture(60, 2)
    rows = normal_data(data)
    assert is_mixture(rows)
    assert isinstance(compiled(data).passes, CompiledMixture)
    assert not is_mixture(replace(rows, degrees_of_freedom=np.zeros(60)))
    assert not is_mixture(replace(rows, covariates=np.arange(60.0).reshape(60, 1, 1)))
    assert not is_mixture(build(m=2).data)
    assert isinstance(compiled(build(m=2).model).passes, Compiled)


def run(data: Mixture, tau: FloatArray, criterion: str) -> Run:
    options = Options(starts=1, criterion=criterion, tolerance=1e-10)  # type: ignore[arg-type]
    return iterate(data, tau, options)


@pytest.mark.parametrize("criterion", ["aitken", "q"])
def test_an_iteration_makes_nothing_of_units_times_classes(
    monkeypatch: pytest.MonkeyPatch, criterion: str
) -> None:
    made: list[int] = []
    e_step_of = CompiledMixture.e_step

    def note(self: CompiledMixture, *arguments: Any) -> object:
        made.append(1)
        return e_step_of(self, *arguments)

    monkeypatch.setattr(CompiledMixture, "e_step", note)
    _, data, tau = mixture(500, 2)
    ours, reference = run(in_one_pass(data), tau, criterion), run(data, tau, criterion)
    assert ours.status == reference.status == "converged"
    assert len(ours.log_likelihood) == len(reference.log_likelihood)
    assert bool(made) == (criterion == "q")  # which compares joint densities
    assert ours.e_step is not None
    assert reference.e_step is not None
    assert_same_e_step(ours.e_step, reference.e_step)
    for name in ("log_likelihood", "expected_log_likelihood"):
        np.testing.assert_allclose(getattr(ours, name), getattr(reference, name), rtol=1e-11)


def test_exponential_and_logarithm() -> None:
    x = -np.concatenate([np.linspace(0, 1, 1000), np.geomspace(1e-12, 599, 1000)])
    np.testing.assert_allclose([exponential(v) for v in x], np.exp(x), rtol=4e-16)
    assert [exponential(v) for v in (-600.0, -1e9, -np.inf)] == [0, 0, 0]
    y = np.concatenate([np.linspace(1, 3, 1000), np.geomspace(1e-200, 1e200, 1000)])
    np.testing.assert_allclose([logarithm(v) for v in y], np.log(y), rtol=5e-16, atol=1e-17)
    assert logarithm(1.0) == 0
