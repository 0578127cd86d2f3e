"""PyMC's transforms of the model's free variables, on arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray


def unconstrained(values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Coordinates in which samplers move, of free variables (..., shape).

    Weights become logarithms less their mean, without the last; squares logarithms.
    """
    result = dict(values)
    if "weights" in result:
        logarithm = np.log(result["weights"])
        result["weights"] = (logarithm - logarithm.mean(axis=-1, keepdims=True))[..., :-1]
    result["precision_squares"] = np.log(result["precision_squares"])
    return result


def constrained(values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The inverse of `unconstrained`."""
    result = dict(values)
    if "weights" in result:
        free = result["weights"]
        logarithm = np.concatenate([free, -free.sum(axis=-1, keepdims=True)], axis=-1)
        share = np.exp(logarithm - logarithm.max(axis=-1, keepdims=True))
        result["weights"] = share / share.sum(axis=-1, keepdims=True)
    result["precision_squares"] = np.exp(result["precision_squares"])
    return result


def split_point(points: FloatArray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, FloatArray]:
    """Unconstrained points (..., n) by free variable, see `Structure.free_shapes`."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    parts = np.split(points, ends, axis=-1)
    return {
        name: part.reshape(*points.shape[:-1], *shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def free_dataset(points: FloatArray, shapes: Mapping[str, tuple[int, ...]]) -> xr.Dataset:
    """The free variables of unconstrained points (C, S, n), with dims (chain, draw, ...)."""
    free = constrained(split_point(points, shapes))
    return xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(2, value.ndim))), value)
            for name, value in free.items()
        }
    )
