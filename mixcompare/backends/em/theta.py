"""The parameters of a mixture, or of several at once, as named blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.backends.em.together import Together, changed
from mixcompare.base.arrays import FloatArray

LOG_2PI: Final = float(np.log(2 * np.pi))
type Blocks = Mapping[str, FloatArray]


def block_tag(response: int, of: int) -> str:
    """What the blocks of one of several responses have after their names."""
    return f"_{response + 1}" if of > 1 else ""


@dataclass(frozen=True, slots=True, eq=False)
class Theta(Together):
    """Parameters of the classes' probabilities and of each response's densities.

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


NOTHING = Theta({"weights": np.empty((0, 0))}, ())
"""No mixtures at all."""


def concatenate(thetas: Sequence[Theta]) -> Theta:
    """Mixtures along one axis in front."""
    return changed(lambda *arrays: np.concatenate(arrays), *thetas)
