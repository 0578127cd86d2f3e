"""Dimensions of a problem's parameters and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pymc as pm

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.tree import coordinates
from mixcompare.prepared.problem import Problem


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

    def of_response(self, suffix: str) -> dict[str, tuple[str, ...]]:
        """Dimensions of the arrays whose names end so, under the names before it."""
        return {
            name.removesuffix(suffix): dims
            for name, dims in self.by_array.items()
            if name.endswith(suffix)
        }


def dimensions(problem: Problem) -> Dimensions:
    """The dimensions of a problem."""
    blocks = {block.name: block.dims for block in problem.layout.blocks}
    return Dimensions(
        coords=coordinates(problem.spec, problem.prepared),
        by_array={**blocks, "outcomes": ("unit",)},
    )


def exchangeable(term: Any, inputs: Mapping[str, FloatArray]) -> dict[str, Any]:
    """A term's inputs as data of the model, with lengths left open in which they may differ."""
    shapes = term.input_shapes
    return {
        name: pm.Data(name, array, shape=shapes.get(name, (None,) * array.ndim))
        for name, array in inputs.items()
    }
