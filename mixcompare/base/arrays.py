"""Names of array types, and how classes are renumbered in an array."""

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
