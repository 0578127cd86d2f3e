"""The posterior by MCMC: PyMC's model language and the samplers that understand it.

Before chains start, a search climbs the sampler's own density from dispersed points, and chains
start about the maxima that it has found, see `mixcompare.backends.pymc.search`. It knows nothing
of EM. What was found is kept with the fit, see `mixcompare.fits.result.Optima`.
"""

from __future__ import annotations

import numpy as np

from mixcompare.backends.pymc.emissions.registry import TERMS
from mixcompare.backends.pymc.exploration import explore
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.model import build_model
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordering
from mixcompare.backends.pymc.result import build_result
from mixcompare.backends.pymc.scoring import Scorer
from mixcompare.base.machine import check_memory
from mixcompare.fits.result import Result
from mixcompare.model.capabilities import reasons
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem

__all__ = ["Options", "build_model", "run", "scorer", "supports"]

scorer = Scorer


def supports(spec: MixtureSpec, _options: Options) -> tuple[str, ...]:
    """Why the model cannot be sampled with these options, a sentence each; empty if it can."""
    return reasons(spec, "backend='pymc'", TERMS)


def run(problem: Problem, options: Options, seed: np.random.SeedSequence) -> Result:
    """Sample the posterior; the seed is the root of all random numbers."""
    _check_memory(problem, options)
    if options.ordered_by is not None:
        ordering(problem, options.ordered_by)  # a slip should not wait for the sampler
    mixture = build_mixture(problem)
    return build_result(problem, mixture, explore(mixture, options, seed), options)


def _check_memory(problem: Problem, options: Options) -> None:
    """Refuse draws of which not even the units' log-likelihoods could be held."""
    prepared = problem.prepared
    units, k = prepared.n_units, problem.spec.n_components
    values = units + k * (1 + prepared.n_covariates * prepared.n_outcomes)
    check_memory(
        8.0 * options.chains * options.draws * values,
        f"draws = {options.draws} of {units} units and {k} classes with chains = {options.chains}",
    )
