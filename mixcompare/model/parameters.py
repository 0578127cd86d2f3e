"""The scalar parameters of a model, with one name each, for tables and plots."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import Elements, elements
from mixcompare.model.spec import MixtureSpec

Variable = Literal["weights", "membership_coefficients", "coefficients", "covariance"]
VARIABLES: tuple[str, ...] = get_args(Variable)
_OWN_DIMS = {"weights": 1, "membership_coefficients": 2, "coefficients": 3, "covariance": 3}


class Named(Protocol):
    """A panel, prepared panel or fit: whatever names its columns."""

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the design columns."""

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """Names of the outcomes."""

    @property
    def common_names(self) -> tuple[str, ...]:
        """Covariates whose coefficients all classes share."""

    @property
    def concomitant_names(self) -> tuple[str, ...]:
        """Unit covariates of the class membership."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One reported scalar.

    Attributes
    ----------
    variable
        The array it belongs to.
    positions
        Every index of the array, without sample dimensions and counted from 0, that holds
        it: more than one for common coefficients and symmetric, shared and spherical
        covariances.
    component
        Its class, counted from 1; None for what all classes share.
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


def variables(dataset: xr.Dataset | Mapping[str, object]) -> tuple[str, ...]:
    """Names of the parameter arrays that a dataset has, in the order of `VARIABLES`."""
    return tuple(name for name in VARIABLES if name in dataset)


def reported_parameters(spec: MixtureSpec, named: Named) -> tuple[Parameter, ...]:
    """Every distinct scalar: weights, coefficients, the lower triangle of covariances.

    Common coefficients and shared covariances are listed once, structural zeros never, and
    a spherical covariance by its one variance. All K weights are listed though they sum to
    one; beside membership covariates they are the average class probabilities, and the
    log-odds of every class but the first against the first are listed too.
    """
    return (
        *(_weight(k) for k in range(spec.n_components)),
        *_membership(spec, named.concomitant_names),
        *_coefficients(spec, named),
        *_covariances(spec, named.outcome_names),
    )


def _weight(k: int) -> Parameter:
    return Parameter("weights", ((k,),), k + 1, f"weights[{k + 1}]")


def _membership(spec: MixtureSpec, concomitants: Sequence[str]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter("membership_coefficients", ((k, i),), k + 1, f"membership[{k + 1}, {name}]")
        for k in range(1, spec.n_components)
        for i, name in enumerate(concomitants)
    )


def _coefficients(spec: MixtureSpec, named: Named) -> tuple[Parameter, ...]:
    every = range(spec.n_components)
    places = [(i, j) for i in range(len(named.covariate_names)) for j in _indices(named)]
    shared = {i for i, name in enumerate(named.covariate_names) if name in named.common_names}
    own = [((k,), k + 1, i, j) for k in every for i, j in places if i not in shared]
    common = [(tuple(every), None, i, j) for i, j in places if i in shared]
    return tuple(
        Parameter(
            "coefficients",
            tuple((k, i, j) for k in components),
            component,
            f"coefficients[{_inside(component, _coefficient_name(named, i, j))}]",
        )
        for components, component, i, j in (*own, *common)
    )


def _indices(named: Named) -> range:
    return range(len(named.outcome_names))


def _coefficient_name(named: Named, i: int, j: int) -> str:
    several = len(named.outcome_names) > 1
    return named.covariate_names[i] + (f", {named.outcome_names[j]}" if several else "")


def _covariances(spec: MixtureSpec, outcomes: Sequence[str]) -> tuple[Parameter, ...]:
    shared = spec.covariance_by == "shared"
    every = range(spec.n_components)
    groups = [(None, every)] if shared else [(k + 1, (k,)) for k in every]
    return tuple(
        Parameter(
            "covariance",
            tuple((k, i, j) for k in components for i, j in places),
            component,
            _covariance_name(component, pair),
        )
        for component, components in groups
        for places, pair in _named_elements(spec, outcomes)
    )


def _named_elements(
    spec: MixtureSpec, outcomes: Sequence[str]
) -> list[tuple[Elements, str | None]]:
    """Elements of one covariance matrix that are the same number, and their name."""
    found = elements(spec.covariance, len(outcomes))
    if len(found) == 1:
        return [(found[0], None)]
    return [(places, ", ".join(outcomes[i] for i in places[-1])) for places in found]


def _covariance_name(component: int | None, pair: str | None) -> str:
    inside = _inside(component, pair)
    return f"covariance[{inside}]" if inside else "covariance"


def _inside(component: int | None, rest: str | None) -> str:
    return ", ".join(part for part in (str(component or ""), rest or "") if part)


def flatten(
    dataset: xr.Dataset | Mapping[Hashable, xr.Variable], parameters: Sequence[Parameter]
) -> FloatArray:
    """Values of the parameters on the last axis, sample dimensions before it.

    Parameters
    ----------
    dataset
        The arrays named in `VARIABLES` that the model has, each with the same leading
        sample dimensions (none for an estimate).
    """
    # Own dimensions first, so that a position is an index.
    arrays = {
        name: np.moveaxis(dataset[name].to_numpy(), range(-own, 0), range(own))
        for name, own in _OWN_DIMS.items()
        if name in dataset
    }
    return np.stack([arrays[p.variable][p.position] for p in parameters], axis=-1)


def unflatten(
    values: FloatArray, parameters: Sequence[Parameter], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """Arrays of the given shapes from (P,) values; structural zeros are 0."""
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    for parameter, value in zip(parameters, values, strict=True):
        for position in parameter.positions:
            arrays[parameter.variable][position] = value
    return arrays
