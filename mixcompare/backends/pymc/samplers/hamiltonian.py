"""Hamiltonian Monte Carlo of many particles at a time, with a scale common to all.

A scale of its own for each particle, adapted to what became of it, lets particles stay where
they are stuck. Here all have the covariance of all, and a step that is right for most (Neal
2011; Buchholz, Chopin & Jacob 2021), of different length in every move.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.base.arrays import FloatArray

_ACCEPTED: Final = 0.75
_GAIN: Final = 0.5
# Of a move, in standard deviations, as far as these steps reach.
_LENGTH: Final = 1.5
_MOST_STEPS: Final = 16
# Steps differ by up to this factor's logarithm.
_JITTER: Final = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points (n, D) with their log densities (n,) and the gradients of these (n, D)."""

    at: FloatArray
    log_density: FloatArray
    slope: FloatArray


@dataclass(slots=True)
class Mover:
    """Moves particles; its scale and its step are those of the last ones moved.

    Attributes
    ----------
    log_step
        Logarithm of the step, in units of the particles' spread.
    root
        Lower triangular (D, D), whose product with its transpose is the particles' covariance.
    """

    log_step: float = -1.0
    root: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def scale_to(self, points: FloatArray, weights: FloatArray) -> None:
        """Take the scale from weighted particles (N, D)."""
        share = weights / weights.sum()
        centred = points - share @ points
        covariance = (centred * share[:, None]).T @ centred
        effective, d = 1 / (share @ share), points.shape[1]
        mixed = effective / (effective + d)
        variances = np.diag(np.diag(covariance))
        self.root = np.linalg.cholesky(mixed * covariance + (1 - mixed) * variances)

    def run(
        self, density: LogDensity, start: FloatArray, moves: int, rng: np.random.Generator
    ) -> list[Points]:
        """The points (n, D) after each of several moves that leave a density unchanged."""
        here, way = Points(start, *density(start)), []
        for _ in range(moves):
            here, rate = self._move(density, here, rng)
            self.log_step += _GAIN * (rate - _ACCEPTED)
            way.append(here)
        return way

    def _move(
        self, density: LogDensity, start: Points, rng: np.random.Generator
    ) -> tuple[Points, float]:
        n, d = start.at.shape
        steps = int(np.clip(np.ceil(_LENGTH / np.exp(self.log_step)), 1, _MOST_STEPS))
        size = np.exp(self.log_step + _JITTER * rng.uniform(-1, 1, size=(n, 1)))
        momentum = rng.standard_normal((n, d))
        threshold = np.log(rng.uniform(size=n))
        # Ways that leave all bounds are refused below.
        with np.errstate(all="ignore"):
            here, moving = start, momentum + size / 2 * (start.slope @ self.root)
            for i in range(steps):
                at = here.at + size * moving @ self.root.T
                here = Points(at, *density(at))
                moving = moving + size / (1 + (i == steps - 1)) * (here.slope @ self.root)
            gain = here.log_density - start.log_density
            gain += 0.5 * ((momentum**2).sum(axis=1) - (moving**2).sum(axis=1))
        gain = np.where(np.isfinite(gain), gain, -np.inf)
        taken = threshold < gain
        after = Points(
            np.where(taken[:, None], here.at, start.at),
            np.where(taken, here.log_density, start.log_density),
            np.where(taken[:, None], here.slope, start.slope),
        )
        return after, float(np.exp(np.minimum(gain, 0)).mean())
