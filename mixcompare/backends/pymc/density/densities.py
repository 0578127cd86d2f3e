"""The log posterior density of any mixture, by the road that serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """A log density on the coordinates without bounds in which samplers move.

    Attributes
    ----------
    log_density
        Log densities (n,) and their gradients (n, D) at points (n, D); not all are finite.
    tempered
        That of the prior times the likelihood to a power.
    """

    log_density: LogDensity
    tempered: Callable[[float], LogDensity]

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `log_density`."""
        return self.log_density(points)


def density_of(mixture: Mixture) -> Density:
    """The log posterior density of a mixture: the compiled one where it serves."""
    return compiled_density(mixture) if serves(mixture) else graph_density(mixture)


def compiled_density(mixture: Mixture) -> Density:
    """The density written by hand, see `mixcompare.backends.pymc.density.density_kernels`."""

    def tempered(power: float) -> LogDensity:
        block = pack(mixture, power=power)

        def log_density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
            values, gradients = np.empty(len(points)), np.empty(points.shape)
            log_densities(np.ascontiguousarray(points), block, values, gradients)
            return values, gradients

        return log_density

    return Density(tempered(1.0), tempered)


def graph_density(mixture: Mixture, mode: Any = None) -> Density:
    """The density of the PyMC model itself, one point after the other, in a mode of PyTensor's."""
    model, point, power = model_of(mixture), pt.dvector("point"), pt.dscalar("power")
    shapes = mixture.free_shapes
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())])
    values = {
        model.rvs_to_values[model[name]]: point[start:end].reshape(shape)
        for (name, shape), start, end in zip(shapes.items(), ends[:-1], ends[1:], strict=True)
    }
    log_density = clone_replace(model.varlogp + power * model.datalogp, values)
    outputs = [log_density, pt.grad(log_density, point)]
    function = pytensor.function([point, power], outputs, mode=mode, on_unused_input="ignore")
    function.trust_input = True  # arrays only: checks would take longer than small models
    # A compiled function keeps its numbers in one place, so one thread may use it at a time.
    lock = threading.Lock()

    def tempered(power: float) -> LogDensity:
        def log_density(points: FloatArray) -> tuple[FloatArray, FloatArray]:
            values, gradients = np.empty(len(points)), np.empty(points.shape)
            with lock:
                for i, at in enumerate(points):
                    values[i], gradients[i] = function(at, np.asarray(power))
            return values, gradients

        return log_density

    return Density(tempered(1.0), tempered)
