"""The parameters of a mixture, or of several at once, as named blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray

type Index = int | slice | EllipsisType | IntArray | NDArray[np.bool_] | None
type Blocks = Mapping[str, FloatArray]


def block_tag(response: int, of: int) -> str:
    """What the blocks of one of several responses have after their names."""
    return f"_{response + 1}" if of > 1 else ""


@dataclass(frozen=True, slots=True, eq=False)
class Theta:
    """Parameters of the classes' probabilities and of each response's densities.

    All arrays may have the same further axes in front: starts that run together, or the
    iterations of one. An index selects along these.

    Among the classes' are ``weights`` (K,): their probabilities, averaged over the units where they
    differ.
    """

    classes: Blocks
    responses: tuple[Blocks, ...]

    @property
    def weights(self) -> FloatArray:
        """(K,) class probabilities."""
        return self.classes["weights"]

    @property
    def blocks(self) -> dict[str, FloatArray]:
        """All arrays by name, as `mixcompare.model.layout` has them."""
        named = dict(self.classes)
        for i, response in enumerate(self.responses):
            tag = block_tag(i, len(self.responses))
            named |= {f"{name}{tag}": array for name, array in response.items()}
        return named

    def __getitem__(self, index: Index) -> Theta:
        return self._each(lambda array: array[index])

    def with_rows(self, rows: IntArray, others: Theta) -> Theta:
        """The same mixtures, of which others take the place of some."""
        same = self._each(np.copy)
        pairs = zip(same._parts, others._parts, strict=True)
        for array, new in ((blocks[name], new[name]) for blocks, new in pairs for name in blocks):
            array[rows] = new
        return same

    @property
    def _parts(self) -> tuple[Blocks, ...]:
        return self.classes, *self.responses

    def _each(self, change: Callable[[FloatArray], FloatArray]) -> Theta:
        classes, *responses = (
            {name: change(array) for name, array in blocks.items()} for blocks in self._parts
        )
        return Theta(classes, tuple(responses))


NOTHING = Theta({"weights": np.empty((0, 0))}, ())
"""No mixtures at all."""


def concatenate(thetas: Sequence[Theta]) -> Theta:
    """Mixtures along one axis in front."""
    classes, *responses = (
        {name: np.concatenate([blocks[name] for blocks in parts]) for name in parts[0]}
        for parts in zip(*(theta._parts for theta in thetas), strict=True)
    )
    return Theta(classes, tuple(responses))
