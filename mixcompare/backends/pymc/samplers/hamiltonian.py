"""Hamiltonian Monte Carlo of many particles at a time, with a scale common to all.

A scale of its own for each particle, adapted to what became of it, lets particles stay where
they are stuck. Here all have the covariance of all in one labelling of the classes, which no move
leaves, and a step that is right for most (Neal 2011; Buchholz, Chopin & Jacob 2021), of different
length in every move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.backends.pymc.samplers.labelling import Labelling
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
    """Moves particles; its step is that of the last ones moved.

    Attributes
    ----------
    log_step
        Logarithm of the step, in units of the particles' spread.
    """

    log_step: float = -1.0

    def run(
        self,
        density: LogDensity,
        start: FloatArray,
        labelling: Labelling,
        moves: int,
        rng: np.random.Generator,
    ) -> list[Points]:
        """The points (n, D) of a labelling after each of several moves that stay in it.

        They leave the density's part in it unchanged.
        """
        here, way = Points(start, *density(start)), []
        for _ in range(moves):
            here, rate = self._move(density, here, labelling, rng)
            self.log_step += _GAIN * (rate - _ACCEPTED)
            way.append(here)
        return way

    def _move(
        self, density: LogDensity, start: Points, labelling: Labelling, rng: np.random.Generator
    ) -> tuple[Points, float]:
        (n, d), root = start.at.shape, labelling.root
        steps = int(np.clip(np.ceil(_LENGTH / np.exp(self.log_step)), 1, _MOST_STEPS))
        size = np.exp(self.log_step + _JITTER * rng.uniform(-1, 1, size=(n, 1)))
        momentum = rng.standard_normal((n, d))
        threshold = np.log(rng.uniform(size=n))
        # Ways that leave all bounds are refused below.
        with np.errstate(all="ignore"):
            here, moving = start, momentum + size / 2 * (start.slope @ root)
            for i in range(steps):
                at = here.at + size * moving @ root.T
                here = Points(at, *density(at))
                moving = moving + size / (1 + (i == steps - 1)) * (here.slope @ root)
            gain = here.log_density - start.log_density
            gain += 0.5 * ((momentum**2).sum(axis=1) - (moving**2).sum(axis=1))
        gain = np.where(np.isfinite(gain), gain, -np.inf)
        # The step is adapted to the density alone: a shorter one would not avoid the boundary.
        stays = np.isfinite(gain)
        stays[stays] = labelling.nearest(here.at[stays]) == 0
        taken = stays & (threshold < gain)
        after = Points(
            np.where(taken[:, None], here.at, start.at),
            np.where(taken, here.log_density, start.log_density),
            np.where(taken[:, None], here.slope, start.slope),
        )
        return after, float(np.exp(np.minimum(gain, 0)).mean())
