"""From draws to the groups of the result format."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.backends.pymc.diagnosis import diagnose
from mixcompare.backends.pymc.evaluate import Evaluation, evaluate
from mixcompare.backends.pymc.model import Mixture
from mixcompare.backends.pymc.sampling import Draws
from mixcompare.compress import PreparedPanel
from mixcompare.fit import coordinates, parameter_dataset, permute_posterior
from mixcompare.labels import IntArray
from mixcompare.outcome import Outcome
from mixcompare.panel import FloatArray
from mixcompare.parameters import flatten, reported_parameters
from mixcompare.spec import MixtureSpec

_SAMPLE = ("chain", "draw")


def build_outcome(
    spec: MixtureSpec, prepared: PreparedPanel, mixture: Mixture, draws: Draws
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
    """
    sample_shape = draws.weights.shape[:2]
    evaluation = evaluate(
        mixture,
        _merged(draws.weights),
        {name: _merged(value) for name, value in draws.variables.items()},
    )
    groups = _groups(spec, prepared, draws, evaluation)
    tau = groups["membership"]["responsibilities"].to_numpy()
    permutation = _align(draws, tau)
    aligned = permute_posterior(groups["posterior"], permutation)
    coords = coordinates(spec, prepared)
    groups["alignment"] = xr.Dataset(
        {"permutation": ((*_SAMPLE, "component"), permutation)},
        coords={**_sample_coords(sample_shape), "component": coords["component"]},
    )
    groups["estimate"] = aligned.mean(_SAMPLE).merge(
        parameter_dataset(
            coords, responsibilities=labels.permute(tau, permutation, axis=-1).mean(axis=(0, 1))
        )
    )
    parameters = reported_parameters(spec, prepared)
    status, message = diagnose(
        [parameter.name for parameter in parameters],
        flatten(aligned, parameters),
        groups["log_likelihood"]["outcomes"].sum("unit").to_numpy(),
        draws.stats["diverging"].to_numpy(),
    )
    return Outcome(groups, status, message)


def _groups(
    spec: MixtureSpec, prepared: PreparedPanel, draws: Draws, evaluation: Evaluation
) -> dict[str, xr.Dataset]:
    """Everything that is known before alignment."""
    shape = draws.weights.shape[:2]
    coords = {**coordinates(spec, prepared), **_sample_coords(shape)}
    arrays = {
        name: getattr(evaluation, name).reshape(*shape, *getattr(evaluation, name).shape[1:])
        for name in ("coefficients", "covariance", "responsibilities", "log_likelihood")
    }
    tau, log_likelihood = arrays.pop("responsibilities"), arrays.pop("log_likelihood")
    return {
        "posterior": parameter_dataset(coords, _SAMPLE, weights=draws.weights, **arrays),
        "sample_stats": draws.stats.assign_coords(_sample_coords(shape)),
        "log_likelihood": xr.Dataset(
            {"outcomes": ((*_SAMPLE, "unit"), log_likelihood)},
            coords={**_sample_coords(shape), "unit": coords["unit"]},
        ),
        "membership": parameter_dataset(coords, _SAMPLE, responsibilities=tau),
    }


def _align(draws: Draws, responsibilities: FloatArray) -> IntArray:
    """Permutations (C, S, K) that align all draws, numbered by the mean weights."""
    best = np.unravel_index(int(np.argmax(draws.stats["lp"].to_numpy())), draws.weights.shape[:2])
    permutation = labels.align_draws(responsibilities, responsibilities[best])
    mean = labels.permute(draws.weights, permutation, axis=-1).mean(axis=(0, 1))
    return labels.compose(permutation, labels.by_weight(mean))


def _merged(array: FloatArray) -> FloatArray:
    return array.reshape(-1, *array.shape[2:])


def _sample_coords(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: np.arange(size) for name, size in zip(_SAMPLE, shape, strict=True)}
