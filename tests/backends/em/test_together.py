"""Starts that run together share passes over the data and nothing else."""

import sys

import numpy as np
import pytest

from mixcompare.backends.em import loop
from mixcompare.backends.em.kernels.compiled_mixture import compiled
from mixcompare.backends.em.loop import iterate, iterate_together
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run, Started
from mixcompare.backends.em.search import search
from mixcompare.base.arrays import FloatArray
from tests.backends.em.test_mixture import mixture
from tests.em_cases import STRUCTURES, build

CASES = {
    **{f"{covariance} {by}": build(covariance, by, m=2, k=3) for covariance, by in STRUCTURES},
    "one outcome": build(k=3),
    "absorbed": build(k=2, absorb=True),
    "mode": build(m=2, k=3, with_prior=True),
    "common": build(k=3, common="~ x1"),
    "common, mode": build(m=2, k=2, common="~ x1", with_prior=True),
    "membership": build(k=3, membership="~ income"),
    "membership, mode": build(k=2, membership="~ income", with_prior=True),
    "weights": build(k=2, unit_weights="count"),
}
INPUTS: dict[str, Mixture] = {
    **{name: case.model for name, case in CASES.items()},
    "mixture": mixture(70, 3)[1],
    "mixture with weights": mixture(70, 2, weighted=True)[1],
}


def starts_of(model: Mixture, number: int) -> FloatArray:
    rng = np.random.default_rng(4)
    units, k = model.n_carriers, model.n_components
    tau = rng.dirichlet(np.full(k, 0.3), size=(number, units))
    tau[1] = np.eye(k)[0]  # all other classes are empty: degenerate at once without a prior
    return tau


def assert_same(run: Run, alone: Run) -> None:
    assert (run.status, run.message) == (alone.status, alone.message)
    np.testing.assert_array_equal(run.criterion, alone.criterion)
    for name in ("log_likelihood", "expected_log_likelihood", "entropy", "log_prior"):
        np.testing.assert_array_equal(getattr(run, name), getattr(alone, name))
    if run.e_step is None or alone.e_step is None:
        assert run.e_step is alone.e_step
        return
    assert set(run.path.blocks) == set(alone.path.blocks)
    for name, block in run.path.blocks.items():
        np.testing.assert_array_equal(block, alone.path.blocks[name])
    for name in ("occupancy", "unit_log_likelihood", "joint"):
        np.testing.assert_array_equal(getattr(run.e_step, name), getattr(alone.e_step, name))


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", INPUTS)
def test_a_start_does_not_notice_the_others(name: str, kernels: str) -> None:
    """To the last bit, whether they end early or late, leap, or degenerate."""
    model = INPUTS[name]
    if kernels == "numba":
        model = compiled(model)
    tau = starts_of(model, 6)
    options = Options(max_iterations=60)
    together = iterate_together(model, tau, options)
    for run, own in zip(together, tau, strict=True):
        assert_same(run, iterate(model, own, options))
    assert len({len(run.log_likelihood) for run in together}) > 1
    assert (together[1].status == "degenerate") == (not model.has_prior)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", ["full component", "one outcome", "membership", "mixture"])
def test_unit_weights_may_differ_between_starts(name: str, kernels: str) -> None:
    model = INPUTS[name]
    if kernels == "numba":
        model = compiled(model)
    tau = starts_of(model, 5)
    weights = np.random.default_rng(0).integers(1, 4, size=tau.shape[:2]).astype(float)
    options = Options(max_iterations=60)
    together = iterate_together(model.weighing(weights), tau, options)
    for run, own, counts in zip(together, tau, weights, strict=True):
        assert_same(run, iterate(model.weighing(counts), own, options))


@pytest.mark.parametrize("criterion", ["parameters", "q", "log_likelihood"])
def test_nor_by_another_rule(criterion: str) -> None:
    model = INPUTS["full component"]
    options = Options(criterion=criterion, tolerance=1e-6)  # type: ignore[arg-type]
    tau = starts_of(model, 5)
    for run, own in zip(iterate_together(model, tau, options), tau, strict=True):
        assert_same(run, iterate(model, own, options))


def test_leaps_are_taken_by_some_and_not_by_others() -> None:
    """Otherwise the tests above would not cover how these are put together again."""
    model = INPUTS["one outcome"]
    tau = starts_of(model, 6)
    leaping, plain = (
        iterate_together(model, tau, Options(acceleration=acceleration))
        for acceleration in ("squarem", "none")
    )
    lengths = np.array([[len(run.log_likelihood) for run in runs] for runs in (leaping, plain)])
    assert (lengths[0] < lengths[1]).any()
    assert (lengths[0] == lengths[1]).any()


@pytest.mark.parametrize("short_runs", [None, 5])
def test_a_search_is_the_same_however_starts_are_grouped(
    monkeypatch: pytest.MonkeyPatch, short_runs: int | None
) -> None:
    model = INPUTS["one outcome"]
    options = Options(starts=9, short_runs=short_runs, continued=3, initial=np.arange(30) % 3)

    def found() -> list[Started]:
        return search(model, options, np.random.SeedSequence(3))

    together = found()
    monkeypatch.setattr(loop, "_VALUES_TOGETHER", 1)
    alone = found()
    assert [started.kind for started in together] == [started.kind for started in alone]
    for one, other in zip(together, alone, strict=True):
        assert_same(one.run, other.run)
    assert any(one.run.status == "short run" for one in together) == (short_runs is not None)


def test_runs_of_many_units_keep_no_arrays_and_give_the_same_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = build("full", "component", m=1, k=2)
    options = Options(starts=3, progress=False)
    whole = search(case.model, options, np.random.SeedSequence(1))
    monkeypatch.setattr(sys.modules[search.__module__], "_VALUES_KEPT", 0)
    lighter = search(case.model, options, np.random.SeedSequence(1))
    pairs = [(a.run.e_step, b.run.e_step) for a, b in zip(whole, lighter, strict=True)]
    ends = [(one, other) for one, other in pairs if one is not None and other is not None]
    assert ends
    for one, other in ends:
        assert other.by_carrier is None
        np.testing.assert_array_equal(one.occupancy, other.occupancy)
