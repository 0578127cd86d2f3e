"""Rough classes of the units, from which a search climbs.

Some carriers are drawn, and a class is fitted to each of them alone. Seeds are chosen among
these as k-means++ does (Arthur & Vassilvitskii 2007), with the densities of the responses in
place of squared distances: the next seed is drawn by how much a carrier's density, given the
seed that explains it best so far, falls short of the best that any can give it. Every carrier
then goes to the seed that explains it best, and the classes are fitted to their carriers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare.backends.pymc.graphs import BATCH_VALUES
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray, IntArray

# Carriers of which each may be a seed, times the number of classes.
_CANDIDATES: Final = 8
# Times that carriers go to the nearest class and classes are fitted to them.
_ROUNDS: Final = 2


def rough_classes(mixture: Mixture, n: int, rng: np.random.Generator) -> FloatArray:
    """N points (N, D) in the sampler's coordinates."""
    k, c = mixture.n_components, mixture.n_carriers
    if k == 1:
        return _points(mixture, np.ones((n, c, 1)), rng)
    draws = min(_CANDIDATES, -(-c // k))
    candidates = rng.choice(c, size=(draws, k), replace=draws * k > c)
    alone = np.zeros((draws, c, k))
    np.put_along_axis(alone, candidates[:, None, :], 1.0, axis=1)
    given = _densities(mixture, _points(mixture, alone, rng)).transpose(1, 0, 2).reshape(-1, c)
    seeds = np.stack([_seeds(given, candidates.ravel(), k, rng) for _ in range(n)])
    shares = _nearest(given[seeds].transpose(1, 0, 2))
    for _ in range(_ROUNDS):
        points = _points(mixture, shares, rng)
        shares = _nearest(_densities(mixture, points))
    return points


def _points(mixture: Mixture, shares: FloatArray, rng: np.random.Generator) -> FloatArray:
    return mixture.join(mixture.unconstrained(mixture.fitted(shares, rng)))


def _densities(mixture: Mixture, points: FloatArray) -> FloatArray:
    """(K, S, C) log densities given each class, of some points at a time."""
    size = max(1, BATCH_VALUES // max(emission.n_values for emission in mixture.emissions))
    parts = [
        mixture.log_density(mixture.constrained(mixture.split(points[i : i + size])))
        for i in range(0, len(points), size)
    ]
    return np.concatenate(parts, axis=1)


def _nearest(given: FloatArray) -> FloatArray:
    """(S, C, K) ones where a class gives a carrier the highest of log densities (K, S, C)."""
    return np.asarray(np.eye(len(given))[given.argmax(axis=0)])


def _seeds(given: FloatArray, carriers: IntArray, k: int, rng: np.random.Generator) -> list[int]:
    """Places of K among L candidates, of log densities (L, C) and the carriers of each (L,)."""
    among = given[:, carriers]
    most, reached = among.max(axis=0), np.full(len(carriers), -np.inf)
    seeds: list[int] = []
    for _ in range(k):
        short = most - reached
        total = short.sum()
        weights = short / total if 0 < total < np.inf else np.ones(len(carriers)) / len(carriers)
        seeds.append(int(rng.choice(len(carriers), p=weights)))
        reached = np.maximum(reached, among[seeds[-1]])
    return seeds
