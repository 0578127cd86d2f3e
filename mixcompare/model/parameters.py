"""The scalar parameters of a model with static classes and normal outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.model.layout import Layout, Named, Parameter, flatten
from mixcompare.model.spec import MixtureSpec

__all__ = ["VARIABLES", "Parameter", "flatten", "reported_parameters", "unflatten", "variables"]

VARIABLES: tuple[str, ...] = ("weights", "membership_coefficients", "coefficients", "covariance")


def variables(dataset: xr.Dataset | Mapping[str, object]) -> tuple[str, ...]:
    """Names of the parameter arrays that a dataset has, in the order of `VARIABLES`."""
    return tuple(name for name in VARIABLES if name in dataset)


def reported_parameters(spec: MixtureSpec, named: Named) -> tuple[Parameter, ...]:
    """Every distinct scalar, see `Layout`."""
    return Layout.of(spec, named).parameters


def unflatten(
    values: FloatArray, parameters: Sequence[Parameter], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """Arrays of the given shapes from (P,) values; structural zeros are 0."""
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    for parameter, value in zip(parameters, values, strict=True):
        for position in parameter.positions:
            arrays[parameter.variable][position] = value
    return arrays
