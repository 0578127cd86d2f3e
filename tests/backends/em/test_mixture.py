"""The one-pass kernel for Gaussian mixtures against the NumPy reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcompare as mc
from mixcompare.backends.em import Options
from mixcompare.backends.em.compiled import Compiled, compiled_passes
from mixcompare.backends.em.expectation import e_step
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.maximisation import DegenerateComponentError, m_step
from mixcompare.backends.em.mixture import CompiledMixture, is_mixture
from mixcompare.backends.em.posterior_kernels import TILE, exponential, logarithm
from mixcompare.backends.em.runs import Run
from mixcompare.backends.em.standardise import Standardised, standardise
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.compress import compress
from tests.backends.em.test_kernels import assert_same_e_step, assert_same_parameters
from tests.em_cases import STRUCTURES, build


def mixture(
    units: int,
    m: int,
    k: int = 2,
    *,
    seed: int = 0,
    apart: float = 3.0,
    structure: tuple[str, str] = ("full", "component"),
    weighted: bool = False,
) -> tuple[mc.MixtureSpec, Standardised, FloatArray]:
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
    data = standardise(spec, compress(mc.build_panel(spec, table)))
    # Distant classes that are mixed have covariances of which no rounding is small.
    lean = 0.7 if apart < 1e3 else 1.0
    tau = lean * np.eye(k)[classes] + (1 - lean) * rng.dirichlet(np.ones(k), size=units)
    return spec, data, tau


def in_one_pass(data: Standardised) -> Standardised:
    return data.using(CompiledMixture(data))


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
    spec, data, tau = mixture(units, m, k, **options)  # type: ignore[arg-type]
    ours = in_one_pass(data)
    try:
        at = m_step(spec, data, tau)
    except DegenerateComponentError as error:
        with pytest.raises(DegenerateComponentError, match=str(error).split(" to ")[0]):
            m_step(spec, ours, tau)
        return
    assert_same_parameters(m_step(spec, ours, tau), at)
    found, reference = e_step(ours, at), e_step(data, at)
    assert found.moments is not None
    assert_same_e_step(found, reference)
    try:
        expected = m_step(spec, data, reference, at)
    except DegenerateComponentError:
        return
    assert_same_parameters(m_step(spec, ours, found, at), expected)


def test_moments_about_distant_means_are_not_used() -> None:
    """A mean that moves by 1e6 standard deviations leaves nothing of its scatter."""
    spec, data, tau = mixture(400, 2, apart=1e6)
    hard = tau.round()
    end = m_step(spec, data, hard)
    swapped = end.permuted(np.array([1, 0]))
    passes = CompiledMixture(data)
    moments = passes._moments_about(swapped.coefficients, hard)
    assert moments.scatter(swapped.coefficients)[1] is None
    assert moments.scatter(end.coefficients)[1]
    found = replace(e_step(data, swapped), moments=moments, arrays=(hard, hard[:, 0], hard))
    assert_same_parameters(m_step(spec, data.using(passes), found), end)


def test_log_weights_by_unit() -> None:
    _, data, _ = mixture(500, 3)
    rng = np.random.default_rng(1)
    passes, other = CompiledMixture(data), Compiled(data)
    by_unit = np.log(rng.dirichlet([1.0, 1.0], size=500))
    at = (rng.normal(size=(2, 1, 3)), np.tile(np.eye(3), (2, 1, 1)), by_unit, np.ones(2))
    assert passes.moments(*at, None) is None
    *arrays, sums = passes.e_step(*at)
    *others, other_sums = other.e_step(*at)
    np.testing.assert_allclose(sums, other_sums, rtol=1e-11)
    for ours, reference in zip(arrays, others, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-11)


def test_a_weight_of_zero() -> None:
    spec, data, tau = mixture(300, 2)
    at = replace(m_step(spec, data, tau), weights=np.array([1.0, 0.0]))
    found, reference = e_step(in_one_pass(data), at), e_step(data, at)
    np.testing.assert_array_equal(found.responsibilities[:, 1], 0)
    assert found.entropy == 0
    assert found.log_likelihood == pytest.approx(reference.log_likelihood, rel=1e-13)


def test_only_one_row_units_with_an_intercept_are_mixtures() -> None:
    _, data, _ = mixture(60, 2)
    assert is_mixture(data)
    assert isinstance(compiled_passes(data), CompiledMixture)
    assert not is_mixture(replace(data, degrees_of_freedom=np.zeros(60)))
    assert not is_mixture(replace(data, covariates=np.arange(60.0).reshape(60, 1, 1)))
    assert not is_mixture(build(m=2).data)
    assert isinstance(compiled_passes(build(m=2).data), Compiled)


def run(spec: mc.MixtureSpec, data: Standardised, tau: FloatArray, criterion: str) -> Run:
    options = Options(starts=1, criterion=criterion, tolerance=1e-10)  # type: ignore[arg-type]
    return iterate(spec, data, tau, options)


@pytest.mark.parametrize("criterion", ["aitken", "q"])
def test_an_iteration_makes_nothing_of_units_times_classes(
    monkeypatch: pytest.MonkeyPatch, criterion: str
) -> None:
    made: list[int] = []
    e_step_of = CompiledMixture.e_step

    def note(self: CompiledMixture, *arguments: FloatArray) -> object:
        made.append(1)
        return e_step_of(self, *arguments)

    monkeypatch.setattr(CompiledMixture, "e_step", note)
    spec, data, tau = mixture(500, 2)
    ours, reference = run(spec, in_one_pass(data), tau, criterion), run(spec, data, tau, criterion)
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
