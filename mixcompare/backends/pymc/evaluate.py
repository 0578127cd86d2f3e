"""The model's parameters and likelihood at given values, in original units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.graphs import BATCH_VALUES
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Draws in original units with their likelihood.

    Attributes
    ----------
    parameters
        Arrays named as the blocks of the model's parameters, (S, K, ...).
    log_likelihood
        (S, G) log-likelihood of every unit, times its weight.
    responsibilities
        (S, C, K) class probabilities of the carriers.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    responsibilities: FloatArray


def evaluate(mixture: Mixture, variables: Arrays, n_draws: int) -> Evaluation:
    """Evaluate S draws of a mixture's free variables, (S, ...) each."""
    size = max(1, BATCH_VALUES // max(emission.n_values for emission in mixture.emissions))
    arrays: tuple[FloatArray, ...] = ()
    for i in range(0, n_draws, size):
        batch = slice(i, min(i + size, n_draws))
        part = {name: value[batch] for name, value in variables.items()}
        values = mixture.classes.marginal(part, mixture.log_density(part))
        arrays = arrays or tuple(np.empty((n_draws, *value.shape[1:])) for value in values)
        for array, value in zip(arrays, values, strict=True):
            array[batch] = value
    log_likelihood, responsibilities, weights = arrays
    parameters = {"weights": weights, **mixture.parameters(variables, n_draws)}
    return Evaluation(parameters, log_likelihood, responsibilities)
