"""Sequential Monte Carlo from the prior to the posterior, on any density with its gradient.

Particles go through the densities ``prior x likelihood^b``, b from 0 to 1 (Del Moral, Doucet &
Jasra 2006). From one b to the next their weights are the likelihood's increase; b goes so far
that the weights' effective number is a given share of the particles. From the weighted
particles n are drawn, and each makes a few moves of Hamiltonian Monte Carlo that leave the new
density unchanged; all places on the n ways are particles, not the last alone ("waste-free",
Dau & Chopin 2022): no evaluation is lost, and the ways, next to independent, show the error
of the mean weights.

The marginal likelihood is the product of the mean weights. It is over all K! labellings,
whichever of them the particles visit, since a point's copies have the same weight. So the
particles can be renumbered: at random at the end, and, once modes are apart, to be alike before
each stage's moves, whose scale then is that of one mode and not the distance between its copies.
The moves stay in that labelling, see `mixcompare.backends.pymc.samplers.labelling`: those that did
not would leave the density over all labellings unchanged and not its part in one of them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.random import SeedSequence
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.density.densities import Density, density_of
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.hamiltonian import Mover
from mixcompare.backends.pymc.samplers.labelling import labelling_of
from mixcompare.backends.pymc.samplers.starts import Sampled, Start
from mixcompare.base.arrays import FloatArray, IntArray

_MOVES: Final = 10
_EFFECTIVE: Final = 0.5
_BISECTIONS: Final = 60
# Classes whose K! copies are looked at.
_MOST_COPIED: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Tempered:
    """One run.

    Attributes
    ----------
    points, log_density
        (n, D) draws of the posterior in the sampler's coordinates, and (n,).
    log_evidence, error
        The log marginal likelihood, and its standard error as far as one run knows it.
    """

    points: FloatArray
    log_density: FloatArray
    log_evidence: float
    error: float


def sequential_monte_carlo(
    mixture: Mixture, options: Options, _start: Start, seed: SeedSequence, _progress: bool
) -> Sampled:
    """Independent runs, which are threads, with one draw for each of their particles.

    The first are prior draws, wherever chains start, and how many stages are left is not known.
    """
    roots, density = seed.spawn(options.chains), density_of(mixture)
    # BLAS that starts threads of its own may round in another order.
    with threadpool_limits(1), ThreadPoolExecutor(options.cores or os.process_cpu_count()) as pool:
        streams = map(np.random.default_rng, roots)
        runs = list(pool.map(partial(temper, mixture, density, options.draws), streams))
    points = np.stack([run.points for run in runs])
    return mixture.constrained(mixture.split(points)), {
        "lp": np.stack([run.log_density for run in runs]),
        "log_marginal_likelihood": np.array([run.log_evidence for run in runs]),
        "log_marginal_likelihood_error": np.array([run.error for run in runs]),
    }


def temper(mixture: Mixture, density: Density, n: int, rng: np.random.Generator) -> Tempered:
    """Take n particles from the prior to the posterior, whose density is given."""
    prior = density.tempered(0.0)
    points = mixture.join(mixture.prior_draws(rng, n * _MOVES))
    likelihood = _increase(density(points)[0] - prior(points)[0])
    copies = _copies(mixture)
    mover, power, log_evidence, variance = Mover(), 0.0, 0.0, 0.0
    while True:
        step = _step(likelihood, 1 - power)
        power = power + step if step < 1 - power else 1.0
        top = step * likelihood.max()
        weights = np.exp(step * likelihood - top)
        log_evidence += float(top + np.log(weights.mean()))
        means = weights.reshape(_MOVES, n).mean(axis=0)  # of ways, which are next to independent
        variance += float(means.var(ddof=1) / means.size / means.mean() ** 2)
        points = shuffle(points, mixture, rng)
        start = points[_resampled(weights, n, rng)]
        labelling, start = labelling_of(start, points[weights.argmax()], copies)
        way = mover.run(density.tempered(power), start, labelling, _MOVES, rng)
        if power == 1:
            break
        points = np.concatenate([place.at for place in way])
        tempered = np.concatenate([place.log_density for place in way])
        likelihood = _increase((tempered - prior(points)[0]) / power)
    last = shuffle(way[-1].at, mixture, rng)
    return Tempered(last, way[-1].log_density, log_evidence, float(np.sqrt(variance)))


def _copies(mixture: Mixture) -> FloatArray:
    """Maps to a point's copies; only to itself where they are too many to look at each."""
    if mixture.n_components > _MOST_COPIED:
        return np.eye(mixture.n_free)[None]
    return mixture.copies()


def shuffle(points: FloatArray, mixture: Mixture, rng: np.random.Generator) -> FloatArray:
    """Points (n, D) with the classes of each numbered at random."""
    order = rng.uniform(size=(len(points), mixture.n_components)).argsort(axis=1)
    return mixture.renumbered(points, order)


def _increase(log_likelihood: FloatArray) -> FloatArray:
    """Without the points, far out in the prior, where it cannot be computed."""
    lowest = np.finfo(float).min
    return np.where(np.isfinite(log_likelihood), log_likelihood, lowest)


def _step(log_likelihood: FloatArray, most: float) -> float:
    """How far the likelihood's power goes on, at most to `most`."""
    wanted = _EFFECTIVE * log_likelihood.size
    below = log_likelihood - log_likelihood.max()
    if _effective(most * below) >= wanted:
        return most
    low, high = np.log(np.finfo(float).tiny), np.log(most)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _effective(np.exp(middle) * below) >= wanted:
            low = middle
        else:
            high = middle
    return float(np.exp(low))


def _effective(log_weights: FloatArray) -> float:
    weights = np.exp(log_weights)
    return float(weights.sum() ** 2 / (weights @ weights))


def _resampled(weights: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Places (n,) of weights, as often as they weigh (systematic resampling)."""
    cumulated = np.cumsum(weights)
    at = (np.arange(n) + rng.uniform()) / n * cumulated[-1]
    return np.asarray(np.minimum(np.searchsorted(cumulated, at), weights.size - 1), dtype=np.intp)
