"""Samplers of outcomes given the class, one of each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError, SpecificationError
from mixcompare.base.registry import register
from mixcompare.model.capabilities import require
from mixcompare.model.covariances import root
from mixcompare.model.spec import MixtureSpec

type Blocks = Mapping[str, FloatArray]
type Sampler = Callable[[Blocks, IntArray, FloatArray, np.random.Generator], FloatArray]
"""Draws outcomes (..., N, m) of rows.

Its arguments are parameters (..., K, ...) by the name of their block, in the data's units; the
class (..., N) of each row, counted from 0; covariates (N, p); and the source of randomness.
Axes in front are those of several sets of parameters, each with classes and outcomes of its own.
"""

SAMPLERS: Final[dict[str, Sampler]] = {}
"""Samplers by the name of their family."""


def register_sampler(family: str, sampler: Sampler) -> None:
    """Let outcomes of a family be drawn by a sampler.

    Raises
    ------
    SpecificationError
        If the family has another.
    """
    register(SAMPLERS, "sampler for outcomes of the family", family, sampler, SpecificationError)


def sampler_of(spec: MixtureSpec) -> Sampler:
    """The sampler of the family of a model's outcomes.

    Raises
    ------
    SpecificationError
        If none is registered.
    """
    require(spec, "simulation", SAMPLERS)
    return SAMPLERS[spec.response.family]


def draw_normal(
    parameters: Blocks, classes: IntArray, covariates: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Jointly normal outcomes, see `Sampler`."""
    size = (*classes.shape, parameters["covariance"].shape[-1])
    return normal_outcomes(parameters, classes, covariates, rng.standard_normal(size))


def normal_outcomes(
    parameters: Blocks, classes: IntArray, covariates: FloatArray, noise: FloatArray
) -> FloatArray:
    """Outcomes (..., N, m) of given errors (..., N, m) of unit covariance, see `Sampler`.

    Raises
    ------
    DataError
        If the shapes do not suit one another.
    """
    coefficients, covariance = parameters["coefficients"], parameters["covariance"]
    k, p, m = covariance.shape[-3], covariates.shape[-1], noise.shape[-1]
    k = max(k, int(classes.max(initial=0)) + 1)
    if coefficients.shape[-3:] != (k, p, m) or covariance.shape[-3:] != (k, m, m):
        raise DataError(
            f"for {k} classes the rows need coefficients of shape {(k, p, m)} and covariances of "
            f"shape {(k, m, m)}, not {coefficients.shape[-3:]} and {covariance.shape[-3:]}."
        )
    roots = root(covariance)
    outcomes = np.empty_like(noise)
    for c in range(k):
        drawn = classes == c
        # With several sets nearly every row is somewhere in the class.
        rows = np.flatnonzero(drawn) if drawn.ndim == 1 else slice(None)
        mean = covariates[rows] @ coefficients[..., c, :, :]
        values = mean + noise[..., rows, :] @ roots[..., c, :, :].mT
        outcomes[drawn] = values[drawn[..., rows]]
    return outcomes


register_sampler("normal", draw_normal)
