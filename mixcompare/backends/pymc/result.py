"""From draws to the result."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.diagnosis import (
    approximation,
    diagnose,
    in_modes,
    missed_maximum,
    remarks,
)
from mixcompare.backends.pymc.evaluate import Evaluation, Occupancy, evaluate
from mixcompare.backends.pymc.exploration import Exploration
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordered, ordering
from mixcompare.backends.pymc.search.dispersed import KINDS
from mixcompare.backends.pymc.search.search import Search
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DensityError
from mixcompare.fits.result import Draws, Optima, Result, kept_draws, resolution
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
    total = evaluation.log_likelihood.sum(axis=1)
    if "lp" in draws.stats:
        check_density(mixture, variables, draws.stats["lp"].ravel(), total)

    def by_chain[T: np.generic](array: NDArray[T]) -> NDArray[T]:
        return array.reshape(*shape, *array.shape[1:])

    log_posterior = total + sum(prior.values())
    permutation, tau = _align(problem, evaluation, log_posterior, options)
    parameters = {name: by_chain(array) for name, array in evaluation.parameters.items()}
    aligned = layout.permute(parameters, by_chain(permutation))
    status, message = "approximate", approximation(options.sampler, shape[1])
    if options.kind == "posterior":
        names, diverging = [*layout.names()], draws.stats["diverging"]
        status, message = diagnose(names, layout.flatten(aligned), by_chain(total), diverging)
        missed = missed_maximum(explored.search, draws.stats)
        status, message = "not converged" if missed else status, message + missed
    return Result(
        options.kind,
        {name: values.mean(axis=(0, 1)) for name, values in aligned.items()},
        tau,
        by_chain(_rounded(evaluation.log_likelihood)),
        status,
        message + in_modes(explored.modes, explored.restarts) + remarks(options, draws.stats),
        draws=Draws(
            parameters,
            _kept(evaluation.occupancy, shape),
            {name: by_chain(array) for name, array in prior.items()},
            by_chain(permutation),
            {**draws.stats, "log_posterior": by_chain(log_posterior)},
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
    problem: Problem, evaluation: Evaluation, log_posterior: FloatArray, options: Options
) -> tuple[IntArray, FloatArray]:
    """Permutations (S, K) that align all draws, and the mean class probabilities (C, K) then.

    Classes are numbered by the mean weights, or draw by draw as an ordering constraint has it.
    """
    occupancy, weights = evaluation.occupancy, evaluation.parameters["weights"]
    if options.ordered_by is not None:
        given = ordered(evaluation.parameters, ordering(problem, options.ordered_by))
        return given, occupancy.mean(given)
    best = int(np.argmax(log_posterior))
    permutation, mean = labels.align_batches(occupancy, occupancy.take(np.array([best]))[0])
    order = labels.by_weight(labels.permute(weights, permutation, axis=-1).mean(axis=0))
    return labels.compose(permutation, order), mean[:, order]


def _kept(occupancy: Occupancy, shape: tuple[int, int]) -> FloatArray:
    """(chain, D, C, K) class probabilities of the draws that are kept, in single precision."""
    chains, draws = shape
    kept = kept_draws(*shape, occupancy.at(slice(1))[0].size)
    rows = np.arange(chains)[:, None] * draws + kept
    tau = occupancy.take(rows.ravel()).astype(np.float32).astype(float)
    return tau.reshape(chains, len(kept), *tau.shape[1:])


def _rounded(log_likelihood: FloatArray) -> FloatArray:
    """Log-likelihoods (S, G) as they are stored; large ones are rounded in place, for memory."""
    step = resolution(log_likelihood)
    if step is not None:
        for row in log_likelihood:
            row[:] = np.rint(row / step) * step
    return log_likelihood
