"""Compiled triangular factors against NumPy's, and when they are used."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcompare as mc
from mixcompare import prepared
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared import factorise as module
from mixcompare.prepared.compress import compress
from mixcompare.prepared.factorise import Kernels, factorise
from mixcompare.prepared.families import PREPARATIONS
from mixcompare.prepared.prepared import Prepared

P, M = 3, 2
Q = P + M


def factors(rows: FloatArray, lengths: list[int], kernels: Kernels) -> FloatArray:
    norm = np.linalg.norm(rows, axis=0)
    return factorise(rows[:, :P], rows[:, P:], np.array(lengths), norm, kernels)


def assert_triangles(factor: FloatArray, lengths: list[int]) -> None:
    for triangle in factor[np.array(lengths) > Q]:
        np.testing.assert_array_equal(np.tril(triangle, -1), 0)
        assert np.all(np.diag(triangle) >= 0)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 90), min_size=1, max_size=150).filter(any),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    offset=st.sampled_from([0.0, 1e8]),
    seed=st.integers(0, 1000),
)
def test_the_kernel_equals_the_reference(
    lengths: list[int], scale: float, offset: float, seed: int
) -> None:
    """Blocks of any lengths, some empty, some too short to be factored."""
    rng = np.random.default_rng(seed)
    rows = scale * rng.normal(size=(sum(lengths), Q)) + scale * offset * (np.arange(Q) == 0)
    ours, reference = (factors(rows, lengths, kernels) for kernels in ("numba", "numpy"))
    assert ours.shape == reference.shape
    assert_triangles(ours, lengths)
    assert_triangles(reference, lengths)
    # Columns differ in size, and rounding is relative to each.
    size = np.sqrt(np.square(rows).sum(axis=0) + np.finfo(float).tiny)
    np.testing.assert_allclose(ours / size, reference / size, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rank_deficient_blocks_and_zeros_keep_their_cross_products(scale: float) -> None:
    rng = np.random.default_rng(3)
    lengths = [40, 40, 12, 7, 20, 6]
    rows = scale * rng.normal(size=(sum(lengths), Q))
    rows[:40, 1] = 2 * rows[:40, 0]  # collinear
    rows[40:80] = 0
    rows[80:90] = 0  # zeros, then two rows
    rows[92:99] = rows[92]  # a single row, repeated
    rows[99:119, 0] = 0
    ends = np.cumsum(lengths)
    for kernels in ("numba", "numpy"):
        factor = factors(rows, lengths, kernels)
        assert np.isfinite(factor).all()
        assert_triangles(factor, lengths)
        for i, block in enumerate(np.split(rows, ends[:-1])):
            expected = block.T @ block
            tolerance = 1e-13 * max(np.abs(expected).max(), np.finfo(float).tiny)
            np.testing.assert_allclose(factor[i].T @ factor[i], expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(factors(rows, lengths, "numba")[1], 0)


@pytest.mark.parametrize("length", [512, 513, 1500, 40_000, 300_000])
def test_long_blocks_are_joined_from_their_pieces(length: int) -> None:
    lengths = [length, 30, 3, 2 * length + 1]
    rows = np.random.default_rng(1).normal(size=(sum(lengths), Q)) + 3
    ours, reference = (factors(rows, lengths, kernels) for kernels in ("numba", "numpy"))
    np.testing.assert_allclose(ours, reference, rtol=1e-11, atol=1e-11 * np.sqrt(length))


@pytest.mark.parametrize("extreme", [1e-200, 1e150])
def test_columns_whose_squares_overflow_or_vanish_are_left_to_numpy(extreme: float) -> None:
    rows = np.random.default_rng(1).normal(size=(20, Q)) * [1, 1, 1, 1, extreme]
    norm = np.array([4.0, 4.0, 4.0, 4.0, 4 * extreme])
    found = factorise(rows[:, :P], rows[:, P:], np.array([20]), norm, "numba")
    np.testing.assert_array_equal(found, factors(rows, [20], "numpy"))
    assert found[0, -1, -1] == pytest.approx(extreme * 4, rel=1)


def test_the_kernel_is_chosen_by_the_number_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    rows = np.random.default_rng(1).normal(size=(40, Q))
    monkeypatch.setattr(module, "_by_kernel", lambda *_: asked.append(True))
    monkeypatch.setattr(module, "_by_numpy", lambda *_: asked.append(False))
    factors(rows, [40], "auto")
    monkeypatch.setattr(module, "_WORTH_VALUES", rows.size)
    factors(rows, [40], "auto")
    factors(rows, [40], "numpy")
    factors(rows, [40], "numba")
    assert asked == [False, True, False, True]


def test_numpy_serves_where_numba_has_no_folder_for_its_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "mixcompare.prepared.triangles":
                raise RuntimeError("cannot cache function")

    monkeypatch.delitem(sys.modules, "mixcompare.prepared.triangles", raising=False)
    monkeypatch.delattr(prepared, "triangles", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    rows = np.random.default_rng(1).normal(size=(40, Q))
    np.testing.assert_array_equal(factors(rows, [40], "numba"), factors(rows, [40], "numpy"))


def test_a_fit_hands_its_choice_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(panel: mc.Panel, kernels: Kernels) -> Prepared:
        asked.append(kernels)
        return compress(panel)

    monkeypatch.setitem(PREPARATIONS, "normal", note)
    table = {"y": [0.0, 1.0, 2.0, 3.5, 9.0, 10.0, 11.0, 12.5]}
    spec = mc.MixtureSpec("y ~ 1", n_components=2, covariance_by="shared")
    mc.fit(spec, table, starts=1, kernels="numpy")
    assert asked == ["numpy"]
