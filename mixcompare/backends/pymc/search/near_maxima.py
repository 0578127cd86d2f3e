"""Chains that start about the maxima that a search has found.

Maxima are drawn in proportion to their Laplace evidence, for all chains together (systematic
resampling, Kitagawa 1996), so that maxima of comparable evidence have chains each. A chain's
classes are numbered at random, and its start is dispersed by more than the local curvature, as
R-hat asks of starts (Gelman & Rubin 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mixcompare.backends.pymc.coordinates import Values
from mixcompare.backends.pymc.samplers.starts import Start
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.base.arrays import FloatArray, IntArray

# In local standard deviations, and the largest of these in units of the coordinates.
_WIDTH: Final = 1.5
_WIDEST: Final = 3.0
# A start may be so far below its maximum: more than all but a few of a normal density's.
_BELOW: Final = 10.0
_HALVINGS: Final = 30


def near_maxima(
    terrain: Terrain, maxima: Sequence[Maximum], chains: int, rng: np.random.Generator
) -> Start:
    """Starts of so many chains about maxima, the first about that of the highest evidence."""
    places = shared_out(evidence_shares(maxima), chains, rng)

    def start(stream: np.random.Generator, chain: int) -> Values:
        mixture, maximum = terrain.mixture, maxima[places[chain % chains]]
        point = _beside(terrain, maximum, stream)
        order = stream.permutation(mixture.n_components)
        parts = mixture.split(mixture.renumbered(point[None], order[None]))
        return {name: value[0] for name, value in parts.items()}

    return start


def evidence_shares(maxima: Sequence[Maximum]) -> FloatArray:
    """(O,) shares of the maxima in the sum of their evidences; all is the first's if it has none.

    Maxima are from the highest evidence on, improper ones last.
    """
    evidence = np.array([maximum.log_evidence for maximum in maxima])
    if not np.isfinite(evidence[0]):
        return np.asarray(np.arange(len(maxima)) == 0, dtype=float)
    shares = np.nan_to_num(np.exp(evidence - evidence[0]))
    return np.asarray(shares / shares.sum())


def shared_out(shares: FloatArray, chains: int, rng: np.random.Generator) -> IntArray:
    """(chains,) places, as often as they have shares (O,), with one random number."""
    at = (np.arange(chains) + rng.uniform()) / chains
    return np.minimum(np.searchsorted(np.cumsum(shares), at), len(shares) - 1)


def _beside(terrain: Terrain, maximum: Maximum, rng: np.random.Generator) -> FloatArray:
    """A point (D,) at some distance, nearer where the density is too low or cannot be computed."""
    d = maximum.point.size
    step = _WIDTH * maximum.curvature.spread(rng.standard_normal(d), _WIDEST)
    lowest = maximum.log_density - _WIDTH**2 * d - _BELOW
    for _ in range(_HALVINGS):
        with np.errstate(all="ignore"):
            heights, slopes = terrain.density((maximum.point + step)[None])
        if heights[0] >= lowest and np.isfinite(slopes).all():
            return np.asarray(maximum.point + step)
        step = step / 2
    return maximum.point
