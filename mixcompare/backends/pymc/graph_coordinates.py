"""Coordinates of any response, derived from the graph that its term writes.

PyMC itself knows the transforms of its variables, their priors' densities and draws, and a point
of their support; what the graph computes of one draw, PyTensor vectorises to many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.dimensions import dimensions
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.families import family
from mixcompare.prepared.problem import Problem

# Evaluated a few times on large arrays: NumPy is fast enough and nothing is compiled.
_MODE: Final = Mode(linker="py", optimizer="fast_compile").including("stabilize")


@dataclass(frozen=True, eq=False)
class GraphCoordinates:
    """See `mixcompare.backends.pymc.coordinates.EmissionCoordinates`.

    Attributes
    ----------
    term
        What writes the graph.
    problem, response
        Where the graph's inputs are from.
    coords, dims
        Coordinates of every dimension, and dimensions by parameter array.
    reported
        Parameter arrays of the response, which are variables or deterministics of the graph.
    """

    term: Any
    problem: Problem
    response: int
    coords: Mapping[str, Any]
    dims: Mapping[str, tuple[str, ...]]
    reported: tuple[str, ...]

    @cached_property
    def _inputs(self) -> Mapping[str, FloatArray]:
        inputs: Mapping[str, FloatArray] = self.term.inputs(self.problem, self.response)
        return inputs

    @cached_property
    def _graph(self) -> _Graph:
        """The term alone as a model."""
        with pm.Model(coords=dict(self.coords), check_bounds=False) as model:
            data = {name: pm.Data(name, value) for name, value in self._inputs.items()}
            variables = self.term.variables(data, self.dims)
            return _Graph(model, self.term.log_density(variables, data))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        variables = self._graph.model.free_RVs
        sizes = _compiled([], [v.shape for v in variables])()
        return {v.name: tuple(map(int, n)) for v, n in zip(variables, sizes, strict=True)}

    @cached_property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return {name: value.shape for name, value in self.unconstrained(self.pooled()).items()}

    @cached_property
    def n_values(self) -> int:
        """See `EmissionCoordinates`."""
        each = [math.prod(np.shape(array)) for array in self._inputs.values()]
        return max(each) * self.coords["component"].size

    def inputs(self) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return dict(self._inputs)

    def unconstrained(self, variables: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return {
            name: self._moved(name, value, "forward", self.shapes[name])
            for name, value in variables.items()
        }

    def constrained(self, points: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return {
            name: self._moved(name, value, "backward", self.free_shapes[name])
            for name, value in points.items()
        }

    def _moved(self, name: str, value: FloatArray, way: str, shape: tuple[int, ...]) -> FloatArray:
        if self._graph.model.rvs_to_transforms[self._graph.model[name]] is None:
            return value
        flat = value.reshape(-1, *shape)
        moved = self._transforms[name, way](flat)
        return np.asarray(moved.reshape(*value.shape[: value.ndim - len(shape)], *moved.shape[1:]))

    @cached_property
    def _transforms(self) -> dict[tuple[str, str], Callable[..., FloatArray]]:
        """Each transform and its inverse, of values with one dimension more."""
        model = self._graph.model
        functions = {}
        for variable, transform in model.rvs_to_transforms.items():
            if transform is None:
                continue
            for way in ("forward", "backward"):
                inside = pt.tensor(dtype="float64", shape=(None,) * variable.ndim)
                many = pt.tensor(dtype="float64", shape=(None,) * (variable.ndim + 1))
                one = getattr(transform, way)(inside, *variable.owner.inputs)
                outside = vectorize_graph(one, {inside: many})
                functions[variable.name, way] = _compiled([many], outside)
        return functions

    def pooled(self) -> dict[str, FloatArray]:
        """See `Coordinates`: the middle of the prior, unless the term names initial values."""
        model = self._graph.model
        point = model.initial_point(random_seed=0)
        values = {}
        for variable in model.free_RVs:
            free = point[model.rvs_to_values[variable].name]
            key = variable.name, "backward"
            values[variable.name] = (
                self._transforms[key](free[None])[0] if key in self._transforms else free
            )
        return values

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        n = len(next(iter(noise.values())))
        drawn = pm.draw(self._graph.model.free_RVs, draws=n, random_seed=rng, mode=_MODE)
        return {
            name: np.asarray(value, dtype=float).reshape(n, *shape)
            for (name, shape), value in zip(self.shapes.items(), drawn, strict=True)
        }

    def log_prior(self, variables: Arrays) -> FloatArray:
        """See `Coordinates`."""
        points = self.unconstrained({name: variables[name] for name in self.shapes})
        return np.asarray(self._log_prior(*points.values()))

    @cached_property
    def _log_prior(self) -> Callable[..., FloatArray]:
        model = self._graph.model
        values = [model.rvs_to_values[variable] for variable in model.free_RVs]
        return _vectorised(values, model.varlogp)

    def log_prior_by_parameter(
        self,
        variables: Arrays,
        parameters: Arrays,  # noqa: ARG002 (the graph has them)
    ) -> dict[str, FloatArray]:
        """See `Coordinates`: of the graph's variables, by their names."""
        points = self.unconstrained({name: variables[name] for name in self.shapes})
        values = self._log_prior_by_variable(*points.values())
        return dict(zip(self.shapes, map(np.asarray, values), strict=True))

    @cached_property
    def _log_prior_by_variable(self) -> Callable[..., Sequence[FloatArray]]:
        model = self._graph.model
        values = [model.rvs_to_values[variable] for variable in model.free_RVs]
        each = model.logp(model.free_RVs, jacobian=False, sum=False)
        return _vectorised(values, [part.sum() for part in each])

    def parameters(
        self,
        variables: Arrays,
        n_draws: int,  # noqa: ARG002 (the class model may have none)
    ) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        values = self._parameters(*(variables[name] for name in self.shapes))
        return dict(zip(self.reported, map(np.asarray, values), strict=True))

    @cached_property
    def _parameters(self) -> Callable[..., Sequence[FloatArray]]:
        model = self._graph.model
        return _vectorised(model.free_RVs, [model[name] for name in self.reported])

    def free_values(self, parameters: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`: of a graph whose variables are the parameters."""
        missing = [name for name in self.shapes if name not in parameters]
        if missing:
            raise ValueError(
                f"the variables {', '.join(missing)} are not parameters: the term needs "
                "coordinates of its own."
            )
        return {name: np.asarray(parameters[name], dtype=float) for name in self.shapes}

    def renumbered(self, points: Arrays, permutation: IntArray) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        dims = self._graph.model.named_vars_to_dims
        result = dict(points)
        for name, value in points.items():
            if "component" in (dims.get(name) or ()):
                axis = dims[name].index("component") + 1
                result[name] = labels.permute(value, permutation, axis=axis)
        return result

    def log_density(self, variables: Arrays, n_draws: int) -> FloatArray:  # noqa: ARG002
        """See `EmissionCoordinates`."""
        values = self._log_density(*(variables[name] for name in self.shapes))
        return np.ascontiguousarray(np.moveaxis(values, -1, 0))

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """See `EmissionCoordinates`: of a graph whose variables are the parameters."""
        other = self if rows is self.problem else replace(self, problem=rows)
        density = other.log_density(self.free_values(parameters), len(next(iter(parameters))))
        return np.moveaxis(density, 0, -1)

    @cached_property
    def _log_density(self) -> Callable[..., FloatArray]:
        return _vectorised(self._graph.model.free_RVs, self._graph.log_density)


def graph_coordinates(term: Any, problem: Problem, response: int) -> GraphCoordinates:
    """The coordinates of a term on a problem's response."""
    spec, named = problem.spec, dimensions(problem)
    declared = family(spec.responses[response].family)
    joint = ("covariance",) if declared.joint else ()
    end = f"_{response + 1}" if len(spec.responses) > 1 else ""
    return GraphCoordinates(
        term=term,
        problem=problem,
        response=response,
        coords=named.coords,
        dims=named.of_response(end),
        reported=("coefficients", *joint, *(extra.name for extra in declared.extra)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    model: Any
    log_density: Any


def _vectorised(inputs: Sequence[Any], outputs: Any) -> Any:
    """Compile outputs of many values, on a leading axis, of each input."""
    many = {one: pt.tensor(dtype="float64", shape=(None, *one.type.shape)) for one in inputs}
    return _compiled(list(many.values()), vectorize_graph(outputs, many))


def _compiled(inputs: Sequence[Any], outputs: Any) -> Any:
    return pytensor.function(inputs, outputs, mode=_MODE, on_unused_input="ignore")
