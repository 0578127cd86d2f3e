"""Graphs of the model's terms: their dimensions, their data, and functions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pymc as pm
import pytensor
from pytensor.compile.mode import Mode

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.tree import coordinates
from mixcompare.prepared.problem import Problem

# Each graph is evaluated a few times on large arrays: NumPy is fast enough and there is
# nothing to compile. "stabilize" makes log-sum-exp safe.
MODE: Final = Mode(linker="py", optimizer="fast_compile").including("stabilize")
# Arrays of so many numbers stay in the cache.
BATCH_VALUES: Final = 300_000


def compiled(inputs: Sequence[Any], outputs: Any, **options: Any) -> Callable[..., Any]:
    """The function of a graph, whose inputs need not all be read."""
    function: Callable[..., Any] = pytensor.function(
        inputs, outputs, mode=MODE, on_unused_input="ignore", **options
    )
    return function


def exchangeable(term: Any, inputs: Mapping[str, FloatArray]) -> dict[str, Any]:
    """A term's inputs as data of the model, with lengths left open in which they may differ."""
    leading = term.open_lengths
    data = {}
    for name, array in inputs.items():
        n = array.ndim if leading is None else leading.get(name, 0)
        data[name] = pm.Data(name, array, shape=(None,) * n + array.shape[n:])
    return data


@dataclass(frozen=True, slots=True, eq=False)
class Dimensions:
    """Dimensions of every array, and their coordinates.

    Attributes
    ----------
    coords
        Values along each dimension.
    by_array
        Dimensions of the parameters' blocks, and of ``outcomes``, which the model observes.
    """

    coords: Mapping[str, Any]
    by_array: Mapping[str, tuple[str, ...]]


def dimensions(problem: Problem) -> Dimensions:
    """The dimensions of a problem."""
    by_array = {block.name: block.dims for block in problem.layout.blocks}
    coords = coordinates(problem.spec, problem.prepared)
    return Dimensions(coords, {**by_array, "outcomes": ("unit",)})


def plain[T](arrays: Mapping[str, T], end: str) -> dict[str, T]:
    """The arrays whose names end so, a response's or the classes', under the names before that."""
    return {n.removesuffix(end): value for n, value in arrays.items() if n.endswith(end)}
