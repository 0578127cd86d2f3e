"""Maximum likelihood and posterior modes by a hand-written EM; imports nothing of PyMC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.em.compiled import with_kernels
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.result import outcome
from mixcompare.backends.em.scoring import Scorer
from mixcompare.backends.em.search import n_starts, search
from mixcompare.backends.em.standardise import standardise
from mixcompare.fits.outcome import Outcome
from mixcompare.model.capabilities import reasons
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem

__all__ = ["Options", "run", "scorer", "supports"]


def supports(spec: MixtureSpec, options: Options) -> tuple[str, ...]:
    """Why EM cannot fit the model with these options, a sentence each; empty if it can."""
    parts = ["backend='em'", *(["estimator='map'"] if options.estimator == "map" else [])]
    return tuple(reason for part in parts for reason in reasons(spec, part))


def run(problem: Problem, options: Options, seed: np.random.SeedSequence) -> Outcome:
    """Run EM from every start and keep the best.

    Raises
    ------
    DegenerateFitError
        If every start ends in a degenerate component.
    OptionError
        If the user's own start does not suit the model.
    """
    spec, prepared = problem.spec, problem.factors
    del problem
    data = standardise(spec, prepared, with_prior=options.estimator == "map")
    prepared = replace(prepared, factor=np.empty((0, *prepared.factor.shape[1:])))
    total = n_starts(spec, options) + (options.initial is not None)
    data = with_kernels(data, options.kernels, spec.n_components, total)
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        return outcome(spec, prepared, data, search(spec, data, options, seed), options)


def scorer(problem: Problem) -> Scorer:
    """Score parameters on the problem by the EM's own arithmetic."""
    return Scorer(problem)
