"""Climbs of a log density by L-BFGS (Liu & Nocedal 1989; Byrd, Lu, Nocedal & Zhu 1995)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.pymc.density.densities import LogDensity
from mixcompare.base.arrays import FloatArray, IntArray

_LIMITS: Final[Mapping[str, Any]] = {
    "maxcor": 20,
    "maxiter": 1000,
    "maxfun": 2000,
    # A relative rise and a slope so small end a climb; curvature takes it the rest of the way.
    "ftol": 1e-8,
    "gtol": 1e-4,
}
# What cannot be computed is as if far below; the line search of L-BFGS-B wants numbers.
_FAR_BELOW: Final = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Climbs:
    """Where climbs ended.

    Attributes
    ----------
    points, log_density
        (N, D) and (N,); minus infinity where a climb began where nothing can be computed.
    iterations
        (N,) of L-BFGS.
    settled
        (N,) whether a climb ended of itself, not at a limit.
    """

    points: FloatArray
    log_density: FloatArray
    iterations: IntArray
    settled: NDArray[np.bool_]


def climb(density: LogDensity, points: FloatArray) -> Climbs:
    """Climb from each of N points (N, D)."""
    from scipy import optimize  # slow to import

    minimize: Any = optimize.minimize

    def falling(point: FloatArray) -> tuple[float, FloatArray]:
        values, slopes = density(point[None])
        if not (np.isfinite(values[0]) and np.isfinite(slopes[0]).all()):
            return _FAR_BELOW, np.zeros_like(point)
        return -float(values[0]), -slopes[0]

    # Steps may be so long that nothing can be computed there.
    with np.errstate(all="ignore"):
        ends = [
            minimize(falling, point, jac=True, method="L-BFGS-B", options=dict(_LIMITS))
            for point in points
        ]
    heights = -np.array([end.fun for end in ends])
    return Climbs(
        np.array([end.x for end in ends]).reshape(points.shape),
        np.where(heights <= -_FAR_BELOW, -np.inf, heights),
        np.array([end.nit for end in ends], dtype=np.intp),
        np.array([end.success for end in ends], dtype=bool),
    )
