"""From draws to the result."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.density.agreement import check_density
from mixcompare.backends.pymc.diagnosis import approximation, diagnose, remarks
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordered, ordering
from mixcompare.backends.pymc.samplers.sampling import Draws as Sampled
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.result import Draws, Result
from mixcompare.labels import IntArray
from mixcompare.prepared.problem import Problem


def build_result(problem: Problem, mixture: Mixture, draws: Sampled, options: Options) -> Result:
    """Evaluate, align and judge the draws.

    Parameters
    ----------
    problem
        What was fitted.
    mixture
        Its model.
    draws
        What the sampler gave.
    options
        How it was run.
    """
    layout, shape = problem.layout, draws.shape
    variables = {name: _merged(value) for name, value in draws.variables.items()}
    evaluation = evaluate(mixture, variables, int(np.prod(shape)))
    prior = mixture.log_prior_by_parameter(variables, evaluation.parameters)
    if "lp" in draws.stats:
        sampled = draws.stats["lp"].to_numpy().ravel()
        check_density(mixture, variables, sampled, evaluation.log_likelihood.sum(axis=1))

    def by_draw(arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        return {name: array.reshape(*shape, *array.shape[1:]) for name, array in arrays.items()}

    parameters, prior = by_draw(evaluation.parameters), by_draw(prior)
    log_likelihood = evaluation.log_likelihood.reshape(*shape, -1)
    tau = evaluation.responsibilities.reshape(*shape, *evaluation.responsibilities.shape[1:])
    by_sample = log_likelihood.sum(axis=-1)
    log_posterior = by_sample + sum(prior.values())
    if options.ordered_by is None:
        permutation = _align(parameters["weights"], log_posterior, tau)
    else:
        permutation = ordered(parameters, ordering(problem, options.ordered_by))
    aligned = layout.permute(parameters, permutation)
    statistics = {str(name): values.to_numpy() for name, values in draws.stats.data_vars.items()}
    status, message = "approximate", approximation(options.sampler, shape[1])
    if options.kind == "posterior":
        names, diverging = [*layout.names()], statistics["diverging"]
        status, message = diagnose(names, layout.flatten(aligned), by_sample, diverging)
    return Result(
        options.kind,
        {name: values.mean(axis=(0, 1)) for name, values in aligned.items()},
        labels.permuted_mean(tau, permutation),
        log_likelihood,
        status,
        message + remarks(options, draws.stats),
        draws=Draws(
            parameters, tau, prior, permutation, {**statistics, "log_posterior": log_posterior}
        ),
    )


def _align(
    weights: FloatArray, log_posterior: FloatArray, responsibilities: FloatArray
) -> IntArray:
    """Permutations (C, S, K) that align all draws, numbered by the mean weights."""
    best = np.unravel_index(int(np.argmax(log_posterior)), log_posterior.shape)
    permutation = labels.align_draws(responsibilities, responsibilities[best])
    mean = labels.permute(weights, permutation, axis=-1).mean(axis=(0, 1))
    return labels.compose(permutation, labels.by_weight(mean))


def _merged(array: FloatArray) -> FloatArray:
    return array.reshape(-1, *array.shape[2:])
