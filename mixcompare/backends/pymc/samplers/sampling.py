"""Draws of the mixture's free variables, by whichever sampler."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers import approximations, nuts, tempering
from mixcompare.backends.pymc.samplers.registry import SAMPLERS, McmcSampler, register_mcmc
from mixcompare.backends.pymc.samplers.starts import starts
from mixcompare.base.arrays import FloatArray

for _name, _sampler in {
    "nutpie": McmcSampler(nuts.nutpie_nuts),
    "pymc": McmcSampler(nuts.pymc_nuts),
    "numpyro": McmcSampler(nuts.pymc_nuts, package="numpyro", extra="jax"),
    "blackjax": McmcSampler(nuts.pymc_nuts, package="blackjax", extra="jax"),
    "smc": McmcSampler(tempering.sequential_monte_carlo),
    "pathfinder": McmcSampler(
        approximations.pathfinder, approximation=True, package="pymc_extras", extra="pathfinder"
    ),
    "advi": McmcSampler(approximations.advi, approximation=True),
}.items():
    register_mcmc(_name, _sampler)

# Statistics under the names that PyMC and ArviZ give them.
_RENAMED: Final = {
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
    "log_marginal_likelihood",
    "log_marginal_likelihood_error",
)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws of C chains with S draws each.

    Attributes
    ----------
    variables
        The model's free variables by name, (C, S, ...) each.
    stats
        Sampler statistics with dims (chain, draw), ``diverging`` always among them. ``lp`` is
        the log posterior density of the unconstrained coordinates in which a sampler
        moves; ``log_marginal_likelihood`` and ``log_marginal_likelihood_error`` (chain) are
        sequential Monte Carlo's.
    """

    variables: Mapping[str, FloatArray]
    stats: xr.Dataset

    @property
    def shape(self) -> tuple[int, int]:
        """(C, S)."""
        chains, draws = next(iter(self.variables.values())).shape[:2]
        return chains, draws


def sample(mixture: Mixture, options: Options, seed: np.random.SeedSequence) -> Draws:
    """Run the chosen sampler.

    Parameters
    ----------
    mixture
        The model.
    options
        Numbers of chains and draws, sampler, where chains start.
    seed
        Root of all random numbers; the same seed gives the same draws.
    """
    progress = sys.stderr.isatty() if options.progress is None else options.progress
    run = SAMPLERS[options.sampler].run
    tree = run(mixture, options, starts(mixture, options), seed, progress)
    posterior = tree["posterior"].to_dataset()
    free = {name: posterior[name].to_numpy() for name in mixture.shapes}
    return Draws(free, _stats(options.sampler, tree, posterior))


def _stats(sampler: str, tree: Any, posterior: xr.Dataset) -> xr.Dataset:
    given = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else xr.Dataset()
    stats = given.rename({old: new for old, new in _RENAMED.items() if old in given})
    kept = stats[[name for name in _KEPT_STATS if name in stats]]
    kept.attrs = {}
    if sampler == "numpyro":
        # PyMC calls the potential energy so, which is minus the density's logarithm.
        kept = kept.assign(lp=-kept["lp"])
    if "diverging" not in kept:
        shape = posterior.sizes["chain"], posterior.sizes["draw"]
        kept = kept.assign(diverging=(("chain", "draw"), np.zeros(shape, dtype=bool)))
    return kept
