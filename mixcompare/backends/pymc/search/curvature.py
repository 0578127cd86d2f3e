"""How a log density bends about a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.base.arrays import FloatArray

# Of differences of gradients, on coordinates of about unit scale: the error by the third
# derivative and the error by rounding are then both some 1e-8 of the curvature.
_STEP: Final = 1e-4
# Curvature below this share of the largest is none that differences can tell.
_FLAT: Final = 1e-9
_LOG_2PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Minus the Hessian of a log density, by its eigenvectors.

    Attributes
    ----------
    values, vectors
        (D,) ascending, and (D, D) in columns.
    """

    values: FloatArray
    vectors: FloatArray

    @property
    def bends_down(self) -> bool:
        """Whether the density falls in every direction."""
        return bool(self.values[0] > self._least)

    @property
    def bends_up(self) -> bool:
        """Whether it rises in some direction by more than differences can be wrong."""
        return bool(self.values[0] < -self._least)

    @property
    def _least(self) -> float:
        return float(_FLAT * np.abs(self.values).max())

    @property
    def log_volume(self) -> float:
        """Logarithm of the integral of ``exp(-x'Ax / 2)``, where it bends down."""
        return float(0.5 * (self.values.size * _LOG_2PI - np.log(self.values).sum()))

    def fall(self, step: FloatArray) -> float:
        """How far the log density falls along a step (D,) from a maximum, to second order."""
        return float(0.5 * np.maximum(self.values, 0) @ (self.vectors.T @ step) ** 2)

    def newton(self, slope: FloatArray) -> FloatArray:
        """Newton's step to the maximum, where it bends down."""
        return np.asarray(self.vectors @ ((self.vectors.T @ slope) / self.values))

    def spread(self, noise: FloatArray, widest: float) -> FloatArray:
        """Standard normal noise (D,) by the local standard deviations, none beyond `widest`."""
        sd = 1 / np.sqrt(np.maximum(self.values, 1 / widest**2))
        return np.asarray(self.vectors @ (sd * noise))


def curvature(density: LogDensity, point: FloatArray) -> Curvature:
    """The curvature at a point (D,), by differences of gradients."""
    steps = _STEP * np.eye(point.size)
    with np.errstate(all="ignore"):
        _, slopes = density(np.concatenate([point + steps, point - steps]))
    ahead, behind = np.split(slopes, 2)
    matrix = (behind - ahead) / (2 * _STEP)
    if not np.isfinite(matrix).all():
        return Curvature(np.full(point.size, -np.inf), np.eye(point.size))
    return Curvature(*np.linalg.eigh((matrix + matrix.T) / 2))
