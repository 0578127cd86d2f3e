"""The mean-field approximation of a normal density is known."""

from __future__ import annotations

import numpy as np

from mixcompare.backends.pymc.samplers.approximations import mean_field


def test_of_a_normal_density() -> None:
    """The means are its own, the variances one by the precision's diagonal."""
    mean = np.array([3.0, -1.0, 0.5])
    precision = np.array([[400.0, 10.0, 0.0], [10.0, 1.0, 0.3], [0.0, 0.3, 25.0]])

    def density(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = -(points - mean) @ precision
        return 0.5 * (slope * (points - mean)).sum(axis=1), slope

    found, log_sd = mean_field(density, np.zeros(3), np.random.default_rng(1))
    sd = 1 / np.sqrt(np.diag(precision))
    np.testing.assert_allclose(np.exp(log_sd), sd, rtol=0.05)
    assert np.abs((found - mean) / sd).max() < 0.1


def test_points_without_a_density_are_left_out() -> None:
    def density(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inside = points[:, 0] > 0
        values = np.where(inside, 3 * np.log(np.abs(points[:, 0])) - points[:, 0], np.nan)
        return values, np.where(inside[:, None], 3 / points - 1, np.nan)

    found, log_sd = mean_field(density, np.array([0.3]), np.random.default_rng(1))
    assert 1 < found[0] < 5
    assert 0.3 < np.exp(log_sd[0]) < 3
