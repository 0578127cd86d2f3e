"""k-means without a copy of the points, or distances of all of them, beside them.

Its numbers are those of `scipy.cluster.vq.kmeans2`, to the bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import vq
from scipy.sparse import csc_array
from scipy.spatial.distance import cdist

from mixcompare.base.arrays import FloatArray

_ITERATIONS: Final = 10
_POINTS_AT_A_TIME = 8192


def clusters(points: FloatArray, k: int, rng: np.random.Generator) -> NDArray[np.int32] | None:
    """(G,) clusters of points (G, d) after some iterations of Lloyd's algorithm.

    It starts from k-means++ (Arthur & Vassilvitskii 2007). None if a cluster is empty.
    """
    centres = _distant_points(points, k, rng)
    nearest = np.empty(len(points), dtype=np.int32)
    ones, each = np.ones(len(points)), np.arange(len(points) + 1, dtype=np.int32)
    for _ in range(_ITERATIONS):
        for part in _parts(points):
            nearest[part] = vq(points[part], centres, check_finite=False)[0]
        counts = np.bincount(nearest, minlength=k)
        if not counts.all():
            return None
        # Sums of one point after the other, whose order BLAS would not keep.
        members = csc_array((ones, nearest, each), shape=(k, len(points)))
        centres = (members @ points) / counts[:, None]
    return nearest


def _distant_points(points: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """(k, d) points, each drawn with its squared distance from those before as its weight."""
    drawn = np.empty((k, points.shape[1]))
    drawn[0] = points[rng.integers(len(points))]
    distances = np.full(len(points), np.inf)
    for i in range(1, k):
        for part in _parts(points):
            away = cdist(drawn[i - 1 : i], points[part], metric="sqeuclidean")[0]
            np.minimum(distances[part], away, out=distances[part])
        shares = distances / distances.sum()
        np.cumsum(shares, out=shares)
        drawn[i] = points[np.searchsorted(shares, rng.uniform())]
    return drawn


def _parts(points: FloatArray) -> list[slice]:
    return [slice(i, i + _POINTS_AT_A_TIME) for i in range(0, len(points), _POINTS_AT_A_TIME)]
