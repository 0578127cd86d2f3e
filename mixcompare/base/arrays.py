"""Names of array types, numbers spread over a range, and how classes are renumbered in an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]


def permute(values: FloatArray, permutation: IntArray, axis: int) -> FloatArray:
    """Renumber components.

    Parameters
    ----------
    values
        Array with sample dimensions first and the components on `axis`.
    permutation
        (..., K) whose leading dimensions are the first dimensions of `values`.
    axis
        The components' axis in `values`.
    """
    axis %= values.ndim
    shape = [1] * values.ndim
    shape[: permutation.ndim - 1] = permutation.shape[:-1]
    shape[axis] = permutation.shape[-1]
    return np.take_along_axis(values, permutation.reshape(shape), axis=axis)


def evenly_spaced(count: int, most: int) -> IntArray:
    """Of the numbers 0 to `count` - 1 at most `most`, evenly spaced."""
    if not count:
        return np.zeros(0, dtype=np.intp)
    return np.unique(np.linspace(0, count - 1, most).astype(np.intp))
