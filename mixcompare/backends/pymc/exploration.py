"""The posterior of one mixture: the search for its maxima, and chains that start about them.

Chains that end in different modes although they started about maxima in proportion to their
evidence are weighed against one another, and those in modes of next to no mass start once more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.registry import SAMPLERS
from mixcompare.backends.pymc.samplers.sampling import Draws, sample
from mixcompare.backends.pymc.samplers.starts import Start, prior_draw, starts
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.backends.pymc.search.near_maxima import near_maxima
from mixcompare.backends.pymc.search.restarting import Restart, stuck_in
from mixcompare.backends.pymc.search.search import Search, by_evidence, search
from mixcompare.backends.pymc.search.visits import visits
from mixcompare.backends.pymc.search.weighing import Mode, modes_of
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.fits.summary import convergence

# Random numbers of their own, so that chains that wait for no search have those of the seed.
_KEY: Final = 2**31
_SEARCHING, _STARTING, _WEIGHING, _RESTARTING = ((_KEY, i) for i in range(4))
# Draws of each chain to climb from: where chains agree, and where they do not.
_FEW, _MORE = 2, 8
# R-hat of the log density, which no relabelling changes, beyond which chains may be apart: slow
# mixing inside one mode rarely exceeds it; chains in modes of their own do.
MODES_APART: Final = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """What became of the chains.

    Attributes
    ----------
    draws
        As sampled.
    search
        What was found before, and where draws climb to; None where chains did not wait for it.
    modes
        Those in which chains are apart; none where they are together.
    restarts
        Of chains that were in modes of next to no mass.
    """

    draws: Draws
    search: Search | None = None
    modes: tuple[Mode, ...] = ()
    restarts: tuple[Restart, ...] = ()


def explore(mixture: Mixture, options: Options, seed: np.random.SeedSequence) -> Exploration:
    """Search for the posterior's maxima, and sample."""
    sampler = SAMPLERS[options.sampler]
    if options.init != "search" or sampler.from_prior:
        draws = sample(mixture, options, _blind(mixture, options), seed)
        terrain = Terrain(mixture, density_of(mixture))
        if sampler.from_prior and options.init == "search":
            # Particles that were not told of the maxima are held against them.
            with threadpool_limits(1):
                return Exploration(
                    draws, search(terrain, options.climbs, _stream(seed, _SEARCHING))
                )
        if sampler.from_prior or sampler.approximation or not apart(draws):
            return Exploration(draws)
        points = points_of(mixture, draws)
        with threadpool_limits(1):
            known: list[Maximum] = []
            visited = visits(terrain, known, points, _MORE)
            modes = modes_of(terrain, known, visited, points, _stream(seed, _WEIGHING))
        return Exploration(_weighed(draws, modes), modes=modes)
    terrain = Terrain(mixture, density_of(mixture))
    # BLAS that starts threads of its own may round in another order.
    with threadpool_limits(1):
        before = search(terrain, options.climbs, _stream(seed, _SEARCHING))
    start = near_maxima(terrain, before.maxima, options.chains, _stream(seed, _STARTING))
    draws = sample(mixture, options, start, seed)
    return _settled(terrain, options, before, draws, seed)


def _settled(
    terrain: Terrain, options: Options, before: Search, draws: Draws, seed: np.random.SeedSequence
) -> Exploration:
    """Where the chains are, after those in modes of next to no mass have started once more."""
    began, known = time.perf_counter(), list(before.maxima)
    with threadpool_limits(1):
        visited, modes = _placed(terrain, known, draws, _stream(seed, _WEIGHING))
        restarts, targets = stuck_in(known, visited, modes)
    if SAMPLERS[options.sampler].approximation:
        restarts = []  # a cheap look is looked at as it is
    seconds = before.seconds + time.perf_counter() - began
    if restarts:
        stuck = np.concatenate([restart.chains for restart in restarts])
        again = replace(options, chains=len(stuck))
        rng, child = _stream(seed, _RESTARTING), _child(seed, _RESTARTING)
        start = near_maxima(terrain, [known[i] for i in targets], len(stuck), rng)
        draws = _merged(draws, sample(terrain.mixture, again, start, child), stuck)
        with threadpool_limits(1):
            visited, modes = _placed(terrain, known, draws, _stream(seed, _WEIGHING))
    maxima, renamed = by_evidence(known)
    places = np.where(before.ends < 0, -1, renamed[before.ends])
    after = replace(before, maxima=maxima, ends=places, seconds=seconds)
    restarted = np.isin(np.arange(len(visited)), [c for r in restarts for c in r.chains])
    at = np.array([_commonest(chain, renamed) for chain in visited])
    stats = {**draws.stats, "optimum": at, "restarted": restarted}
    draws = _weighed(replace(draws, stats=stats), modes)
    return Exploration(draws, after, modes, tuple(restarts))


def _weighed(draws: Draws, modes: tuple[Mode, ...]) -> Draws:
    """Draws with the log evidence of each chain's mode, and its error, where chains are apart."""
    if not modes:
        return draws
    chains = np.concatenate([mode.chains for mode in modes])
    evidences = [mode.evidence for mode in modes for _ in mode.chains]
    by_chain = [evidences[i] for i in np.argsort(chains)]
    stats = {
        "mode_log_evidence": np.array([evidence.value for evidence in by_chain]),
        "mode_log_evidence_error": np.array([evidence.error for evidence in by_chain]),
    }
    return replace(draws, stats={**draws.stats, **stats})


def _commonest(visited: IntArray, renamed: IntArray) -> int:
    """The new place of the maximum to which most draws climb; -1 where none could."""
    reached = renamed[visited[visited >= 0]]
    return int(np.bincount(reached).argmax()) if reached.size else -1


def _placed(
    terrain: Terrain, known: list[Maximum], draws: Draws, rng: np.random.Generator
) -> tuple[IntArray, tuple[Mode, ...]]:
    """(C, n) places of the maxima to which draws climb, and the modes of chains that are apart."""
    points, disagree = points_of(terrain.mixture, draws), apart(draws)
    visited = visits(terrain, known, points, _MORE if disagree else _FEW)
    return visited, modes_of(terrain, known, visited, points, rng) if disagree else ()


def apart(draws: Draws) -> bool:
    """Whether the chains' log densities, which no relabelling changes, disagree."""
    if "lp" not in draws.stats:  # a sampler from outside need not give them
        return False
    return bool(convergence(draws.stats["lp"][..., None], ("r_hat",))["r_hat"][0] > MODES_APART)


def points_of(mixture: Mixture, draws: Draws) -> FloatArray:
    """(C, S, D) draws in the sampler's coordinates."""
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in draws.variables.items()}
    shape = next(iter(draws.variables.values())).shape[:2]
    return mixture.join(mixture.unconstrained(flat)).reshape(*shape, -1)


def _merged(draws: Draws, again: Draws, chains: IntArray) -> Draws:
    """Draws in which some chains are others."""

    def merged(before: FloatArray, after: FloatArray) -> FloatArray:
        values = before.copy()
        values[chains] = after[: len(chains)]
        return values

    return Draws(
        {name: merged(value, again.variables[name]) for name, value in draws.variables.items()},
        {name: merged(value, again.stats[name]) for name, value in draws.stats.items()},
    )


def _blind(mixture: Mixture, options: Options) -> Start:
    return prior_draw(mixture) if options.init == "search" else starts(mixture, options)


def _child(seed: np.random.SeedSequence, key: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))


def _stream(seed: np.random.SeedSequence, key: tuple[int, ...]) -> np.random.Generator:
    return np.random.default_rng(_child(seed, key))
