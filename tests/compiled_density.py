"""The compiled density at one point, called as nutpie calls it."""

from __future__ import annotations

import ctypes

import numpy as np

from mixcompare.backends.pymc.density.nutpie_program import compiled
from mixcompare.base.arrays import FloatArray


def density(point: FloatArray, block: FloatArray) -> tuple[float, FloatArray]:
    """Log density and its gradient (n,) at an unconstrained point (n,).

    NaN where one of them is not finite, which nutpie takes for a step too far.
    """
    value, gradient = np.empty(1), np.empty(point.size)
    at = np.ascontiguousarray(point, dtype=np.float64)
    doubles = ctypes.POINTER(ctypes.c_double)
    addresses = [array.ctypes.data_as(doubles) for array in (at, gradient, value)]
    failed = compiled()[0].ctypes(at.size, *addresses, block.ctypes.data)
    return np.nan if failed else float(value[0]), gradient
