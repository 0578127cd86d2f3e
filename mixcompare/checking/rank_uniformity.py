"""Is a posterior calibrated? Ranks of true values among draws, and whether they are uniform.

Where parameters are drawn from the prior and data from the parameters, the truth is one more
draw from the posterior: its rank among L independent draws is uniform on 0..L for every
quantity of parameters and data (Cook, Gelman & Rubin 2006; Talts et al. 2018; Modrak et al.
2023). Many ranks are judged by their empirical distribution function within a band that
holds everywhere at once with a given probability (Saeilynoja, Buerkner & Vehtari 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Uniformity:
    """Whether N ranks on 0..L are uniform.

    Attributes
    ----------
    points
        (L,) probabilities (j + 1) / (L + 1) of a rank of at most j, j = 0..L-1.
    distribution
        (Q, L) share of ranks of at most j, for Q quantities.
    lower, upper
        (L,) simultaneous band of one quantity.
    p
        (Q,) probability that uniform ranks leave a band as narrow as they must to hold
        these.
    """

    points: FloatArray
    distribution: FloatArray
    lower: FloatArray
    upper: FloatArray
    p: FloatArray


def rank(truth: FloatArray, draws: FloatArray, rng: np.random.Generator) -> IntArray:
    """Ranks of true values among draws; ties to rounding, as of a constant, at random.

    Parameters
    ----------
    truth
        (Q,).
    draws
        (L, Q), nearly independent of one another.

    Returns
    -------
    (Q,) numbers from 0 to L.
    """
    same = np.isclose(draws, truth, rtol=1e-12, atol=0)
    below, equal = ((draws < truth) & ~same).sum(axis=0), same.sum(axis=0)
    return np.asarray(below + rng.integers(0, equal + 1), dtype=np.intp)


def uniformity(
    ranks: IntArray,
    largest: int,
    rng: np.random.Generator,
    *,
    probability: float = 0.95,
    simulations: int = 4000,
) -> Uniformity:
    """Compare ranks with a uniform distribution.

    Parameters
    ----------
    ranks
        (N, Q) ranks of N replicates.
    largest
        L.
    rng
        For the band, which is found by simulation.
    probability
        With which uniform ranks stay within the band at every point.
    """
    n = len(ranks)
    points = np.arange(1, largest + 1) / (largest + 1)
    simulated = rng.integers(0, largest + 1, size=(simulations, n))
    reference = np.sort(_extremity(_counts(simulated, largest), n, points))
    level = float(np.quantile(reference, 1 - probability))
    counts = _counts(ranks.T, largest)
    observed = _extremity(counts, n, points)
    lower, upper = _band(n, points, level)
    as_extreme = np.searchsorted(reference, observed * (1 + 1e-12), side="right")
    return Uniformity(
        points, counts / n, lower / n, upper / n, (as_extreme + 1) / (simulations + 1)
    )


def _counts(ranks: IntArray, largest: int) -> IntArray:
    """(R, L) how many of each row's ranks are at most j."""
    rows = len(ranks)
    flat = (ranks + (largest + 1) * np.arange(rows)[:, None]).ravel()
    by_rank = np.bincount(flat, minlength=rows * (largest + 1)).reshape(rows, largest + 1)
    return np.asarray(by_rank.cumsum(axis=1)[:, :-1])


def _extremity(counts: IntArray, n: int, points: FloatArray) -> FloatArray:
    """Smallest tail probability over the points, (R,)."""
    from scipy.stats import binom  # slow to import, needed by few

    below, above = binom.cdf(counts, n, points), binom.sf(counts - 1, n, points)
    return np.asarray(2 * np.minimum(below, above).min(axis=1))


def _band(n: int, points: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Counts (L,) whose tail probabilities are not below the level."""
    from scipy.stats import binom

    # Numbers with cdf >= level / 2 from below, and with sf(x - 1) >= level / 2 from above.
    lower = binom.ppf(level / 2, n, points)
    upper = binom.isf(level / 2, n, points)
    return np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)


def holm(p: FloatArray) -> FloatArray:
    """Adjusted p-values of several tests (Holm 1979)."""
    order = np.argsort(p)
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(scaled, 1.0)
    return adjusted
