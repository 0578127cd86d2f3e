"""The scalar parameters of a model, with one name each, for tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr

from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

Variable = Literal["weights", "coefficients", "covariance"]
VARIABLES: tuple[str, ...] = get_args(Variable)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One reported scalar.

    Attributes
    ----------
    variable
        The array it belongs to.
    positions
        Every index of the array, without sample dimensions and counted from 0, that holds
        it: more than one for symmetric, shared and spherical covariances.
    component
        Its class, counted from 1; None for a covariance that all classes share.
    name
        Such as ``weights[1]``, ``coefficients[1, t]``, ``covariance[2, y1, y2]``.
    """

    variable: Variable
    positions: tuple[tuple[int, ...], ...]
    component: int | None
    name: str

    @property
    def position(self) -> tuple[int, ...]:
        """The first of its positions."""
        return self.positions[0]

    @property
    def is_variance(self) -> bool:
        """Whether it is a diagonal element of a covariance, hence positive."""
        return self.variable == "covariance" and self.position[1] == self.position[2]


def reported_parameters(
    spec: MixtureSpec, covariate_names: Sequence[str], outcome_names: Sequence[str]
) -> tuple[Parameter, ...]:
    """Every distinct scalar: weights, coefficients, the lower triangle of covariances.

    Shared covariances are listed once, structural zeros never, and a spherical
    covariance by its one variance. All K weights are listed though they sum to one.
    """
    return (
        *(_weight(k) for k in range(spec.n_components)),
        *_coefficients(spec, covariate_names, outcome_names),
        *_covariances(spec, outcome_names),
    )


def _weight(k: int) -> Parameter:
    return Parameter("weights", ((k,),), k + 1, f"weights[{k + 1}]")


def _coefficients(
    spec: MixtureSpec, covariates: Sequence[str], outcomes: Sequence[str]
) -> tuple[Parameter, ...]:
    several = len(outcomes) > 1
    return tuple(
        Parameter(
            "coefficients",
            ((k, i, j),),
            k + 1,
            f"coefficients[{k + 1}, {covariate}{f', {outcome}' if several else ''}]",
        )
        for k in range(spec.n_components)
        for i, covariate in enumerate(covariates)
        for j, outcome in enumerate(outcomes)
    )


def _covariances(spec: MixtureSpec, outcomes: Sequence[str]) -> tuple[Parameter, ...]:
    shared = spec.covariance_by == "shared"
    every = range(spec.n_components)
    groups = [(None, every)] if shared else [(k + 1, (k,)) for k in every]
    return tuple(
        Parameter(
            "covariance",
            tuple((k, i, j) for k in components for i, j in elements),
            component,
            _covariance_name(component, pair),
        )
        for component, components in groups
        for elements, pair in _covariance_elements(spec, outcomes)
    )


def _covariance_elements(
    spec: MixtureSpec, outcomes: Sequence[str]
) -> list[tuple[list[tuple[int, int]], str | None]]:
    """Elements of one covariance matrix that are the same number, and their name."""
    m = len(outcomes)
    if m == 1 or spec.covariance == "spherical":
        return [([(i, i) for i in range(m)], None)]
    return [
        (sorted({(i, j), (j, i)}), f"{outcomes[i]}, {outcomes[j]}")
        for i in range(m)
        for j in range(i + 1)
        if i == j or spec.covariance == "full"
    ]


def _covariance_name(component: int | None, pair: str | None) -> str:
    inside = ", ".join(part for part in (str(component or ""), pair or "") if part)
    return f"covariance[{inside}]" if inside else "covariance"


def flatten(dataset: xr.Dataset, parameters: Sequence[Parameter]) -> FloatArray:
    """Values of the parameters on the last axis, sample dimensions before it.

    Parameters
    ----------
    dataset
        ``weights``, ``coefficients`` and ``covariance``, each with the same leading
        sample dimensions (none for an estimate).
    """
    arrays = {name: dataset[name].to_numpy() for name in VARIABLES}
    own_dims = {name: 1 if name == "weights" else 3 for name in arrays}
    columns = [
        np.moveaxis(
            arrays[p.variable], range(-own_dims[p.variable], 0), range(own_dims[p.variable])
        )[p.position]
        for p in parameters
    ]
    return np.stack(columns, axis=-1)


def unflatten(
    values: FloatArray, parameters: Sequence[Parameter], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """Arrays of the given shapes from (P,) values; structural zeros are 0."""
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    for parameter, value in zip(parameters, values, strict=True):
        for position in parameter.positions:
            arrays[parameter.variable][position] = value
    return arrays
