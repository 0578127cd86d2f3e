"""Class probabilities at a posterior's draws: those that its fit keeps, or its backend's scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mixcompare.backends.fitting import get_backend
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.fits.fit import Fit

# Of so many numbers at once, since scorers need several such arrays.
_BATCH_VALUES: Final = 2_000_000


def occupancy_at(fit: Fit, draws: IntArray) -> FloatArray:
    """(..., C, K) class probabilities at some of a posterior's draws, labels as sampled.

    Parameters
    ----------
    draws
        (...) numbers of draws, chain after chain.
    """
    known = fit.draws
    chain, draw = np.divmod(draws, known.permutation.shape[1])
    place = np.searchsorted(known.kept, draw).clip(max=len(known.kept) - 1)
    if (known.kept[place] == draw).all():
        return np.asarray(known.occupancy[chain, place])
    scorer = get_backend(fit.backend).scorer(fit.problem)
    one = known.occupancy[0, 0]
    occupancy = np.empty((draws.size, *one.shape))
    size = _batch(one)
    for i in range(0, draws.size, size):
        at = chain.ravel()[i : i + size], draw.ravel()[i : i + size]
        occupancy[i : i + size] = scorer.occupancy({n: v[at] for n, v in known.parameters.items()})
    return occupancy.reshape(*draws.shape, *one.shape)


def occupancy_in_batches(fit: Fit, draws: IntArray | None = None) -> Iterator[FloatArray]:
    """The same of many draws (S,), by default all, a batch (s, C, K) at a time."""
    known = fit.draws
    chains, each = known.permutation.shape[:2]
    if draws is None:
        draws = np.arange(chains * each)
    size = len(draws) if len(known.kept) == each else _batch(known.occupancy[0, 0])
    for i in range(0, len(draws), size):
        yield occupancy_at(fit, draws[i : i + size])


def _batch(one: FloatArray) -> int:
    return max(1, _BATCH_VALUES // one.size)
