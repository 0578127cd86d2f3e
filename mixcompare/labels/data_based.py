"""Data-based relabelling: classes recognised by where their units lie."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray, permute
from mixcompare.labels.equivalence import ecr
from mixcompare.labels.permutations import assign, settled


def data_based(
    responsibilities: FloatArray,
    features: FloatArray,
    pivot: FloatArray,
    *,
    max_iterations: int = 100,
) -> IntArray:
    """Relabel draws by their classes' centres and spreads in the data.

    The k-means type loss of Rodriguez & Walker (2014): label ``k`` costs
    component ``j`` the sum over its units of ``((x - centre_k) / spread_k)^2``, with centres
    and spreads averaged over the relabelled draws. They average draw by draw in the order of
    sampling; here all draws are relabelled at once, in turn with the averages, so that the
    result does not depend on the order. Units count for their most probable class.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    features
        (G, D) what is known of each unit, e.g. its own regression coefficients.
    pivot
        (G, K) class probabilities to start from.

    Returns
    -------
    (..., K) permutations.
    """
    count, mean, variance = _moments(responsibilities, _scaled(features))

    def to_averages(permutation: IntArray) -> IntArray:
        centre, spread = _averages(count, mean, variance, permutation)
        # sum (x - c)^2 = n (variance + (mean - c)^2), which cancels nothing.
        away = np.square(mean[..., None, :, :] - centre[:, None]) + variance[..., None, :, :]
        return assign(count[..., None, :] * (away / spread[:, None]).sum(axis=-1))

    return settled(ecr(responsibilities, pivot), to_averages, max_iterations)


def _scaled(features: FloatArray) -> FloatArray:
    scale = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0))


def _moments(
    responsibilities: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Count (..., K), mean and variance (..., K, D) of every class in every draw."""
    k = responsibilities.shape[-1]
    hard = (responsibilities.argmax(axis=-1)[..., None, :] == np.arange(k)[:, None]).astype(float)
    count = hard.sum(axis=-1)
    divisor = np.maximum(count, 1.0)[..., None]
    mean = hard @ x / divisor
    variance = np.maximum(hard @ np.square(x) / divisor - np.square(mean), 0.0)
    return count, mean, variance


def _averages(
    count: FloatArray, mean: FloatArray, variance: FloatArray, permutation: IntArray
) -> tuple[FloatArray, FloatArray]:
    """(K, D) centres and squared spreads over the draws in which the class has units."""
    k, d = mean.shape[-2:]
    there = (permute(count, permutation, -1) > 0).reshape(-1, k, 1)
    total = np.maximum(there.sum(axis=0), 1)
    centre = (permute(mean, permutation, -2).reshape(-1, k, d) * there).sum(axis=0) / total
    deviation = np.sqrt(permute(variance, permutation, -2)).reshape(-1, k, d)
    spread = np.square((deviation * there).sum(axis=0) / total)
    # A class of one unit has no spread of its own; a hundredth of the overall one is little.
    return centre, np.maximum(spread, 1e-4)
