"""From draws to the groups of the result format."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.pymc.density.agreement import check_density
from mixcompare.backends.pymc.diagnosis import approximation, diagnose, remarks
from mixcompare.backends.pymc.evaluate import Evaluation, evaluate
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.ordering import ordered, ordering
from mixcompare.backends.pymc.samplers.sampling import Draws
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.outcome import Outcome
from mixcompare.fits.tree import coordinates, parameter_dataset, permute_posterior
from mixcompare.labels import IntArray
from mixcompare.prepared.problem import Problem

_SAMPLE = ("chain", "draw")


def build_outcome(problem: Problem, mixture: Mixture, draws: Draws, options: Options) -> Outcome:
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
    sample_shape = draws.shape
    variables = {name: _merged(value) for name, value in draws.variables.items()}
    evaluation = evaluate(mixture, variables, int(np.prod(sample_shape)))
    prior = mixture.log_prior_by_parameter(variables, evaluation.parameters)
    groups = _groups(problem, draws, evaluation, prior)
    if "lp" in draws.stats:
        sampled = draws.stats["lp"].to_numpy().ravel()
        check_density(mixture, variables, sampled, evaluation.log_likelihood.sum(axis=1))
    tau = groups["membership"]["responsibilities"].to_numpy()
    if options.ordered_by is None:
        permutation = _align(groups, tau)
    else:
        quantity = ordering(problem, options.ordered_by)
        permutation = ordered(groups["posterior"], quantity)
    aligned = permute_posterior(problem.layout, groups["posterior"], permutation)
    coords = coordinates(problem.spec, problem.prepared)
    groups["alignment"] = xr.Dataset(
        {"permutation": ((*_SAMPLE, "component"), permutation)},
        coords={**_sample_coords(sample_shape), "component": coords["component"]},
    )
    groups["estimate"] = aligned.mean(_SAMPLE).merge(
        parameter_dataset(
            problem.layout, coords, responsibilities=labels.permuted_mean(tau, permutation)
        )
    )
    status, message = _judge(problem, groups, aligned, draws, options)
    return Outcome(options.kind, groups, status, message + remarks(options, draws.stats))


def _judge(
    problem: Problem,
    groups: dict[str, xr.Dataset],
    aligned: xr.Dataset,
    draws: Draws,
    options: Options,
) -> tuple[str, str]:
    if options.kind == "approximation":
        return "approximate", approximation(options.sampler, draws.shape[1])
    return diagnose(
        [*problem.layout.names()],
        problem.layout.flatten(aligned),
        groups["log_likelihood"]["outcomes"].sum("unit").to_numpy(),
        draws.stats["diverging"].to_numpy(),
    )


def _groups(
    problem: Problem,
    draws: Draws,
    evaluation: Evaluation,
    prior: dict[str, FloatArray],
) -> dict[str, xr.Dataset]:
    """Everything that is known before alignment."""
    shape = draws.shape
    sample = _sample_coords(shape)
    coords = {**coordinates(problem.spec, problem.prepared), **sample}

    def by_draw(array: FloatArray) -> FloatArray:
        return array.reshape(*shape, *array.shape[1:])

    log_likelihood = by_draw(evaluation.log_likelihood)
    log_prior = {name: by_draw(value) for name, value in prior.items()}
    parameters = {name: by_draw(array) for name, array in evaluation.parameters.items()}
    log_posterior = log_likelihood.sum(axis=-1) + sum(log_prior.values())
    return {
        "posterior": parameter_dataset(problem.layout, coords, _SAMPLE, **parameters),
        "sample_stats": draws.stats.assign_coords(sample).assign(
            log_posterior=(_SAMPLE, log_posterior)
        ),
        "log_likelihood": xr.Dataset(
            {"outcomes": ((*_SAMPLE, "unit"), log_likelihood)},
            coords={**sample, "unit": coords["unit"]},
        ),
        "log_prior": xr.Dataset(
            {name: (_SAMPLE, value) for name, value in log_prior.items()}, coords=sample
        ),
        "membership": parameter_dataset(
            problem.layout, coords, _SAMPLE, responsibilities=by_draw(evaluation.responsibilities)
        ),
    }


def _align(groups: dict[str, xr.Dataset], responsibilities: FloatArray) -> IntArray:
    """Permutations (C, S, K) that align all draws, numbered by the mean weights."""
    log_posterior = groups["sample_stats"]["log_posterior"].to_numpy()
    weights = groups["posterior"]["weights"].to_numpy()
    best = np.unravel_index(int(np.argmax(log_posterior)), log_posterior.shape)
    permutation = labels.align_draws(responsibilities, responsibilities[best])
    mean = labels.permute(weights, permutation, axis=-1).mean(axis=(0, 1))
    return labels.compose(permutation, labels.by_weight(mean))


def _merged(array: FloatArray) -> FloatArray:
    return array.reshape(-1, *array.shape[2:])


def _sample_coords(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: np.arange(size) for name, size in zip(_SAMPLE, shape, strict=True)}
