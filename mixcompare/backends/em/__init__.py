"""Maximum likelihood and posterior modes by a hand-written EM; imports nothing of PyMC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.em.compiled import with_kernels
from mixcompare.backends.em.expectation import e_step
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.prediction import class_log_density
from mixcompare.backends.em.result import outcome
from mixcompare.backends.em.search import n_starts, search
from mixcompare.backends.em.standardise import standardise
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import OptionError
from mixcompare.fits.outcome import Outcome
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel

__all__ = ["Options", "class_log_density", "run", "unit_log_likelihood"]


def run(
    spec: MixtureSpec, prepared: PreparedPanel, options: Options, seed: np.random.SeedSequence
) -> Outcome:
    """Run EM from every start and keep the best.

    Raises
    ------
    DegenerateFitError
        If every start ends in a degenerate component.
    OptionError
        If the user's own start does not suit the model, or the posterior has no mode.
    """
    _check_mode_exists(spec, options)
    standard = standardise(spec, prepared, with_prior=options.estimator == "map")
    prepared = replace(prepared, factor=np.empty((0, *prepared.factor.shape[1:])))
    total = n_starts(spec, options) + (options.initial is not None)
    data = with_kernels(standard, options.kernels, spec.n_components, total)
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        return outcome(spec, prepared, data, search(spec, data, options, seed), options)


def _check_mode_exists(spec: MixtureSpec, options: Options) -> None:
    low = spec.priors.concentration < 1 and spec.membership is None and spec.n_components > 1
    if options.estimator == "map" and low:
        raise OptionError(
            f"estimator='map' needs a prior concentration of at least 1, not "
            f"{spec.priors.concentration:g}: below it the posterior density is unbounded where a "
            "class is empty. Raise it, or sample with backend='pymc'."
        )


def unit_log_likelihood(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    membership_coefficients: FloatArray | None = None,
) -> FloatArray:
    """(G,) log-likelihoods of the units by the EM's own arithmetic, constants in.

    Parameters
    ----------
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m), in the data's units.
    membership_coefficients
        (K, c) log-odds by unit covariate, beside which weights play no part.

    Returns
    -------
    Each unit's log-likelihood times its weight, so that they sum to the total.
    """
    data = standardise(spec, prepared)
    raw = Parameters(weights, coefficients, covariance, membership_coefficients)
    return e_step(data, data.from_raw(raw)).weighted_log_likelihood
