"""Draws from the posterior of the mixture's free variables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of, template
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.starts import Start, overdispersed
from mixcompare.backends.pymc.structure import Structure
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
    variables
        The model's free variables by name, (C, S, ...) each.
    stats
        Sampler statistics with dims (chain, draw); ``lp`` is the log posterior density
        of the unconstrained coordinates in which the sampler moves.
    """

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
    start = overdispersed(mixture)
    tree = run(mixture, options, start, seed, progress)
    posterior = tree["posterior"].to_dataset()
    free = {name: posterior[name].to_numpy() for name in mixture.structure.shapes}
    stats = (
        tree["sample_stats"]
        .to_dataset()
        .rename({old: new for old, new in _NUTPIE_STATS.items() if old in tree["sample_stats"]})
    )
    kept = stats[[name for name in _KEPT_STATS if name in stats]]
    kept.attrs = {}
    return Draws(free, kept)


@cache
def _compiled(structure: Structure) -> Any:
    """Nutpie's program for every model of a structure; it is given the data later."""
    import nutpie

    # Only the free variables: expanding covariances would compile for a minute.
    names = list(structure.shapes)
    return nutpie.compile_pymc_model(template(structure), var_names=names, freeze_model=False)


def _nutpie(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    import nutpie

    program = _compiled(mixture.structure)
    inputs = mixture.inputs()
    read = {variable.name for variable in program.shared_var_keys}
    compiled = replace(
        program.with_data(**{name: inputs[name] for name in inputs if name in read}),
        initial_point_func=lambda chain_seed: _flat(start, np.random.default_rng(chain_seed)),
    )
    # Chains are threads, so BLAS must not start its own.
    with threadpool_limits(1):
        sampler = nutpie.sample(
            compiled,
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            cores=options.cores,
            seed=int(seed.generate_state(1)[0]),
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


def _flat(start: Start, rng: np.random.Generator) -> FloatArray:
    return np.concatenate([value.ravel() for value in start(rng).values()])


def _pymc(
    mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence, progress: bool
) -> Any:
    import pymc as pm

    model = model_of(mixture.structure, mixture.inputs())
    names = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
    starts = [
        {names[name]: value for name, value in start(np.random.default_rng(own)).items()}
        for own in seed.spawn(options.chains)
    ]
    return pm.sample(
        model=model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=options.cores or 1,
        random_seed=int(seed.generate_state(1)[0]),
        target_accept=options.target_accept,
        init="adapt_diag",
        initvals=starts,
        nuts_sampler="pymc",
        var_names=list(mixture.structure.shapes),
        progressbar=progress,
        quiet=not progress,
        compute_convergence_checks=False,
    )
