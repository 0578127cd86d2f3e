"""The model's parameters and likelihood at given values, in original units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.graphs import BATCH_VALUES
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.fits import result


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Class probabilities of the carriers at S draws: in memory, or computed when they are read.

    Attributes
    ----------
    n_draws
        S.
    size
        How many draws are read at once.
    at
        From draws to their (s, C, K).
    """

    n_draws: int
    size: int
    at: Callable[[slice | IntArray], FloatArray]

    def __iter__(self) -> Iterator[FloatArray]:
        for i in range(0, self.n_draws, self.size):
            yield self.at(slice(i, i + self.size))

    def mean(self, permutation: IntArray) -> FloatArray:
        """(C, K) over all draws, whose classes (S, K) permutations renumber."""
        starts = range(0, self.n_draws, self.size)
        sums = (
            labels.permuted_sum(tau, permutation[i : i + self.size])
            for i, tau in zip(starts, self, strict=True)
        )
        return np.asarray(sum(sums) / self.n_draws)

    def take(self, draws: IntArray) -> FloatArray:
        """(s, C, K) of some draws."""
        parts = [draws[i : i + self.size] for i in range(0, len(draws), self.size)]
        return np.concatenate([self.at(part) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Draws in original units with their likelihood.

    Attributes
    ----------
    parameters
        Arrays named as the blocks of the model's parameters, (S, K, ...).
    log_likelihood
        (S, G) log-likelihood of every unit, times its weight.
    occupancy
        Class probabilities of the carriers.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    occupancy: Occupancy


def evaluate(mixture: Mixture, variables: Arrays, n_draws: int) -> Evaluation:
    """Evaluate S draws of a mixture's free variables, (S, ...) each."""
    size = max(1, BATCH_VALUES // max(emission.n_values for emission in mixture.emissions))

    def marginal(batch: slice | IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        part = {name: value[batch] for name, value in variables.items()}
        return mixture.classes.marginal(part, mixture.log_density(part))

    arrays: list[FloatArray] = []
    occupancy = Occupancy(n_draws, size, lambda batch: marginal(batch)[1])
    for i in range(0, n_draws, size):
        batch = slice(i, min(i + size, n_draws))
        log_likelihood, tau, weights = marginal(batch)
        values = [log_likelihood, weights]
        if n_draws * tau[0].size <= result.KEPT_VALUES:
            values.append(tau)
        arrays = arrays or [np.empty((n_draws, *value.shape[1:])) for value in values]
        for array, value in zip(arrays, values, strict=True):
            array[batch] = value
    log_likelihood, weights, *whole = arrays
    if whole:
        occupancy = Occupancy(n_draws, n_draws, whole[0].__getitem__)
    parameters = {"weights": weights, **mixture.parameters(variables, n_draws)}
    return Evaluation(parameters, log_likelihood, occupancy)
