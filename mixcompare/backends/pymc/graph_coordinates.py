"""Coordinates of any response, derived from the graph that its term writes.

PyMC itself knows the transforms of its variables, their priors' densities and draws, and a point
of their support; the rest is what the graph computes, draw after draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays, Values
from mixcompare.backends.pymc.graphs import (
    MODE,
    Dimensions,
    compiled,
    dimensions,
    exchangeable,
    plain,
)
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.families import family
from mixcompare.model.layout import COMPONENT
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, eq=False)
class GraphCoordinates:
    """See `mixcompare.backends.pymc.coordinates.EmissionCoordinates`.

    Attributes
    ----------
    term
        What writes the graph.
    problem, response
        Where the graph's inputs are from.
    dimensions
        The response's.
    reported
        Parameter arrays of the response, which are variables or deterministics of the graph.
    """

    term: Any
    problem: Problem
    response: int
    dimensions: Dimensions
    reported: tuple[str, ...]

    @cached_property
    def _inputs(self) -> Values:
        return dict(self.term.inputs(self.problem, self.response))

    @cached_property
    def _graph(self) -> tuple[Any, Any]:
        """The term alone as a model, and its log density."""
        named = self.dimensions
        with pm.Model(coords=dict(named.coords), check_bounds=False) as model:
            data = exchangeable(self.term, self._inputs)
            variables = self.term.variables(data, named.by_array)
            return model, self.term.log_density(variables, data)

    @property
    def _model(self) -> Any:
        return self._graph[0]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        variables = self._model.free_RVs
        sizes = compiled([], [variable.shape for variable in variables])()
        return {v.name: tuple(map(int, n)) for v, n in zip(variables, sizes, strict=True)}

    @cached_property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return {name: value.shape for name, value in self.unconstrained(self.pooled()).items()}

    @cached_property
    def n_values(self) -> int:
        """See `EmissionCoordinates`."""
        largest = max(array.size for array in self._inputs.values())
        return largest * self.problem.spec.n_components

    def inputs(self) -> Values:
        """See `Coordinates`."""
        return self._inputs

    def unconstrained(self, variables: Arrays) -> Values:
        """See `Coordinates`."""
        return self._moved(variables, "forward", self.shapes)

    def constrained(self, points: Arrays) -> Values:
        """See `Coordinates`."""
        return self._moved(points, "backward", self.free_shapes)

    def _moved(self, values: Arrays, way: str, shapes: Mapping[str, tuple[int, ...]]) -> Values:
        result = dict(values)
        for name, value in values.items():
            if (name, way) in self._transforms:
                lead = value.shape[: value.ndim - len(shapes[name])]
                (moved,) = _each(self._transforms[name, way], [value.reshape(-1, *shapes[name])])
                result[name] = moved.reshape(*lead, *moved.shape[1:])
        return result

    @cached_property
    def _transforms(self) -> dict[tuple[str, str], Callable[..., list[FloatArray]]]:
        """Each transform and its inverse, by variable; those without bounds have none."""
        functions = {}
        for variable, transform in self._model.rvs_to_transforms.items():
            for way in ("forward", "backward") if transform is not None else ():
                value = pt.tensor(dtype="float64", shape=(None,) * variable.ndim)
                moved = getattr(transform, way)(value, *variable.owner.inputs)
                functions[variable.name, way] = compiled([value], [moved])
        return functions

    def pooled(self) -> Values:
        """See `Coordinates`: the middle of the prior, unless the term names initial values."""
        point, values = self._model.initial_point(random_seed=0), {}
        for name, at in zip(self.shapes, self._values, strict=True):
            backward = self._transforms.get((name, "backward"))
            values[name] = point[at.name] if backward is None else backward(point[at.name])[0]
        return values

    def fitted(self, shares: FloatArray, rng: np.random.Generator) -> Values:
        """See `Coordinates`: a graph cannot fit classes."""
        noise = {
            name: rng.uniform(-1, 1, (len(shares), *shape))
            for name, shape in self.free_shapes.items()
        }
        centre = self.unconstrained(self.pooled())
        return self.constrained({name: centre[name] + noise[name] for name in noise})

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> Values:
        """See `Coordinates`."""
        n = len(next(iter(noise.values())))
        drawn = pm.draw(self._model.free_RVs, draws=n, random_seed=rng, mode=MODE)
        return {
            name: np.asarray(value, dtype=float).reshape(n, *shape)
            for (name, shape), value in zip(self.shapes.items(), drawn, strict=True)
        }

    @property
    def _values(self) -> list[Any]:
        return [self._model.rvs_to_values[variable] for variable in self._model.free_RVs]

    def log_prior(self, variables: Arrays) -> FloatArray:
        """See `Coordinates`."""
        return _each(self._log_prior, self.unconstrained(self._ordered(variables)).values())[0]

    @cached_property
    def _log_prior(self) -> Callable[..., list[FloatArray]]:
        return compiled(self._values, [self._model.varlogp])

    def log_prior_by_parameter(self, variables: Arrays, parameters: Arrays) -> Values:  # noqa: ARG002 (the graph has them)
        """See `Coordinates`: of the graph's variables, by their names."""
        points = self.unconstrained(self._ordered(variables))
        values = _each(self._log_prior_by_variable, points.values())
        return dict(zip(self.shapes, values, strict=True))

    @cached_property
    def _log_prior_by_variable(self) -> Callable[..., list[FloatArray]]:
        each = self._model.logp(self._model.free_RVs, jacobian=False, sum=False)
        return compiled(self._values, [density.sum() for density in each])

    def parameters(self, variables: Arrays, n_draws: int) -> Values:  # noqa: ARG002 (the class model may have none)
        """See `Coordinates`."""
        values = _each(self._parameters, self._ordered(variables).values())
        return dict(zip(self.reported, values, strict=True))

    @cached_property
    def _parameters(self) -> Callable[..., list[FloatArray]]:
        return compiled(self._model.free_RVs, [self._model[name] for name in self.reported])

    def free_values(self, parameters: Arrays) -> Values:
        """See `Coordinates`: of a graph whose variables are the parameters."""
        missing = [name for name in self.shapes if name not in parameters]
        if missing:
            raise ValueError(
                f"the variables {', '.join(missing)} are not parameters: the term needs "
                "coordinates of its own."
            )
        return {name: np.asarray(parameters[name], dtype=float) for name in self.shapes}

    def renumbered(self, points: Arrays, permutation: IntArray) -> Values:
        """See `Coordinates`."""
        dims, result = self._model.named_vars_to_dims, dict(points)
        for name, value in points.items():
            if COMPONENT in (dims.get(name) or ()):
                axis = dims[name].index(COMPONENT) + 1
                result[name] = labels.permute(value, permutation, axis=axis)
        return result

    def log_density(self, variables: Arrays) -> FloatArray:
        """See `EmissionCoordinates`."""
        (values,) = _each(self._log_density, self._ordered(variables).values())
        return np.ascontiguousarray(np.moveaxis(values, -1, 0))

    @cached_property
    def _log_density(self) -> Callable[..., list[FloatArray]]:
        return compiled(self._model.free_RVs, [self._graph[1]])

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """See `EmissionCoordinates`: of a graph whose variables are the parameters."""
        other = self if rows is self.problem else replace(self, problem=rows)
        return np.moveaxis(other.log_density(self.free_values(parameters)), 0, -1)

    def _ordered(self, variables: Arrays) -> Values:
        return {name: variables[name] for name in self.shapes}


def graph_coordinates(term: Any, problem: Problem, response: int) -> GraphCoordinates:
    """The coordinates of a term on a problem's response."""
    spec, named = problem.spec, dimensions(problem)
    declared = family(spec.responses[response].family)
    joint = ("covariance",) if declared.joint else ()
    dims = plain(named.by_array, f"_{response + 1}" if len(spec.responses) > 1 else "")
    reported = ("coefficients", *joint, *(extra.name for extra in declared.extra))
    return GraphCoordinates(term, problem, response, Dimensions(named.coords, dims), reported)


def _each(
    function: Callable[..., list[FloatArray]], values: Iterable[FloatArray]
) -> list[FloatArray]:
    """Outputs at each of many values, on a leading axis, of every input.

    One after the other: PyTensor's vectorisation fails where a graph broadcasts what it has
    reshaped, and what is read of a fit's draws is small beside the time of sampling them.
    """
    results = [function(*each) for each in zip(*values, strict=True)]
    return [np.stack(parts) for parts in zip(*results, strict=True)]
