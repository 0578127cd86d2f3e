"""Approximations of the posterior for a cheap look."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr

from mixcompare.backends.pymc.density.densities import density_of
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers.mean_field import mean_field
from mixcompare.backends.pymc.samplers.starts import Start


def pathfinder(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Normal approximations along paths to a mode, resampled (Zhang et al. 2022)."""
    from pymc_extras import fit_pathfinder

    model = model_of(mixture)
    own, child = seed.spawn(2)
    with _quiet(progress):
        return fit_pathfinder(
            model=model,
            num_paths=options.chains,
            num_draws=options.draws,
            jitter=1.0,
            initvals=mixture.constrained(start(np.random.default_rng(child))),
            random_seed=int(own.generate_state(1)[0]),
            progressbar=progress,
            parallel=False,
        )


def advi(
    mixture: Mixture,
    options: Options,
    start: Start,
    seed: np.random.SeedSequence,
    progress: bool,  # noqa: ARG001 (over in a moment)
) -> xr.DataTree:
    """Mean-field normal approximation of one mode (Kucukelbir et al. 2017)."""
    own, child = seed.spawn(2)
    first = np.concatenate([v.ravel() for v in start(np.random.default_rng(child)).values()])
    rng = np.random.default_rng(own)
    density = density_of(mixture)
    mean, log_sd = mean_field(density, first, rng)
    points = mean + np.exp(log_sd) * rng.standard_normal((options.draws, mean.size))
    stats = xr.Dataset({"lp": (("chain", "draw"), density(points)[0][None])})
    posterior = mixture.free_dataset(points[None])
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


@contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Keep PyMC's announcements to those who watch the progress."""
    logger = logging.getLogger("pymc")
    before = logger.level
    logger.setLevel(before if progress else logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
