"""Draws of the mixture's free variables, by whichever sampler."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.samplers import approximations, nuts, tempering
from mixcompare.backends.pymc.samplers.registry import SAMPLERS, McmcSampler, register_mcmc
from mixcompare.backends.pymc.samplers.starts import Start
from mixcompare.base.arrays import FloatArray

for _name, _sampler in {
    "nutpie": McmcSampler(nuts.nutpie_nuts),
    "pymc": McmcSampler(nuts.pymc_nuts),
    "numpyro": McmcSampler(nuts.pymc_nuts, package="numpyro", extra="jax"),
    "blackjax": McmcSampler(nuts.pymc_nuts, package="blackjax", extra="jax"),
    "smc": McmcSampler(tempering.sequential_monte_carlo, from_prior=True),
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
        Sampler statistics (C, S) by name, ``diverging`` always among them. ``lp`` is the log
        posterior density of the unconstrained coordinates in which a sampler moves;
        ``log_marginal_likelihood`` and ``log_marginal_likelihood_error`` (C,) are sequential
        Monte Carlo's.
    """

    variables: Mapping[str, FloatArray]
    stats: Mapping[str, NDArray[Any]]


def sample(mixture: Mixture, options: Options, start: Start, seed: np.random.SeedSequence) -> Draws:
    """Run the sampler of the options; the same seed gives the same draws."""
    progress = sys.stderr.isatty() if options.progress is None else options.progress
    run = SAMPLERS[options.sampler].run
    posterior, given = run(mixture, options, start, seed, progress)
    variables = {name: np.asarray(posterior[name]) for name in mixture.shapes}
    named = {_RENAMED.get(name, name): np.asarray(values) for name, values in given.items()}
    stats: dict[str, NDArray[Any]] = {name: named[name] for name in _KEPT_STATS if name in named}
    if options.sampler == "numpyro":
        # PyMC calls the potential energy so, which is minus the density's logarithm.
        stats["lp"] = -stats["lp"]
    shape = next(iter(variables.values())).shape[:2]
    stats.setdefault("diverging", np.zeros(shape, dtype=bool))
    return Draws(variables, stats)
