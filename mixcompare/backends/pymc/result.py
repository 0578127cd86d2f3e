"""From draws to the result."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.diagnosis import approximation, diagnose, in_modes, remarks
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.exploration import Exploration
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordered, ordering
from mixcompare.backends.pymc.search.dispersed import KINDS
from mixcompare.backends.pymc.search.search import Search
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DensityError
from mixcompare.fits.result import Draws, Optima, Result
from mixcompare.labels import IntArray
from mixcompare.prepared.problem import Problem

# Both have rounding errors of some 1e-13 of their size, and PyMC's chi-squared a constant
# in single precision.
_TOLERANCE: Final = 1e-8
_CONSTANT: Final = 1e-6


def build_result(
    problem: Problem, mixture: Mixture, explored: Exploration, options: Options
) -> Result:
    """Evaluate, align and judge the draws of a problem's mixture."""
    layout, draws = problem.layout, explored.draws
    shape = draws.stats["diverging"].shape
    variables = {n: value.reshape(-1, *value.shape[2:]) for n, value in draws.variables.items()}
    evaluation = evaluate(mixture, variables, int(np.prod(shape)))
    prior = mixture.log_prior_by_parameter(variables, evaluation.parameters)
    if "lp" in draws.stats:
        sampled = draws.stats["lp"].ravel()
        check_density(mixture, variables, sampled, evaluation.log_likelihood.sum(axis=1))

    def by_chain(array: FloatArray) -> FloatArray:
        return array.reshape(*shape, *array.shape[1:])

    parameters = {name: by_chain(array) for name, array in evaluation.parameters.items()}
    prior = {name: by_chain(array) for name, array in prior.items()}
    log_likelihood, tau = map(by_chain, (evaluation.log_likelihood, evaluation.responsibilities))
    by_sample = log_likelihood.sum(axis=-1)
    log_posterior = by_sample + sum(prior.values())
    if options.ordered_by is None:
        permutation = _align(parameters["weights"], log_posterior, tau)
    else:
        permutation = ordered(parameters, ordering(problem, options.ordered_by))
    aligned = layout.permute(parameters, permutation)
    status, message = "approximate", approximation(options.sampler, shape[1])
    if options.kind == "posterior":
        names, diverging = [*layout.names()], draws.stats["diverging"]
        status, message = diagnose(names, layout.flatten(aligned), by_sample, diverging)
    return Result(
        options.kind,
        {name: values.mean(axis=(0, 1)) for name, values in aligned.items()},
        labels.permuted_mean(tau, permutation),
        log_likelihood,
        status,
        message + in_modes(explored.modes, explored.restarts) + remarks(options, draws.stats),
        draws=Draws(
            parameters, tau, prior, permutation, {**draws.stats, "log_posterior": log_posterior}
        ),
        optima=None if explored.search is None else _optima(problem, mixture, explored.search),
    )


def _optima(problem: Problem, mixture: Mixture, search: Search) -> Optima:
    """The maxima in original units, classes numbered from the largest weight on."""
    maxima, climbs = search.maxima, search.climbs
    points = np.stack([maximum.point for maximum in maxima])
    variables = mixture.constrained(mixture.split(points))
    evaluation = evaluate(mixture, variables, len(maxima))
    order = labels.by_order(evaluation.parameters["weights"], descending=True)
    with np.errstate(invalid="ignore"):
        iterations = np.array(
            [search.iterations[search.ends == i].sum() for i in range(len(maxima))]
        ) / climbs.sum(axis=1)
    return Optima(
        problem.layout.permute(evaluation.parameters, order),
        np.array([maximum.log_density for maximum in maxima]),
        evaluation.log_likelihood.sum(axis=1),
        np.array([maximum.log_evidence for maximum in maxima]),
        np.array([maximum.proper for maximum in maxima]),
        climbs,
        KINDS,
        iterations,
        len(search.ends),
        search.seconds,
    )


def check_density(
    mixture: Mixture,
    variables: Arrays,
    sampled: FloatArray,
    log_likelihood: FloatArray,
) -> None:
    """Compare the sampler's density at S draws with the model's, which other code evaluates.

    Variables are (S, ...), the sampler's log density of the coordinates without bounds and the
    log-likelihood by `evaluate` (S,).

    Raises
    ------
    DensityError
        If they differ by more than rounding.
    """
    difference = np.abs(sampled - log_likelihood - mixture.log_prior(variables))
    limit = _TOLERANCE * np.abs(log_likelihood) + _CONSTANT
    if not (difference <= limit).all():
        worst = int(np.nanargmax(difference - limit))
        raise DensityError(
            f"The log density that was sampled is {sampled[worst]:.9g} where the model's differs "
            f"by {difference[worst]:.3g}. If compiled files are older than the program, remove "
            "them (the folders __pycache__ of mixcompare, or NUMBA_CACHE_DIR) and fit again; else "
            "the fault is ours, and sampler='pymc' samples PyMC's own graph."
        )


def _align(
    weights: FloatArray, log_posterior: FloatArray, responsibilities: FloatArray
) -> IntArray:
    """Permutations (C, S, K) that align all draws, numbered by the mean weights."""
    best = np.unravel_index(int(np.argmax(log_posterior)), log_posterior.shape)
    permutation = labels.align_draws(responsibilities, responsibilities[best])
    mean = labels.permute(weights, permutation, axis=-1).mean(axis=(0, 1))
    return labels.compose(permutation, labels.by_weight(mean))
