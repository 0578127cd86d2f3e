"""Maximum likelihood by a hand-written EM; imports nothing of the PyMC backend."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from mixcompare.backends.em.compiled import with_kernels
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.result import Started, outcome
from mixcompare.backends.em.standardise import Parameters, standardise
from mixcompare.backends.em.starts import starting_responsibilities
from mixcompare.backends.em.steps import e_step
from mixcompare.compress import PreparedPanel
from mixcompare.outcome import Outcome
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

__all__ = ["Options", "run", "unit_log_likelihood"]


def run(
    spec: MixtureSpec, prepared: PreparedPanel, options: Options, seed: np.random.SeedSequence
) -> Outcome:
    """Run EM from every start and keep the best.

    Raises
    ------
    DegenerateFitError
        If every start ends in a degenerate component.
    OptionError
        If the user's own start does not suit the model.
    """
    # One component has one maximum, which its first M-step finds from anywhere.
    n_starts = options.starts if spec.n_components > 1 else min(options.starts, 1)
    total = n_starts + (options.initial is not None)
    data = with_kernels(standardise(spec, prepared), options.kernels, spec.n_components, total)
    starts = starting_responsibilities(spec, data, replace(options, starts=n_starts), seed)
    show = sys.stderr.isatty() if options.progress is None else options.progress
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        started = [
            Started(kind, iterate(spec, data, responsibilities, options))
            for kind, responsibilities in track(
                starts, "EM starts", total=total, disable=not show, console=Console(stderr=True)
            )
        ]
        return outcome(spec, prepared, data, started, options.standard_errors)


def unit_log_likelihood(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """(G,) log-likelihoods of the units by the EM's own arithmetic, constants in.

    Parameters
    ----------
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m), in the data's units.
    """
    data = standardise(spec, prepared)
    parameters = data.from_raw(Parameters(weights, coefficients, covariance))
    return e_step(data, parameters).unit_log_likelihood
