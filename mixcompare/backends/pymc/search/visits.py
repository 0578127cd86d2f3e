"""Which maxima chains are at: those to which some of their draws climb.

A posterior with a single hump can lie over several small maxima, among which a chain moves
freely. So chains are told apart only where they have no maximum in common.
"""

from __future__ import annotations

import numpy as np

from mixcompare.backends.pymc.search.climbing import climb
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.base.arrays import FloatArray, IntArray


def visits(terrain: Terrain, known: list[Maximum], points: FloatArray, climbs: int) -> IntArray:
    """(C, n) places of the maxima of some draws of each chain, perhaps of new ones.

    Parameters
    ----------
    known
        Maxima, to which new ones are added.
    points
        (C, S, D) draws.
    climbs
        From how many draws of each chain, evenly spread over its second half.
    """
    chains, length, d = points.shape
    taken = np.unique(np.linspace(length // 2, length - 1, climbs).astype(np.intp))
    ends = climb(terrain.density, points[:, taken].reshape(-1, d)).points
    return terrain.places(known, ends).reshape(chains, -1)


def together(visited: IntArray) -> list[IntArray]:
    """Chains that have maxima in common, directly or through others; each group's numbers."""
    group = np.arange(len(visited))
    for place in np.unique(visited):
        joined = np.unique(group[(visited == place).any(axis=1)])
        group[np.isin(group, joined)] = joined[0]
    return [np.flatnonzero(group == of) for of in np.unique(group)]
