"""Draws of new outcomes: a class for every unit, then its rows given the class."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prediction.samples import Samples
from mixcompare.simulate.samplers import Sampler


def draw_outcomes(
    sampler: Sampler,
    samples: Samples,
    class_probabilities: FloatArray,
    covariates: FloatArray,
    unit: IntArray,
    seed: np.random.SeedSequence,
) -> tuple[IntArray, FloatArray]:
    """Draw every unit's class and every row's outcomes, once for each set of parameters.

    Parameters
    ----------
    sampler
        Of the outcomes' family.
    samples
        S sets of parameters.
    class_probabilities
        (S, G, K) from which the units' classes are drawn.
    covariates
        (N, p) rows.
    unit
        (N,) number of the row's unit.
    seed
        Root of the random numbers.

    Returns
    -------
    classes
        (S, G) counted from 0.
    outcomes
        (S, N, m).
    """
    of_classes, of_rows = (np.random.default_rng(child) for child in seed.spawn(2))
    # The first class whose cumulated probability exceeds a uniform number.
    cumulated = np.cumsum(class_probabilities, axis=-1)
    threshold = of_classes.random(cumulated.shape[:2]) * cumulated[..., -1]
    classes = (cumulated <= threshold[..., None]).sum(axis=-1).astype(np.intp)
    return classes, sampler(samples.blocks, classes[:, unit], covariates, of_rows)
