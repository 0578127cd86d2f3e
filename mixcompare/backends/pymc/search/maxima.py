"""Distinct maxima among the ends of climbs, each with its curvature and its evidence.

Ends are the same up to labels if, renumbered alike, one lies so near the other that the
density hardly falls between them, by the curvature. A saddle point is left along the direction
in which the density bends up most, to either side; an end that bends up or is flat in some
direction even then is marked as no proper maximum. The evidence is Laplace's (Tierney & Kadane
1986): the integral of the normal density with the height and the curvature of the maximum, over
all copies of it that the numbering of the classes makes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.search.climbing import climb
from mixcompare.backends.pymc.search.curvature import Curvature, curvature
from mixcompare.base.arrays import FloatArray, IntArray

# Log density by which ends of one maximum may differ, in height and on the way between.
_SAME: Final = 0.01
# Newton's steps from where a climb ended, times that the curvature is worked out anew, the
# rise that ends them, and how much of a fall, by the curvature, leaves it as it was.
_STEPS: Final = 4
_CURVATURES: Final = 5
_ENOUGH: Final = 1e-12
_NEAR: Final = 1e-4
_SHORTER: Final = 0.25 ** np.arange(8)
_ROUNDING: Final = 1e-13
# What another of Newton's steps would gain at most where the density is level.
_LEVEL: Final = 1e-6
# How far a saddle point is left, in units of the coordinates.
_ASIDE: Final = 0.3
# Class probabilities that are held at a time.
_BATCH_VALUES: Final = 1_000_000
# Coordinates of classes that are one and the same.
_EQUAL: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """A maximum of the posterior density in the sampler's coordinates.

    Attributes
    ----------
    point
        (D,), of one labelling.
    log_density
        With all constants.
    curvature
        There.
    proper
        Whether the density is level there and falls in every direction.
    log_evidence
        Laplace's log evidence over all its copies; NaN where it is not proper.
    responsibilities
        (C, K) class probabilities of the carriers.
    """

    point: FloatArray
    log_density: float
    curvature: Curvature
    proper: bool
    log_evidence: float
    responsibilities: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Terrain:
    """The posterior density of a mixture, with its maxima.

    Attributes
    ----------
    density
        The sampler's own.
    """

    mixture: Mixture
    density: LogDensity

    def places(self, known: list[Maximum], ends: FloatArray) -> IntArray:
        """Places (N,) of the maxima at which climbs ended (N, D); -1 where none could begin.

        Maxima that are new are added to those that are known.
        """
        places = np.full(len(ends), -1, dtype=np.intp)
        with np.errstate(all="ignore"):
            heights = self.density(ends)[0]
        # From the highest on: what climbs did not finish is then held against what they did.
        order = np.argsort(-heights, kind="stable")[: np.isfinite(heights).sum()]
        size = max(1, _BATCH_VALUES // (self.mixture.n_carriers * self.mixture.n_components))
        for i in range(0, len(order), size):
            batch = order[i : i + size]
            taus = self._responsibilities(ends[batch])
            for at, tau in zip(batch, taus, strict=True):
                place = self._among(known, ends[at], float(heights[at]), tau)
                places[at] = self._new(known, ends[at]) if place is None else place
        return places

    def _new(self, known: list[Maximum], end: FloatArray) -> int:
        """The place of a maximum near the end of a climb that is none of the known as it is."""
        maximum = self.maximum(end)
        height, tau = maximum.log_density, maximum.responsibilities
        place = self._among(known, maximum.point, height, tau)
        if place is None:
            known.append(maximum)
            place = len(known) - 1
        return place

    def maximum(self, end: FloatArray) -> Maximum:
        """The maximum near the end of a climb (D,), by Newton's steps."""
        point, bend = self._risen(end)
        if bend.bends_up:
            aside = _ASIDE * bend.vectors[:, 0]
            sides = climb(self.density, np.stack([point - aside, point + aside]))
            point, bend = self._risen(sides.points[sides.log_density.argmax()])
        heights, slopes = self.density(point[None])
        height, evidence = float(heights[0]), np.nan
        proper = bend.bends_down and bool(slopes[0] @ bend.newton(slopes[0]) < _LEVEL)
        if proper:
            evidence = height + bend.log_volume + np.log(self.copies(point))
        return Maximum(
            point, height, bend, proper, evidence, self._responsibilities(point[None])[0]
        )

    def _risen(self, point: FloatArray) -> tuple[FloatArray, Curvature]:
        """The end of Newton's steps, with the curvature about it."""
        bend = curvature(self.density, point)
        for _ in range(_CURVATURES):
            before = point
            for _ in range(_STEPS if bend.bends_down else 0):
                heights, slopes = self.density(point[None])
                step = bend.newton(slopes[0])
                if slopes[0] @ step <= _ENOUGH:
                    break
                point = self._onwards(point, step, heights[0])
            if not bend.fall(point - before) > _NEAR:
                break
            bend = curvature(self.density, point)
        return point, bend

    def _onwards(self, point: FloatArray, step: FloatArray, height: float) -> FloatArray:
        """A point (D,) after so much of a step that it is as high as before, but for rounding."""
        with np.errstate(all="ignore"):
            ahead = point + step * _SHORTER[:, None]
            high = self.density(ahead)[0] >= height - _ROUNDING * abs(height)
        return np.asarray(ahead[high.argmax()]) if high.any() else point

    def _among(
        self, known: list[Maximum], point: FloatArray, height: float, tau: FloatArray
    ) -> int | None:
        """Place of a point (D,) among the known, up to labels; None if it is none of them."""
        for place, maximum in enumerate(known):
            if abs(maximum.log_density - height) <= _SAME:
                order = labels.align_to_reference(tau, maximum.responsibilities)
                alike = self.mixture.renumbered(point[None], order[None])[0]
                if maximum.curvature.fall(alike - maximum.point) <= _SAME:
                    return place
        return None

    def _responsibilities(self, points: FloatArray) -> FloatArray:
        """(N, C, K) class probabilities at points (N, D)."""
        variables = self.mixture.constrained(self.mixture.split(points))
        return evaluate(self.mixture, variables, len(points)).occupancy.at(slice(None))

    def copies(self, point: FloatArray) -> float:
        """How many different points the numbering of the classes makes of one (D,)."""
        k = self.mixture.n_components
        alike = np.arange(k)
        for first, second in combinations(range(k), 2):
            order = np.arange(k)
            order[[first, second]] = second, first
            moved = self.mixture.renumbered(point[None], order[None])[0]
            if np.abs(moved - point).max() <= _EQUAL:
                alike[second] = alike[first]
        return math.factorial(k) / math.prod(map(math.factorial, np.bincount(alike).tolist()))
