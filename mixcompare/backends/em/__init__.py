"""Maximum likelihood and posterior modes by a hand-written EM; imports nothing of PyMC."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions import EMISSIONS
from mixcompare.backends.em.kernels.compiled_mixture import with_kernels
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.result import build_result
from mixcompare.backends.em.scoring import Scorer
from mixcompare.backends.em.search import n_starts, search
from mixcompare.fits.result import Result
from mixcompare.model.capabilities import reasons
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem

__all__ = ["Options", "run", "scorer", "supports"]


def supports(spec: MixtureSpec, options: Options) -> tuple[str, ...]:
    """Why EM cannot fit the model with these options, a sentence each; empty if it can."""
    parts = ["backend='em'", *(["estimator='map'"] if options.estimator == "map" else [])]
    return tuple(reason for part in parts for reason in reasons(spec, part, EMISSIONS))


def run(problem: Problem, options: Options, seed: np.random.SeedSequence) -> Result:
    """Run EM from every start and keep the best.

    Raises
    ------
    DegenerateFitError
        If every start ends in a degenerate component.
    OptionError
        If the user's own start does not suit the model.
    """
    layout, concomitants = problem.layout, problem.prepared.concomitant_names
    with_prior = options.estimator == "map"
    model = mixture_of(problem.spec, problem.prepared, with_prior=with_prior)
    del problem  # whose rows the model has in its own coordinates
    total = n_starts(model.n_components, options) + (options.initial is not None)
    model = with_kernels(model, options.kernels, total)
    # Two BLAS threads that wait for one another slow these small products many times over.
    with threadpool_limits(1, user_api="blas"):
        return build_result(layout, concomitants, model, search(model, options, seed), options)


def scorer(problem: Problem) -> Scorer:
    """Score parameters on the problem by the EM's own arithmetic."""
    return Scorer(problem)
