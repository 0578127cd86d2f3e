"""The log posterior density of any mixture, by the road that serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace

from mixcompare.backends.pymc.density.density_kernels import log_densities
from mixcompare.backends.pymc.density.packing import pack, serves
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.base.arrays import FloatArray

# Log densities (n,) and their gradients (n, D) at points (n, D).
type LogDensity = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


class Density(Protocol):
    """A log density on the coordinates without bounds in which samplers move."""

    def __call__(self, points: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        """Log densities (n,) and their gradients (n, D) at points (n, D); not all are finite."""

    def tempered(self, power: float, /) -> Density:
        """That of the prior times the likelihood to a power."""


def density_of(mixture: Mixture) -> Density:
    """The log posterior density of a mixture: the compiled one where it serves."""
    return CompiledDensity(mixture) if serves(mixture) else graph_density(mixture)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledDensity:
    """The density written by hand, see `mixcompare.backends.pymc.density.density_kernels`.

    Attributes
    ----------
    mixture
        A mixture that it serves.
    power
        Of the likelihood.
    block
        Its numbers.
    """

    mixture: Mixture
    power: float = 1.0
    block: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "block", pack(self.mixture, power=self.power))

    def __call__(self, points: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        """See `Density`."""
        values, gradients = np.empty(len(points)), np.empty(points.shape)
        log_densities(np.ascontiguousarray(points), self.block, values, gradients)
        return values, gradients

    def tempered(self, power: float, /) -> Self:
        """See `Density`."""
        return replace(self, power=power)


@dataclass(frozen=True, slots=True, eq=False)
class GraphDensity:
    """The density of the PyMC model itself, one point after the other.

    Attributes
    ----------
    function
        Compiled: log density and gradient of a point (D,) and the likelihood's power.
    lock
        A compiled function keeps its numbers in one place, so one thread may use it at a time.
    power
        Of the likelihood.
    """

    function: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    lock: threading.Lock
    power: float = 1.0

    def __call__(self, points: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        """See `Density`."""
        values, gradients = np.empty(len(points)), np.empty(points.shape)
        power = np.asarray(self.power)
        with self.lock:
            for i, point in enumerate(points):
                values[i], gradients[i] = self.function(point, power)
        return values, gradients

    def tempered(self, power: float, /) -> Self:
        """See `Density`."""
        return replace(self, power=power)


def graph_density(mixture: Mixture, mode: Any = None) -> GraphDensity:
    """The density of a mixture's PyMC model.

    Parameters
    ----------
    mode
        PyTensor's mode of compilation; None for its default.
    """
    model, shapes = model_of(mixture), mixture.free_shapes
    point, power = pt.dvector("point"), pt.dscalar("power")
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())])
    values = {
        model.rvs_to_values[model[name]]: point[start:end].reshape(shape)
        for (name, shape), start, end in zip(shapes.items(), ends[:-1], ends[1:], strict=True)
    }
    log_density = clone_replace(model.varlogp + power * model.datalogp, values)
    outputs = [log_density, pt.grad(log_density, point)]
    function = pytensor.function([point, power], outputs, mode=mode, on_unused_input="ignore")
    function.trust_input = True  # arrays only: checks would take longer than small models
    return GraphDensity(function, threading.Lock())
