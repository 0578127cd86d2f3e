"""Draws from the posterior of the mixture's free variables.

Chains start at the pooled fit, the same for every class, plus noise from U(-1, 1) on every
unconstrained coordinate: weights on the simplex transform's scale, deviations in
pooled residual standard deviations of a whitened direction, precisions on the log
scale around the pooled residual covariance. That is wide beside the posterior of any
class, and no start knows of EM.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.model import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.panel import FloatArray

# nutpie's statistics under the names that PyMC and ArviZ give them.
_NUTPIE_STATS: Final = {
    "logp": "lp",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "mean_tree_accept": "acceptance_rate",
}
_KEPT_STATS: Final = (
    "acceptance_rate",
    "diverging",
    "energy",
    "energy_error",
    "lp",
    "n_steps",
    "reached_max_treedepth",
    "step_size",
    "tree_depth",
)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws of C chains with S draws each.

    Attributes
    ----------
    weights
        (C, S, K).
    variables
        The model's other free variables by name, (C, S, ...) each.
    stats
        Sampler statistics with dims (chain, draw); ``lp`` is the log posterior density
        of the unconstrained coordinates in which the sampler moves.
    """

    weights: FloatArray
    variables: Mapping[str, FloatArray]
    stats: xr.Dataset


def sample(mixture: Mixture, options: Options, seed: np.random.SeedSequence) -> Draws:
    """Run the chosen sampler.

    Parameters
    ----------
    mixture
        The model.
    options
        Numbers of chains and draws, sampler.
    seed
        Root of all random numbers; the same seed gives the same draws.
    """
    run = {"nutpie": _nutpie, "pymc": _pymc}[options.sampler]
    progress = sys.stderr.isatty() if options.progress is None else options.progress
    tree = run(mixture, options, int(seed.generate_state(1)[0]), progress)
    posterior = tree["posterior"].to_dataset()
    names = [rv.name for rv in mixture.model.free_RVs]
    free = {name: posterior[name].to_numpy() for name in names}
    one = np.ones((options.chains, options.draws, 1))
    stats = (
        tree["sample_stats"]
        .to_dataset()
        .rename({old: new for old, new in _NUTPIE_STATS.items() if old in tree["sample_stats"]})
    )
    kept = stats[[name for name in _KEPT_STATS if name in stats]]
    kept.attrs = {}
    return Draws(free.pop("weights", one), free, kept)


def _nutpie(mixture: Mixture, options: Options, seed: int, progress: bool) -> Any:
    import nutpie

    # Only the free variables: expanding covariances would compile for a minute.
    names = [rv.name for rv in mixture.model.free_RVs]
    compiled = nutpie.compile_pymc_model(mixture.model, var_names=names)
    # Chains are threads, so BLAS must not start its own.
    with threadpool_limits(1):
        sampler = nutpie.sample(
            compiled,
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores,
            seed=seed,
            target_accept=options.target_accept,
            progress_bar=progress,
            save_warmup=False,
            blocking=False,
        )
        try:
            return sampler.wait()
        except KeyboardInterrupt:
            # nutpie itself would return the draws so far as if they were all.
            sampler.cancel()
            raise


def _pymc(mixture: Mixture, options: Options, seed: int, progress: bool) -> Any:
    import pymc as pm

    return pm.sample(
        model=mixture.model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=options.cores or 1,
        random_seed=seed,
        target_accept=options.target_accept,
        init="jitter+adapt_diag",
        nuts_sampler="pymc",
        var_names=[rv.name for rv in mixture.model.free_RVs],
        progressbar=progress,
        quiet=not progress,
        compute_convergence_checks=False,
    )
