"""Pareto-smoothed importance sampling of many units at a time, on arrays.

Vehtari, Simpson, Gelman, Yao & Gabry (2024), with the Pareto fit of Zhang & Stephens (2009):
the arithmetic of `arviz.loo`, which takes the units one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare.base.arrays import FloatArray

_CHUNK_VALUES: Final = 2**20
# The Pareto shape's prior: so many observations of one half.
_PRIOR_SIZE: Final = 10
_PRIOR_SCALE: Final = 3


def leave_one_out_density(
    log_likelihood: FloatArray, relative_efficiency: float
) -> tuple[FloatArray, FloatArray]:
    """Log predictive density of each unit from the others, and the weights' Pareto shape.

    Parameters
    ----------
    log_likelihood
        (S, G) of units at draws.
    relative_efficiency
        Effective number of draws per draw.

    Returns
    -------
    elpd, pareto_k
        (G,) each. A shape is NaN, and weights are as they are, where the tail is flat.
    """
    draws, units = log_likelihood.shape
    tail = _tail_length(draws, relative_efficiency)
    step = max(1, _CHUNK_VALUES // (draws + tail * _grid_size(tail)))
    parts = [
        _smoothed(np.ascontiguousarray(log_likelihood[:, i : i + step].T), tail)
        for i in range(0, units, step)
    ]
    elpd, pareto_k = zip(*parts, strict=True)
    return np.concatenate(elpd), np.concatenate(pareto_k)


def _tail_length(draws: int, relative_efficiency: float) -> int:
    if draws * relative_efficiency > 225:
        return int(3 * (draws / relative_efficiency) ** 0.5)
    return draws // 5


def _smoothed(log_likelihood: FloatArray, tail: int) -> tuple[FloatArray, FloatArray]:
    draws = log_likelihood.shape[1]
    largest = -log_likelihood.min(axis=1, keepdims=True)
    log_ratios = np.partition(-log_likelihood - largest, draws - tail - 1, axis=1)
    body, top = np.split(log_ratios, [draws - tail], axis=1)
    top.sort(axis=1)
    cutoff = np.exp(body[:, -1:])
    shape, scale = fit_pareto(np.exp(top) - cutoff)
    probability = (np.arange(tail) + 0.5) / tail
    log_weights = top.copy()
    fits = np.isfinite(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        quantiles = cutoff[fits] + _quantiles(probability, shape[fits, None], scale[fits, None])
        log_weights[fits] = np.minimum(np.log(quantiles), 0.0)
        total = np.log(np.exp(body).sum(axis=1) + np.exp(log_weights).sum(axis=1))
        # The density of a draw whose weight is its ratio is the same for all.
        kept = np.log(draws - tail + np.exp(log_weights - top).sum(axis=1))
    return kept - largest[:, 0] - total, shape


def _quantiles(probability: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    """Of the generalised Pareto distribution above zero; NaN without a scale."""
    below = np.log1p(-probability)
    of_shape = np.where(shape == 0, 1.0, shape)
    curved = np.where(shape == 0, -below, np.expm1(-of_shape * below) / of_shape)
    return np.where(scale > 0, scale * curved, np.nan)


def _grid_size(tail: int) -> int:
    return 30 + int(tail**0.5)


def fit_pareto(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale (n,) of sorted values above a cutoff (n, M).

    The posterior mean of Zhang & Stephens (2009), whose shape is drawn to one half (Vehtari et
    al. 2024, appendix C). NaN where the first quartile is the smallest value, as in no Pareto
    distribution.
    """
    tail = excess.shape[1]
    size = _grid_size(tail)
    quartile = excess[:, int(tail / 4 + 0.5) - 1]
    flat = quartile <= excess[:, 0]
    grid = 1 - np.sqrt(size / (np.arange(1, size + 1) - 0.5))
    with np.errstate(invalid="ignore", divide="ignore"):
        b = grid / (_PRIOR_SCALE * quartile[:, None]) + 1 / excess[:, -1:]
        k = np.log1p(-b[:, :, None] * excess[:, None]).mean(axis=2)
        height = tail * (np.log(-b / k) - k - 1)
        weight = np.exp(height - height.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        weight[weight < 10 * np.finfo(float).eps] = 0.0
        mean = (np.where(weight > 0, b, 0.0) * weight).sum(axis=1) / weight.sum(axis=1)
        shape = np.log1p(-mean[:, None] * excess).mean(axis=1)
        scale = -shape / mean
        shape = (tail * shape + _PRIOR_SIZE * 0.5) / (tail + _PRIOR_SIZE)
    shape = np.where(np.isnan(shape), np.inf, shape)
    return np.where(flat, np.nan, shape), np.where(flat, np.nan, scale)
