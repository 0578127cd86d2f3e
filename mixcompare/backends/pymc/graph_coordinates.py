"""Coordinates of any response, derived from the graph that its term writes.

PyMC itself knows the transforms of its variables, their priors' densities and draws, and a point
of their support; the rest is what the graph computes, draw after draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.dimensions import dimensions, exchangeable
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
            data = exchangeable(self.term, self._inputs)
            variables = self.term.variables(data, self.dims)
            return _Graph(model, self.term.log_density(variables, data))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        variables = self._graph.model.free_RVs
        sizes = _compiled([], [variable.shape for variable in variables])()
        return {v.name: tuple(map(int, n)) for v, n in zip(variables, sizes, strict=True)}

    @cached_property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return {name: value.shape for name, value in self.unconstrained(self.pooled()).items()}

    @cached_property
    def n_values(self) -> int:
        """See `EmissionCoordinates`."""
        sizes = [int(array.size) for array in self._inputs.values()]
        return max(sizes) * len(self.coords["component"])

    def inputs(self) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return dict(self._inputs)

    def unconstrained(self, variables: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return self._moved(variables, "forward", self.shapes)

    def constrained(self, points: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return self._moved(points, "backward", self.free_shapes)

    def _moved(
        self, values: Arrays, way: str, shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, FloatArray]:
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
        model = self._graph.model
        functions = {}
        for variable, transform in model.rvs_to_transforms.items():
            if transform is None:
                continue
            for way in ("forward", "backward"):
                value = pt.tensor(dtype="float64", shape=(None,) * variable.ndim)
                moved = getattr(transform, way)(value, *variable.owner.inputs)
                functions[variable.name, way] = _compiled([value], [moved])
        return functions

    def pooled(self) -> dict[str, FloatArray]:
        """See `Coordinates`: the middle of the prior, unless the term names initial values."""
        model = self._graph.model
        point = model.initial_point(random_seed=0)
        values = {}
        for variable in model.free_RVs:
            value = point[model.rvs_to_values[variable].name]
            backward = self._transforms.get((variable.name, "backward"))
            values[variable.name] = value if backward is None else backward(value)[0]
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
        return _each(self._log_prior, points.values())[0]

    @cached_property
    def _log_prior(self) -> Callable[..., list[FloatArray]]:
        model = self._graph.model
        return _compiled(self._values, [model.varlogp])

    @property
    def _values(self) -> list[Any]:
        model = self._graph.model
        return [model.rvs_to_values[variable] for variable in model.free_RVs]

    def log_prior_by_parameter(
        self,
        variables: Arrays,
        parameters: Arrays,  # noqa: ARG002 (the graph has them)
    ) -> dict[str, FloatArray]:
        """See `Coordinates`: of the graph's variables, by their names."""
        points = self.unconstrained({name: variables[name] for name in self.shapes})
        values = _each(self._log_prior_by_variable, points.values())
        return dict(zip(self.shapes, values, strict=True))

    @cached_property
    def _log_prior_by_variable(self) -> Callable[..., list[FloatArray]]:
        model = self._graph.model
        each = model.logp(model.free_RVs, jacobian=False, sum=False)
        return _compiled(self._values, [density.sum() for density in each])

    def parameters(
        self,
        variables: Arrays,
        n_draws: int,  # noqa: ARG002 (the class model may have no variable)
    ) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        values = _each(self._parameters, [variables[name] for name in self.shapes])
        return dict(zip(self.reported, values, strict=True))

    @cached_property
    def _parameters(self) -> Callable[..., list[FloatArray]]:
        model = self._graph.model
        return _compiled(model.free_RVs, [model[name] for name in self.reported])

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
        (values,) = _each(self._log_density, [variables[name] for name in self.shapes])
        return np.ascontiguousarray(np.moveaxis(values, -1, 0))

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """See `EmissionCoordinates`: of a graph whose variables are the parameters."""
        other = self if rows is self.problem else replace(self, problem=rows)
        density = other.log_density(self.free_values(parameters), len(next(iter(parameters))))
        return np.moveaxis(density, 0, -1)

    @cached_property
    def _log_density(self) -> Callable[..., list[FloatArray]]:
        return _compiled(self._graph.model.free_RVs, [self._graph.log_density])


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


def _compiled(inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., list[FloatArray]]:
    function: Callable[..., list[FloatArray]] = pytensor.function(
        inputs, outputs, mode=_MODE, on_unused_input="ignore"
    )
    return function


def _each(
    function: Callable[..., list[FloatArray]], values: Iterable[FloatArray]
) -> list[FloatArray]:
    """Outputs at each of many values, on a leading axis, of every input.

    One after the other: PyTensor's vectorisation fails where a graph broadcasts what it has
    reshaped, and what is read of a fit's draws is small beside the time of sampling them.
    """
    results = [function(*each) for each in zip(*values, strict=True)]
    return [np.stack(parts) for parts in zip(*results, strict=True)]
