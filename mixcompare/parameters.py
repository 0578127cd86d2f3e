"""The scalar parameters of a model, with one name each, for tables and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

Variable = Literal["weights", "coefficients", "covariance"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One reported scalar.

    Attributes
    ----------
    variable
        The array it belongs to.
    position
        Its index in the array without sample dimensions, counted from 0.
    component
        Its class, counted from 1; None for a covariance that all classes share.
    name
        Such as ``weights[1]``, ``coefficients[1, t]``, ``covariance[2, y1, y2]``.
    """

    variable: Variable
    position: tuple[int, ...]
    component: int | None
    name: str

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
    return Parameter("weights", (k,), k + 1, f"weights[{k + 1}]")


def _coefficients(
    spec: MixtureSpec, covariates: Sequence[str], outcomes: Sequence[str]
) -> tuple[Parameter, ...]:
    several = len(outcomes) > 1
    return tuple(
        Parameter(
            "coefficients",
            (k, i, j),
            k + 1,
            f"coefficients[{k + 1}, {covariate}{f', {outcome}' if several else ''}]",
        )
        for k in range(spec.n_components)
        for i, covariate in enumerate(covariates)
        for j, outcome in enumerate(outcomes)
    )


def _covariances(spec: MixtureSpec, outcomes: Sequence[str]) -> tuple[Parameter, ...]:
    shared = spec.covariance_by == "shared"
    return tuple(
        Parameter(
            "covariance",
            (k, i, j),
            None if shared else k + 1,
            _covariance_name(None if shared else k + 1, pair_name),
        )
        for k in range(1 if shared else spec.n_components)
        for i, j, pair_name in _covariance_elements(spec, outcomes)
    )


def _covariance_elements(
    spec: MixtureSpec, outcomes: Sequence[str]
) -> list[tuple[int, int, str | None]]:
    if len(outcomes) == 1 or spec.covariance == "spherical":
        return [(0, 0, None)]
    pairs = [(i, j) for i in range(len(outcomes)) for j in range(i + 1)]
    kept = pairs if spec.covariance == "full" else [(i, j) for i, j in pairs if i == j]
    return [(i, j, f"{outcomes[i]}, {outcomes[j]}") for i, j in kept]


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
    arrays = {name: dataset[name].to_numpy() for name in ("weights", "coefficients", "covariance")}
    own_dims = {name: 1 if name == "weights" else 3 for name in arrays}
    columns = [
        np.moveaxis(
            arrays[p.variable], range(-own_dims[p.variable], 0), range(own_dims[p.variable])
        )[p.position]
        for p in parameters
    ]
    return np.stack(columns, axis=-1)
