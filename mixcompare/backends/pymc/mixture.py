"""A mixture on arrays: its class model and its responses, on one vector of free variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import permutations
from operator import iadd
from typing import Any

import numpy as np

from mixcompare.backends.pymc.classes.static import StaticCoordinates, static_classes
from mixcompare.backends.pymc.coordinates import (
    Arrays,
    Coordinates,
    EmissionCoordinates,
    Values,
)
from mixcompare.backends.pymc.emissions.registry import TERMS
from mixcompare.backends.pymc.graphs import Dimensions, dimensions, plain
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.capabilities import require
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The terms of one model with their data; what it computes is said at `Coordinates`.

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
    classes: StaticCoordinates
    emissions: tuple[EmissionCoordinates, ...]
    dimensions: Dimensions

    @property
    def responses(self) -> tuple[tuple[str, EmissionCoordinates], ...]:
        """The responses, each after what its variables' names begin with."""
        several = len(self.emissions) > 1
        return tuple((f"{i}::" if several else "", e) for i, e in enumerate(self.emissions, 1))

    @property
    def terms(self) -> tuple[Any, ...]:
        """What writes the graph; mixtures with equal terms have one graph."""
        return (self.classes.term, *(emission.term for emission in self.emissions))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The free variables, in order, and their shapes."""
        return self._named(lambda _, part: part.shapes)

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of their values without bounds."""
        return self._named(lambda _, part: part.free_shapes)

    @property
    def n_free(self) -> int:
        """Length of a point, D."""
        return sum(math.prod(shape) for shape in self.free_shapes.values())

    def inputs(self) -> Values:
        """Everything numeric that the graph reads, by the name of its ``pm.Data``."""
        return self._named(lambda _, part: part.inputs())

    def unconstrained(self, variables: Arrays) -> Values:
        """Coordinates in which samplers move, of free variables (..., shape)."""
        return self._named(lambda tag, part: part.unconstrained(_of(variables, tag, part)))

    def constrained(self, points: Arrays) -> Values:
        """The inverse of `unconstrained`."""
        return self._named(lambda tag, part: part.constrained(_of(points, tag, part)))

    def pooled(self) -> Values:
        """Free variables, the same for every class, about which chains start."""
        return self._named(lambda _, part: part.pooled())

    @property
    def n_carriers(self) -> int:
        """How many carriers there are, C."""
        return len(self.classes.carrier_weights)

    def fitted(self, shares: FloatArray, rng: np.random.Generator) -> Values:
        """Free variables fitted to shares (S, C, K) of carriers in classes, see `Coordinates`."""
        counted = shares * self.classes.carrier_weights[:, None]
        return self._named(lambda _, part: part.fitted(counted, rng))

    def prior_draws(self, rng: np.random.Generator, n: int) -> Values:
        """Points (n, ...) from the prior."""
        noise = {name: rng.standard_normal((n, *shape)) for name, shape in self.shapes.items()}
        return self.unconstrained(
            self._named(lambda tag, part: part.prior_draws(_of(noise, tag, part), rng))
        )

    def log_prior(self, variables: Arrays) -> FloatArray:
        """(S,) normalised log prior densities in the coordinates without bounds."""
        total = sum(part.log_prior(_of(variables, tag, part)) for tag, part in self._parts)
        return np.asarray(total)

    def log_prior_by_parameter(self, variables: Arrays, parameters: Arrays) -> Values:
        """(S,) log prior densities by parameter array, in the parameters themselves."""
        return self._reported(
            lambda tag, part: part.log_prior_by_parameter(
                _of(variables, tag, part), plain(parameters, suffix(tag))
            )
        )

    def log_density(self, variables: Arrays) -> FloatArray:
        """(K, S, C) log densities of the carriers' rows given each class, a new array."""
        return reduce(
            iadd, (part.log_density(_of(variables, tag, part)) for tag, part in self.responses)
        )

    def parameters(self, variables: Arrays, n_draws: int) -> Values:
        """Parameters in original units, (S, ...) each, but for weights."""
        return self._reported(lambda tag, part: part.parameters(_of(variables, tag, part), n_draws))

    def free_values(self, parameters: Arrays) -> Values:
        """The free variables (S, ...) at parameters in original units (S, ...).

        Raises
        ------
        ValueError
            If these do not have the structure of the specification.
        """
        return self._named(lambda tag, part: part.free_values(plain(parameters, suffix(tag))))

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """(S, C, K) log densities of a problem's rows at parameters in original units."""
        return reduce(
            iadd,
            (part.scores(plain(parameters, suffix(tag)), rows) for tag, part in self.responses),
        )

    def copies(self) -> FloatArray:
        """(K!, D, D) maps from a point to its copies with the classes renumbered, itself first."""
        points = np.eye(self.n_free)
        orders = np.asarray(list(permutations(range(self.n_components))))
        # Renumbering is linear: the copies of unit vectors are the columns of its matrix.
        return np.stack(
            [self.renumbered(points, np.tile(order, (len(points), 1))).T for order in orders]
        )

    def split(self, points: FloatArray) -> Values:
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

    def renumbered(self, points: FloatArray, permutation: IntArray) -> FloatArray:
        """Points (S, D) whose class k is the class ``permutation[:, k]`` of those given."""
        if self.n_components == 1:
            return points
        parts = self.split(points)
        return self.join(
            self._named(lambda tag, part: part.renumbered(_of(parts, tag, part), permutation))
        )

    @property
    def _parts(self) -> tuple[tuple[str, Coordinates], ...]:
        return (("", self.classes), *self.responses)

    def _named[T](self, compute: Callable[[str, Coordinates], Mapping[str, T]]) -> dict[str, T]:
        """What each part has by free variable, under the variables' names in the model."""
        return {
            f"{tag}{name}": value
            for tag, part in self._parts
            for name, value in compute(tag, part).items()
        }

    def _reported(self, compute: Callable[[str, Coordinates], Values]) -> Values:
        """What each part has by parameter array, under the parameters' names."""
        return {
            f"{name}{suffix(tag)}": value
            for tag, part in self._parts
            for name, value in compute(tag, part).items()
        }


def build_mixture(problem: Problem) -> Mixture:
    """Work out the constants of a specification on a panel.

    Raises
    ------
    SpecificationError
        If a response's family has no term.
    """
    require(problem.spec, "backend='pymc'", TERMS)
    terms = [TERMS[r.family].of(problem, i) for i, r in enumerate(problem.spec.responses)]
    return Mixture(
        n_components=problem.spec.n_components,
        classes=static_classes(problem),
        emissions=tuple(term.coordinates(problem, i) for i, term in enumerate(terms)),
        dimensions=dimensions(problem),
    )


def suffix(tag: str) -> str:
    """What the names of a response's parameters end with, of what its variables' begin with."""
    return f"_{tag.removesuffix('::')}" if tag else ""


def _of(arrays: Arrays, tag: str, part: Coordinates) -> Values:
    """The arrays of one part's free variables, under the names that it knows."""
    return {name: arrays[f"{tag}{name}"] for name in part.shapes}
