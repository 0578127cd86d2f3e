"""The search for the posterior's maxima before chains start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixcompare.backends.pymc.search.climbing import climb
from mixcompare.backends.pymc.search.dispersed import KINDS, dispersed
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.base.arrays import IntArray
from mixcompare.base.errors import OptionError

# One class has one hump as a rule, and no labels.
_CLIMBS_OF_ONE_CLASS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Maxima that climbs have found, those of the highest evidence first.

    Attributes
    ----------
    maxima
        Those that are not proper come last.
    ends
        (N,) place of each climb's maximum; -1 where a climb could not begin.
    kinds, iterations
        (N,) places in `KINDS`, and iterations of each climb.
    seconds
        Wall time.
    """

    maxima: tuple[Maximum, ...]
    ends: IntArray
    kinds: IntArray
    iterations: IntArray
    seconds: float

    @property
    def climbs(self) -> IntArray:
        """(O, kinds) how many climbs of each kind ended at each maximum."""
        counts = np.zeros((len(self.maxima), len(KINDS)), dtype=np.intp)
        usable = self.ends >= 0
        np.add.at(counts, (self.ends[usable], self.kinds[usable]), 1)
        return counts


def search(terrain: Terrain, climbs: int, rng: np.random.Generator) -> Search:
    """Climb from so many dispersed points and tell the maxima apart.

    Raises
    ------
    OptionError
        If the density cannot be computed at any of them.
    """
    began = time.perf_counter()
    n = climbs if terrain.mixture.n_components > 1 else min(climbs, _CLIMBS_OF_ONE_CLASS)
    points, kinds = dispersed(terrain.mixture, n, rng)
    ends = climb(terrain.density, points)
    known: list[Maximum] = []
    places = terrain.places(known, ends.points)
    if not known:
        raise OptionError(
            f"The log density cannot be computed at any of the {n} points from which init='search' "
            "climbs: take init='overdispersed' or init='prior', and see whether outcomes, "
            "covariates and priors are on scales that can be right."
        )
    maxima, renamed = by_evidence(known)
    places[places >= 0] = renamed[places[places >= 0]]
    return Search(maxima, places, kinds, ends.iterations, time.perf_counter() - began)


def by_evidence(known: Sequence[Maximum]) -> tuple[tuple[Maximum, ...], IntArray]:
    """Maxima from the highest evidence on, improper ones last, and the new place of each."""

    def height(i: int) -> tuple[bool, float]:
        maximum = known[i]
        return not maximum.proper, -(
            maximum.log_evidence if maximum.proper else maximum.log_density
        )

    order = sorted(range(len(known)), key=height)
    return tuple(known[i] for i in order), np.argsort(np.array(order, dtype=np.intp))
