"""Points of several kinds from which a search climbs; none of them knows of EM.

``"pooled"`` are about the pooled fit, as chains with ``init="overdispersed"`` begin;
``"prior"`` are draws from the prior; ``"classes"`` begin where rough classes of the units are,
see `mixcompare.backends.pymc.search.rough_classes`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.samplers.starts import overdispersed, prior_draw
from mixcompare.backends.pymc.search.rough_classes import rough_classes
from mixcompare.base.arrays import FloatArray, IntArray

KINDS: Final = ("pooled", "classes", "prior")
# Of points in turn. Prior draws are far off: climbs from them are long, and few end high.
_TURNS: Final = (*(0, 1) * 12, 2)


def dispersed(mixture: Mixture, n: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """N points (N, D) in the sampler's coordinates, and their kinds (N,), places in `KINDS`."""
    kinds = np.resize(_TURNS, n)
    points = np.empty((n, mixture.n_free))
    for kind, start in ((0, overdispersed(mixture)), (2, prior_draw(mixture))):
        for i in np.flatnonzero(kinds == kind):
            points[i] = np.concatenate([value.ravel() for value in start(rng, 0).values()])
    seeded = kinds == 1
    points[seeded] = rough_classes(mixture, int(seeded.sum()), rng)
    return points, kinds
