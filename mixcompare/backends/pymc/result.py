"""From draws to the groups of the result format."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.pymc.agreement import check_density
from mixcompare.backends.pymc.diagnosis import approximation, diagnose, remarks
from mixcompare.backends.pymc.evaluate import Evaluation, evaluate
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import APPROXIMATIONS, Options
from mixcompare.backends.pymc.ordering import ordered, ordering
from mixcompare.backends.pymc.prior import log_prior
from mixcompare.backends.pymc.sampling import Draws
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.outcome import Outcome
from mixcompare.fits.tree import coordinates, parameter_dataset, permute_posterior
from mixcompare.labels import IntArray
from mixcompare.model.layout import Layout
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel

_SAMPLE = ("chain", "draw")


def build_outcome(
    spec: MixtureSpec, prepared: PreparedPanel, mixture: Mixture, draws: Draws, options: Options
) -> Outcome:
    """Evaluate, align and judge the draws.

    Parameters
    ----------
    spec, prepared
        What was fitted.
    mixture
        Its model.
    draws
        What the sampler gave.
    options
        How it was run.
    """
    layout, sample_shape = Layout.of(spec, prepared), draws.shape
    variables = {name: _merged(value) for name, value in draws.variables.items()}
    evaluation = evaluate(mixture, variables, int(np.prod(sample_shape)))
    prior = log_prior(mixture, variables, evaluation.parameters)
    groups = _groups(spec, prepared, draws, evaluation, prior)
    if "lp" in draws.stats:
        sampled = draws.stats["lp"].to_numpy().ravel()
        check_density(mixture, variables, sampled, evaluation.log_likelihood.sum(axis=1))
    tau = groups["membership"]["responsibilities"].to_numpy()
    if options.ordered_by is None:
        permutation = _align(groups, tau)
    else:
        quantity = ordering(spec, prepared, options.ordered_by)
        permutation = ordered(groups["posterior"], quantity)
    aligned = permute_posterior(layout, groups["posterior"], permutation)
    coords = coordinates(spec, prepared)
    groups["alignment"] = xr.Dataset(
        {"permutation": ((*_SAMPLE, "component"), permutation)},
        coords={**_sample_coords(sample_shape), "component": coords["component"]},
    )
    groups["estimate"] = aligned.mean(_SAMPLE).merge(
        parameter_dataset(layout, coords, responsibilities=labels.permuted_mean(tau, permutation))
    )
    status, message = _judge(spec, prepared, groups, aligned, draws, options)
    return Outcome(groups, status, message + remarks(options, draws.stats))


def _judge(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    groups: dict[str, xr.Dataset],
    aligned: xr.Dataset,
    draws: Draws,
    options: Options,
) -> tuple[str, str]:
    if options.sampler in APPROXIMATIONS:
        return "approximate", approximation(options.sampler, draws.shape[1])
    layout = Layout.of(spec, prepared)
    return diagnose(
        [*layout.names()],
        layout.flatten(aligned),
        groups["log_likelihood"]["outcomes"].sum("unit").to_numpy(),
        draws.stats["diverging"].to_numpy(),
    )


def _groups(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    draws: Draws,
    evaluation: Evaluation,
    prior: dict[str, FloatArray],
) -> dict[str, xr.Dataset]:
    """Everything that is known before alignment."""
    shape = draws.shape
    sample = _sample_coords(shape)
    coords = {**coordinates(spec, prepared), **sample}
    layout = Layout.of(spec, prepared)

    def by_draw(array: FloatArray) -> FloatArray:
        return array.reshape(*shape, *array.shape[1:])

    log_likelihood = by_draw(evaluation.log_likelihood)
    log_prior = {name: by_draw(value) for name, value in prior.items()}
    parameters = {name: by_draw(array) for name, array in evaluation.parameters.items()}
    log_posterior = log_likelihood.sum(axis=-1) + sum(log_prior.values())
    return {
        "posterior": parameter_dataset(layout, coords, _SAMPLE, **parameters),
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
            layout, coords, _SAMPLE, responsibilities=by_draw(evaluation.responsibilities)
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
