"""Climbs of many points at a time, on densities whose maxima are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from mixcompare.backends.pymc.search.climbing import climb
from mixcompare.backends.pymc.search.curvature import curvature
from mixcompare.backends.pymc.search.recursion import ascents
from mixcompare.base.arrays import FloatArray


def quadratic(seed: int, d: int, condition: float) -> tuple[FloatArray, FloatArray]:
    """A maximum and the curvature about it, whose eigenvalues differ by a factor."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return rng.normal(size=d), (turn * np.geomspace(1, condition, d)) @ turn.T


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
def test_climbs_end_at_the_top_of_a_quadratic(condition: float) -> None:
    top, bend = quadratic(3, 12, condition)

    def density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        slopes = -(points - top) @ bend
        return 0.5 * ((points - top) * slopes).sum(axis=1), slopes

    starts = 5 * np.random.default_rng(0).normal(size=(20, 12))
    ends = climb(density, starts)
    assert (ends.log_density > -1e-6).all()
    np.testing.assert_allclose(ends.log_density, density(ends.points)[0], rtol=1e-9, atol=1e-12)
    assert (ends.iterations < 100).all()
    found = curvature(density, top)
    np.testing.assert_allclose(found.values, np.geomspace(1, condition, 12), rtol=1e-6)
    np.testing.assert_allclose((found.vectors * found.values) @ found.vectors.T, bend, atol=1e-6)


def banana(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus Rosenbrock's function."""
    return -np.array([rosen(p) for p in points]), -np.array([rosen_der(p) for p in points])


def test_climbs_follow_a_bent_ridge_as_scipys_do() -> None:
    starts = np.random.default_rng(1).uniform(-2, 2, size=(10, 2))
    ends = climb(banana, starts)
    np.testing.assert_allclose(ends.points, 1, atol=1e-2)
    for start, height in zip(starts, ends.log_density, strict=True):
        other = minimize(rosen, start, jac=rosen_der, method="L-BFGS-B")
        assert height == pytest.approx(-other.fun, abs=1e-5)


def test_a_climb_does_not_depend_on_its_company() -> None:
    starts = np.random.default_rng(2).uniform(-2, 2, size=(9, 4))
    together = climb(banana, starts)
    for i in (0, 4, 8):
        alone = climb(banana, starts[i : i + 1])
        np.testing.assert_array_equal(alone.points[0], together.points[i])
        assert alone.iterations[0] == together.iterations[i]


def test_what_cannot_be_computed_is_as_if_far_below() -> None:
    """The density of a beta variable, which has none beyond its bounds."""

    def density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        x = points[:, 0]
        return 3 * np.log(x) + np.log1p(-x), (3 / x - 1 / (1 - x))[:, None]

    ends = climb(density, np.array([[0.001], [0.5], [0.999], [-1.0], [2.0], [np.nan]]))
    np.testing.assert_allclose(ends.points[:3, 0], 0.75, atol=1e-3)
    assert np.isneginf(ends.log_density[3:]).all()
    assert (ends.iterations[3:] == 0).all()


def test_a_density_that_rises_without_end_is_left_at_a_limit() -> None:
    def density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
        return points.sum(axis=1), np.ones_like(points)

    ends = climb(density, np.zeros((2, 3)))
    assert (ends.iterations > 100).all()
    assert np.isfinite(ends.log_density).all()


def test_the_recursion_is_the_product_with_the_matrix_it_stands_for() -> None:
    rng, memory, n, d = np.random.default_rng(3), 4, 3, 5
    steps, bends = rng.normal(size=(2, memory, n, d))
    weights = 1 / np.einsum("mnd,mnd->mn", steps, bends)
    weights[2, 0] = 0.0  # a pair that is forgotten
    slopes, scale = rng.normal(size=(n, d)), rng.uniform(0.5, 2, n)
    for iteration, order in ((3, [0, 1, 2]), (6, [2, 3, 0, 1])):
        ways = ascents(slopes, scale, steps, bends, weights, iteration)
        for c in range(n):
            inverse = scale[c] * np.eye(d)
            for i in order:  # Nocedal & Wright (2006), equation 7.16
                turn = np.eye(d) - weights[i, c] * np.outer(bends[i, c], steps[i, c])
                inverse = turn.T @ inverse @ turn
                inverse += weights[i, c] * np.outer(steps[i, c], steps[i, c])
            np.testing.assert_allclose(ways[c], inverse @ slopes[c], rtol=1e-9, atol=1e-12)
