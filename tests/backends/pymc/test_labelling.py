"""Moves in one numbering of the classes: the density's part in it is left as it was."""

from __future__ import annotations

import numpy as np
import pytest

from mixcompare.backends.pymc.samplers.hamiltonian import Mover
from mixcompare.backends.pymc.samplers.labelling import Labelling, labelling_of
from mixcompare.base.arrays import FloatArray

SWAP = np.stack([np.eye(2), np.eye(2)[::-1]])
N = 6000


def draws(apart: float, rng: np.random.Generator) -> FloatArray:
    """Of two normal densities with standard deviations 1 and 0.5, copies of one another."""
    points = np.array([0.0, apart]) + rng.normal(size=(N, 2)) * (1.0, 0.5)
    return np.where(rng.uniform(size=(N, 1)) < 0.5, points, points[:, ::-1])


def density(apart: float, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    slopes = [(centre - points) / variance for centre, variance in _humps(apart)]
    heights = np.stack(
        [
            -0.5 * ((points - centre) ** 2 / variance).sum(axis=1)
            for centre, variance in _humps(apart)
        ]
    )
    total = np.logaddexp(*heights)
    share = np.exp(heights - total)
    return total, share[0][:, None] * slopes[0] + share[1][:, None] * slopes[1]


def _humps(apart: float) -> tuple[tuple[FloatArray, FloatArray], ...]:
    centre, variance = np.array([0.0, apart]), np.array([1.0, 0.25])
    return (centre, variance), (centre[::-1], variance[::-1])


def test_points_far_apart_are_labelled_as_one_mode() -> None:
    points = draws(80.0, np.random.default_rng(1))
    labelling, alike = labelling_of(points, points[0], SWAP)
    assert np.ptp(alike, axis=0).max() < 10
    assert (labelling.nearest(alike) == 0).all()
    order = np.argsort(labelling.mean)  # which copy it is, is left to the first point
    np.testing.assert_allclose(labelling.mean[order], [0, 80], atol=0.1)
    covariance = labelling.root @ labelling.root.T
    np.testing.assert_allclose(np.diag(covariance)[order], [1.0, 0.25], rtol=0.1)
    # Each is one of the two copies of what it was.
    assert ((alike == points) | (alike == points[:, ::-1])).all()


def test_copies_that_overlap_are_left_together() -> None:
    points = draws(2.0, np.random.default_rng(1))
    labelling, same = labelling_of(points, points[0], SWAP)
    np.testing.assert_array_equal(same, points)
    assert (labelling.nearest(points[:, ::-1]) == 0).all()


def test_without_copies_all_of_space_is_one() -> None:
    points = draws(3.0, np.random.default_rng(2))
    labelling, same = labelling_of(points, points[0], np.eye(2)[None])
    np.testing.assert_array_equal(same, points)
    assert (labelling.nearest(1e3 * points) == 0).all()


@pytest.mark.parametrize("apart", [0.5, 2.0])
def test_moves_leave_the_part_of_the_density_as_it_was(apart: float) -> None:
    """Where copies overlap, so that many moves would leave it."""
    rng = np.random.default_rng(3)
    labelling = Labelling(np.array([0.0, apart]), np.diag([1.0, 0.5]), SWAP)
    start = labelling.renumbered(draws(apart, rng))[0]
    mover, points = Mover(), start
    for _ in range(3):
        way = mover.run(lambda at: density(apart, at), points, labelling, 5, rng)
        points = way[-1].at
    assert (labelling.nearest(points) == 0).all()
    assert (points != start).any(axis=1).mean() > 0.95
    fresh = labelling.renumbered(draws(apart, rng))[0]
    for found, expected in zip(_moments(points), _moments(fresh), strict=True):
        error = np.sqrt(2 * expected.var(axis=0) / N)
        assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 4 * error).all()


def _moments(points: FloatArray) -> tuple[FloatArray, ...]:
    return points, points**2, points[:, :1] * points[:, 1:]


def test_a_labelling_is_one_of_copies() -> None:
    """Every point has one copy in it, and only one."""
    points = draws(1.0, np.random.default_rng(4))
    labelling = Labelling(np.array([0.3, 1.2]), np.diag([1.0, 2.0]), SWAP)
    inside = np.stack([labelling.nearest(points @ copy.T) == 0 for copy in SWAP])
    assert (inside.sum(axis=0) == 1).all()
