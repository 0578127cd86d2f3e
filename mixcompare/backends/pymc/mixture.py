"""A mixture on arrays: its class model and its responses, on one vector of free variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mixcompare.backends.pymc.classes.static import static_classes
from mixcompare.backends.pymc.coordinates import (
    Arrays,
    ClassCoordinates,
    Coordinates,
    EmissionCoordinates,
)
from mixcompare.backends.pymc.dimensions import Dimensions, dimensions
from mixcompare.backends.pymc.emissions.registry import term_of
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The terms of one model with their data.

    Free variables are named as in the PyMC model: with several responses those of the second
    begin with ``2::``, and its parameters end with ``_2``.

    Attributes
    ----------
    n_components
        K.
    classes
        The class model.
    emissions
        The responses.
    dimensions
        Names of the model's dimensions.
    """

    n_components: int
    classes: ClassCoordinates
    emissions: tuple[EmissionCoordinates, ...]
    dimensions: Dimensions

    @property
    def parts(self) -> tuple[tuple[str, Coordinates], ...]:
        """The class model and the responses, each after what its variables' names begin with."""
        several = len(self.emissions) > 1
        prefixes = [f"{i}::" if several else "" for i in range(1, len(self.emissions) + 1)]
        return (("", self.classes), *zip(prefixes, self.emissions, strict=True))

    @property
    def terms(self) -> tuple[Any, ...]:
        """What writes the graph; mixtures with equal terms have one graph."""
        return tuple(part.term for _, part in self.parts)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The free variables, in order, and their shapes."""
        return {f"{tag}{name}": s for tag, part in self.parts for name, s in part.shapes.items()}

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of their values without bounds."""
        return {
            f"{tag}{name}": s for tag, part in self.parts for name, s in part.free_shapes.items()
        }

    @property
    def n_free(self) -> int:
        """Length of a point, D."""
        return sum(math.prod(shape) for shape in self.free_shapes.values())

    def inputs(self) -> dict[str, FloatArray]:
        """Everything numeric that the graph reads, by the name of its ``pm.Data``."""
        return {
            f"{tag}{name}": array
            for tag, part in self.parts
            for name, array in part.inputs().items()
        }

    def unconstrained(self, variables: Arrays) -> dict[str, FloatArray]:
        """Coordinates in which samplers move, of free variables (..., shape)."""
        return self._each(variables, lambda part, values: part.unconstrained(values))

    def constrained(self, points: Arrays) -> dict[str, FloatArray]:
        """The inverse of `unconstrained`."""
        return self._each(points, lambda part, values: part.constrained(values))

    def pooled(self) -> dict[str, FloatArray]:
        """Free variables, the same for every class, about which chains start."""
        return {f"{tag}{n}": v for tag, part in self.parts for n, v in part.pooled().items()}

    def prior_draws(self, rng: np.random.Generator, n: int) -> dict[str, FloatArray]:
        """Points (n, ...) from the prior."""
        noise = {name: rng.standard_normal((n, *shape)) for name, shape in self.shapes.items()}
        drawn = self._each(noise, lambda part, values: part.prior_draws(values, rng))
        return self.unconstrained(drawn)

    def log_prior(self, variables: Arrays) -> FloatArray:
        """(S,) normalised log prior densities in the coordinates without bounds."""
        total = sum(part.log_prior(self._of(variables, tag, part)) for tag, part in self.parts)
        return np.asarray(total)

    def log_prior_by_parameter(
        self, variables: Arrays, parameters: Arrays
    ) -> dict[str, FloatArray]:
        """(S,) log prior densities by parameter array, in the parameters themselves."""
        return {
            f"{name}{suffix(tag)}": value
            for tag, part in self.parts
            for name, value in part.log_prior_by_parameter(
                self._of(variables, tag, part), _plain(parameters, tag)
            ).items()
        }

    def log_density(self, variables: Arrays, n_draws: int) -> FloatArray:
        """(K, S, C) log densities of the carriers' rows given each class, a new array."""
        responses = self.parts[1:]
        total, *others = (
            emission.log_density(self._of(variables, tag, emission), n_draws)
            for (tag, _), emission in zip(responses, self.emissions, strict=True)
        )
        for density in others:
            total += density
        return total

    def parameters(self, variables: Arrays, n_draws: int) -> dict[str, FloatArray]:
        """Parameters in original units, (S, ...) each, but for weights."""
        return {
            f"{name}{suffix(tag)}": value
            for tag, part in self.parts
            for name, value in part.parameters(self._of(variables, tag, part), n_draws).items()
        }

    def free_values(self, parameters: Arrays) -> dict[str, FloatArray]:
        """The free variables (S, ...) at parameters in original units (S, ...).

        Raises
        ------
        ValueError
            If these do not have the structure of the specification.
        """
        return {
            f"{tag}{name}": value
            for tag, part in self.parts
            for name, value in part.free_values(_plain(parameters, tag)).items()
        }

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """(S, C, K) log densities of a problem's rows at parameters in original units."""
        total, *others = (
            emission.scores(_plain(parameters, tag), rows)
            for (tag, _), emission in zip(self.parts[1:], self.emissions, strict=True)
        )
        for density in others:
            total = total + density
        return total

    def split(self, points: FloatArray) -> dict[str, FloatArray]:
        """Points (..., D) by free variable."""
        shapes = self.free_shapes
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
        parts = np.split(points, ends, axis=-1)
        return {
            name: part.reshape(*points.shape[:-1], *shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def join(self, parts: Arrays) -> FloatArray:
        """Points (S, D) of values by free variable."""
        return np.concatenate([parts[n].reshape(len(parts[n]), -1) for n in self.shapes], axis=1)

    def free_dataset(self, points: FloatArray) -> xr.Dataset:
        """The free variables of points (C, S, D), with dims (chain, draw, ...)."""
        free = self.constrained(self.split(points))
        return xr.Dataset(
            {
                name: (("chain", "draw", *(f"{name}_{i}" for i in range(2, value.ndim))), value)
                for name, value in free.items()
            }
        )

    def renumbered(self, points: FloatArray, permutation: IntArray) -> FloatArray:
        """Points (S, D) whose class k is the class ``permutation[:, k]`` of those given."""
        if self.n_components == 1:
            return points
        return self.join(
            self._each(
                self.split(points), lambda part, values: part.renumbered(values, permutation)
            )
        )

    def _each(
        self, arrays: Arrays, compute: Callable[[Coordinates, Arrays], Mapping[str, FloatArray]]
    ) -> dict[str, FloatArray]:
        """What each part makes of its own arrays, under their names."""
        return {
            f"{tag}{name}": value
            for tag, part in self.parts
            for name, value in compute(part, self._of(arrays, tag, part)).items()
        }

    def _of(self, arrays: Arrays, tag: str, part: Coordinates) -> dict[str, FloatArray]:
        """The arrays of one part's free variables, under the names that it knows."""
        return {name: arrays[f"{tag}{name}"] for name in part.shapes}


def build_mixture(problem: Problem) -> Mixture:
    """Work out the constants of a specification on a panel."""
    return Mixture(
        n_components=problem.spec.n_components,
        classes=static_classes(problem),
        emissions=tuple(
            term_of(problem, i).coordinates(problem, i) for i in range(len(problem.spec.responses))
        ),
        dimensions=dimensions(problem),
    )


def suffix(tag: str) -> str:
    """What the names of a response's parameters end with, of what its variables' begin with."""
    return f"_{tag.removesuffix('::')}" if tag else ""


def _plain(parameters: Arrays, tag: str) -> dict[str, FloatArray]:
    """Parameters of a response, or of the classes, under the names that it knows."""
    end = suffix(tag)
    return {n.removesuffix(end): v for n, v in parameters.items() if n.endswith(end)}
