"""Ranks and their simultaneous band."""

from __future__ import annotations

import numpy as np
import pytest

from mixcompare.checking.rank_uniformity import holm, rank, uniformity


def test_rank_counts_the_draws_below() -> None:
    rng = np.random.default_rng(0)
    draws = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    found = np.array([rank(np.array([2.5, 5.0 - 1e-15]), draws, rng) for _ in range(400)])
    assert (found[:, 0] == 2).all()
    # A constant says nothing: its rank is uniform.
    assert np.bincount(found[:, 1], minlength=4).min() > 60


def test_the_band_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    ranks = rng.integers(0, 100, size=(150, 2000))
    found = uniformity(ranks, 99, rng, simulations=2000)
    inside = (found.distribution >= found.lower - 1e-12) & (
        found.distribution <= found.upper + 1e-12
    )
    assert abs(inside.all(axis=1).mean() - 0.95) < 0.02
    np.testing.assert_allclose(found.points, np.arange(1, 100) / 100)
    for level in (0.01, 0.05, 0.5):
        error = np.sqrt(level * (1 - level) / 2000)
        assert abs((found.p <= level).mean() - level) < 4 * error + 0.01


@pytest.mark.parametrize("shape", [(0.7, 1.0), (2.0, 2.0), (0.6, 0.6)])
def test_skewed_narrow_and_wide_ranks_are_found(shape: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    ranks = np.floor(rng.beta(*shape, size=(400, 1)) * 100).astype(np.intp)
    found = uniformity(ranks, 99, rng)
    assert found.p[0] < 0.01
    outside = (found.distribution[0] < found.lower) | (found.distribution[0] > found.upper)
    assert outside.any()


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
