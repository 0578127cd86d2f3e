"""Sequential Monte Carlo, and approximations of the posterior for a cheap look."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.backends.pymc.nuts import named_values
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.starts import Start, prior_draw
from mixcompare.backends.pymc.transforms import constrained

# Steps of the stochastic gradient; the evidence bound has long settled by then.
_ADVI_STEPS = 20_000
# Smaller steps of temperature and longer walks in each than PyMC's own. Random walks, since a
# normal proposal for all particles at once seldom reaches any of a mixture's K! modes.
_SMC: Final[dict[str, Any]] = {"threshold": 0.8, "correlation_threshold": 0.001}


def sequential_monte_carlo(
    mixture: Mixture,
    options: Options,
    start: Start,  # noqa: ARG001 (the first particles have to be prior draws)
    seed: np.random.SeedSequence,
    progress: bool,
) -> Any:
    """Tempered from the prior to the posterior (Del Moral, Doucet & Jasra 2006)."""
    import pymc as pm

    model = model_of(mixture.structure, mixture.inputs())
    particle = prior_draw(mixture)
    # Left to itself PyMC would take the model's initial values for draws from the prior.
    particles = [
        [particle(np.random.default_rng(own)) for own in chain.spawn(options.draws)]
        for chain in seed.spawn(options.chains)
    ]
    first = [{name: np.stack([p[name] for p in own]) for name in own[0]} for own in particles]
    with _quiet(progress):
        tree = pm.sample_smc(
            model=model,
            start=[named_values(model, values) for values in first],
            draws=options.draws,
            chains=options.chains,
            cores=options.cores or 1,
            random_seed=int(seed.generate_state(1)[0]),
            progressbar=progress,
            compute_convergence_checks=False,
            kernel=pm.smc.MH,
            **_SMC,
        )
    stages = tree["sample_stats"]["log_marginal_likelihood"].to_numpy()
    # One value for each stage of the tempering; the last is that of the posterior.
    last = [
        [v for v in np.ravel(chain) if v is not None and np.isfinite(v)][-1] for chain in stages
    ]
    stats = xr.Dataset({"log_marginal_likelihood": ("chain", np.asarray(last, dtype=float))})
    return xr.DataTree.from_dict(
        {"posterior": tree["posterior"].to_dataset(), "sample_stats": stats}
    )


def pathfinder(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Normal approximations along paths to a mode, resampled (Zhang et al. 2022)."""
    from pymc_extras import fit_pathfinder

    model = model_of(mixture.structure, mixture.inputs())
    own, child = seed.spawn(2)
    with _quiet(progress):
        return fit_pathfinder(
            model=model,
            num_paths=options.chains,
            num_draws=options.draws,
            jitter=1.0,
            initvals=constrained(start(np.random.default_rng(child))),
            random_seed=int(own.generate_state(1)[0]),
            progressbar=progress,
            parallel=False,
        )


def advi(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    """Mean-field normal approximation of one mode (Kucukelbir et al. 2017)."""
    import pymc as pm

    model = model_of(mixture.structure, mixture.inputs())
    own, child = seed.spawn(2)
    root = int(own.generate_state(1)[0])
    with _quiet(progress):
        approximation = pm.fit(
            n=_ADVI_STEPS,
            method="advi",
            model=model,
            random_seed=root,
            start=named_values(model, start(np.random.default_rng(child))),
            progressbar=progress,
        )
        return approximation.sample(options.draws, random_seed=root)


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
