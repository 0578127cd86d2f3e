"""The posterior by MCMC: PyMC's model language and the samplers that understand it."""

from __future__ import annotations

import numpy as np

from mixcompare.backends.pymc.evaluate import unit_log_likelihood
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.model import build_model
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordering
from mixcompare.backends.pymc.prediction import class_log_density
from mixcompare.backends.pymc.result import build_outcome
from mixcompare.backends.pymc.sampling import sample
from mixcompare.base.machine import check_memory
from mixcompare.fits.outcome import Outcome
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel

__all__ = ["Options", "build_model", "class_log_density", "run", "unit_log_likelihood"]


def run(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    options: Options,
    seed: np.random.SeedSequence,
) -> Outcome:
    """Sample the posterior of a specification.

    Parameters
    ----------
    spec
        The model and its priors.
    prepared
        Its data, compressed.
    options
        How to sample.
    seed
        Root of all random numbers.

    Returns
    -------
    Outcome
        Groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior``,
        ``membership``, ``alignment`` and ``estimate``, see `mixcompare.fits.tree`.
    """
    _check_memory(spec, prepared, options)
    if options.ordered_by is not None:
        ordering(spec, prepared, options.ordered_by)  # a slip should not wait for the sampler
    mixture = build_mixture(spec, prepared)
    return build_outcome(spec, prepared, mixture, sample(mixture, options, seed), options)


def _check_memory(spec: MixtureSpec, prepared: PreparedPanel, options: Options) -> None:
    """Refuse draws of which not even the units' log-likelihoods could be held."""
    units, k = prepared.n_units, spec.n_components
    values = units + k * (1 + prepared.n_covariates * prepared.n_outcomes)
    check_memory(
        8.0 * options.chains * options.draws * values,
        f"draws = {options.draws} of {units} units and {k} classes with chains = {options.chains}",
    )
