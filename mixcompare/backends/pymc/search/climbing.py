"""Climbs of a log density by L-BFGS (Nocedal 1980; Liu & Nocedal 1989), many at a time.

All climbs take their steps together, since the density is fast for many points and the language
slow for one. A step is shortened until the density rises in proportion to the slope (Armijo
1966); a pair of step and change of slope along which the density does not bend down is left out
of the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.backends.pymc.search.recursion import ascents
from mixcompare.base.arrays import FloatArray, IntArray

# Steps that are remembered, iterations, and times that a step is shortened.
_MEMORY: Final = 20
_MOST_ITERATIONS: Final = 1000
_SHORTENINGS: Final = 20
# A relative rise and a slope so small end a climb; curvature takes it the rest of the way.
_RISE: Final = 1e-8
_SLOPE: Final = 1e-4
# Of the rise by the slope, what a step has to reach; and how much a step is shortened.
_ENOUGH: Final = 1e-4
_SHORTER: Final = (0.1, 0.5)
# Cosine of a step and its change of slope below which the pair is no curvature.
_FLAT: Final = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Climbs:
    """Where climbs ended.

    Attributes
    ----------
    points, log_density
        (N, D) and (N,); minus infinity where a climb began where nothing can be computed.
    iterations
        (N,) of L-BFGS.
    """

    points: FloatArray
    log_density: FloatArray
    iterations: IntArray


@dataclass(slots=True)
class _State:
    """Climbs that are on their way, n of N.

    Attributes
    ----------
    number
        (n,) among all.
    points, heights, slopes
        (n, D), (n,) and (n, D): where they are, with the log density and its gradient.
    scale
        (n,) inverse curvature along the last step.
    steps, bends, weights
        (memory, n, D) twice and (memory, n): remembered steps, the slope's fall along each, and
        one over the product of both; a weight of zero forgets a pair.
    """

    number: IntArray
    points: FloatArray
    heights: FloatArray
    slopes: FloatArray
    scale: FloatArray
    steps: FloatArray
    bends: FloatArray
    weights: FloatArray

    def only(self, kept: NDArray[np.bool_]) -> None:
        """Let the others go."""
        for name in ("number", "points", "heights", "slopes", "scale"):
            setattr(self, name, getattr(self, name)[kept])
        for name in ("steps", "bends", "weights"):
            setattr(self, name, getattr(self, name)[:, kept])


def climb(density: LogDensity, points: FloatArray) -> Climbs:
    """Climb from each of N points (N, D)."""
    n, d = points.shape
    # Steps may be so long that nothing can be computed there.
    with np.errstate(all="ignore"):
        heights, slopes = density(points)
        heights = np.where(np.isfinite(slopes).all(axis=1) & np.isfinite(heights), heights, -np.inf)
        ends = Climbs(points.copy(), heights, np.zeros(n, dtype=np.intp))
        state = _State(
            np.arange(n),
            points,
            heights,
            slopes,
            1 / np.maximum(np.linalg.norm(slopes, axis=1), 1.0),
            np.zeros((_MEMORY, n, d)),
            np.zeros((_MEMORY, n, d)),
            np.zeros((_MEMORY, n)),
        )
        state.only(np.isfinite(heights))
        for iteration in range(_MOST_ITERATIONS):
            if not state.number.size:
                break
            going = _stepped(density, state, iteration)
            ends.points[state.number] = state.points
            ends.log_density[state.number] = state.heights
            ends.iterations[state.number] += 1
            if not going.all():
                state.only(going)
    return ends


def _stepped(density: LogDensity, state: _State, iteration: int) -> NDArray[np.bool_]:
    """Take a step in every climb; whether each goes on."""
    way = ascents(state.slopes, state.scale, state.steps, state.bends, state.weights, iteration)
    rise = _products(state.slopes, way)
    upward = rise > 0
    if not upward.all():  # by rounding alone: the memory's curvature is positive
        way = np.where(upward[:, None], way, state.scale[:, None] * state.slopes)
        rise = _products(state.slopes, way)
    points, heights, slopes, risen = _line_search(density, state, way, rise)
    steps, bends = points - state.points, state.slopes - slopes
    inner, square = _products(steps, bends), _products(bends, bends)
    curved = inner > _FLAT * np.sqrt(_products(steps, steps) * square)
    place = iteration % _MEMORY
    state.steps[place], state.bends[place] = steps, bends
    state.weights[place] = np.where(curved, 1 / inner, 0.0)
    state.scale = np.where(curved, inner / square, state.scale)
    going = risen & (heights - state.heights > _RISE * np.maximum(np.abs(heights), 1.0))
    going &= np.abs(slopes).max(axis=1) > _SLOPE
    state.points, state.heights, state.slopes = points, heights, slopes
    return np.asarray(going)


def _line_search(
    density: LogDensity, state: _State, way: FloatArray, rise: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.bool_]]:
    """Points, heights and slopes after the steps, and which climbs have risen."""
    points, length = state.points + way, np.ones(len(way))
    heights, slopes = density(points)
    for _ in range(_SHORTENINGS):
        gain = heights - state.heights
        low = ~(np.isfinite(slopes).all(axis=1) & (gain >= _ENOUGH * length * rise))
        if not low.any():
            return points, heights, slopes, ~low
        # To the top of the parabola through both heights and the slope.
        top = length * rise / (2 * (length * rise - gain))
        least, most = _SHORTER
        shorter = length * np.clip(np.nan_to_num(top, nan=least), least, most)
        length = np.where(low, shorter, length)
        points[low] = state.points[low] + length[low, None] * way[low]
        heights[low], slopes[low] = density(points[low])
    points[low], heights[low] = state.points[low], state.heights[low]
    slopes[low] = state.slopes[low]
    return points, heights, slopes, ~low


def _products(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("nd,nd->n", left, right))
