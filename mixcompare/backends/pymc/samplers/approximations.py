"""Approximations of the posterior for a cheap look."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.random import SeedSequence

from mixcompare.backends.pymc.density.densities import LogDensity, density_of
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.nuts import read
from mixcompare.backends.pymc.samplers.starts import Sampled, Start
from mixcompare.base.arrays import FloatArray

# Draws for a gradient, moves in a round and in all, steps in
# units of the sampler's coordinates, Adam's memory of the gradient and of its square.
_DRAWS: Final = 8
_ROUND: Final = 100
_MOST_MOVES: Final = 20_000
_FIRST_SD: Final = 0.1
_FIRST_RATE: Final = 0.05
_LAST_RATE: Final = 1e-3
_MEMORY: Final = (0.9, 0.99)


def pathfinder(
    mixture: Mixture, options: Options, start: Start, seed: SeedSequence, progress: bool
) -> Sampled:
    """Normal approximations along paths to a mode, resampled (Zhang et al. 2022)."""
    from pymc_extras import fit_pathfinder

    model = model_of(mixture)
    root, child = seed.spawn(2)
    logger = logging.getLogger("pymc")
    before = logger.level
    # PyMC's announcements are for those who watch the progress.
    logger.setLevel(before if progress else logging.ERROR)
    try:
        tree = fit_pathfinder(
            model=model,
            num_paths=options.chains,
            num_draws=options.draws,
            jitter=1.0,
            initvals=mixture.constrained(start(np.random.default_rng(child), 0)),
            random_seed=int(root.generate_state(1)[0]),
            progressbar=progress,
            parallel=False,
        )
    finally:
        logger.setLevel(before)
    return read(tree)


def advi(
    mixture: Mixture, options: Options, start: Start, seed: SeedSequence, _progress: bool
) -> Sampled:
    """Mean-field normal approximation of one mode (Kucukelbir et al. 2017), over in a moment."""
    root, child = seed.spawn(2)
    first = np.concatenate([v.ravel() for v in start(np.random.default_rng(child), 0).values()])
    rng, density = np.random.default_rng(root), density_of(mixture)
    mean, log_sd = mean_field(density, first, rng)
    points = mean + np.exp(log_sd) * rng.standard_normal((options.draws, mean.size))
    variables = mixture.constrained(mixture.split(points[None]))
    return variables, {"lp": density(points)[0][None]}


def mean_field(
    density: LogDensity, start: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Means and log standard deviations (D,) of the independent normals nearest to a density.

    The evidence's lower bound is climbed by stochastic gradients with Adam's steps (Kingma & Ba
    2015). Where the bound no longer rises from one round to the next, steps are halved; with
    the smallest of them, the mean over a round is the result (Dhaka et al. 2020).
    """
    place = np.concatenate([start, np.full(start.size, np.log(_FIRST_SD))])
    momentum, square, moves = np.zeros_like(place), np.zeros_like(place), 0
    rate, before = _FIRST_RATE, -np.inf
    while True:
        total, bounds = np.zeros_like(place), np.zeros(_ROUND)
        for i in range(_ROUND):
            bounds[i], slope = _bound(density, place, rng)
            moves += 1
            momentum = _MEMORY[0] * momentum + (1 - _MEMORY[0]) * slope
            square = _MEMORY[1] * square + (1 - _MEMORY[1]) * slope**2
            size = np.sqrt(square / (1 - _MEMORY[1] ** moves)) + np.finfo(float).tiny
            place = place + rate * momentum / (1 - _MEMORY[0] ** moves) / size
            total += place / _ROUND
        level, error = bounds.mean(), bounds.std() / np.sqrt(_ROUND)
        if level < before + error:
            rate /= 2
        if rate < _LAST_RATE or moves >= _MOST_MOVES:
            return total[: start.size], total[start.size :]
        before = level


def _bound(
    density: LogDensity, place: FloatArray, rng: np.random.Generator
) -> tuple[float, FloatArray]:
    """An estimate of the bound, less a constant, and one of its gradient (2 D,)."""
    mean, log_sd = np.split(place, 2)
    noise = rng.standard_normal((_DRAWS, mean.size))
    spread = noise * np.exp(log_sd)
    values, slopes = density(mean + spread)
    finite = np.isfinite(values) & np.isfinite(slopes).all(axis=1)
    if not finite.any():
        return -np.inf, np.concatenate([np.zeros_like(mean), -np.ones_like(mean)])
    slopes, spread = slopes[finite], spread[finite]
    slope = np.concatenate([slopes.mean(axis=0), (slopes * spread).mean(axis=0) + 1])
    return float(values[finite].mean() + log_sd.sum()), slope
