"""Scores of parameters by the model's own expressions, on the fitted rows or others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from mixcompare.backends.pymc.evaluate import outcomes_function
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, eq=False)
class Scorer:
    """See `mixcompare.backends.protocol.Scorer`; the coordinates are those of the fitted model."""

    problem: Problem

    @cached_property
    def _mixture(self) -> Mixture:
        return build_mixture(self.problem)

    def log_density(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) log-densities of the carriers' rows given each class."""
        return self._mixture.scores(parameters, new or self.problem)

    def unit_log_likelihood(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, G) log-likelihoods of the units times their weights.

        Fitted rows are scored by the model's own observed variable; a weight may be zero.

        Raises
        ------
        ValueError
            If the parameters do not have the structure of the specification.
        """
        if new is not None:
            joint = self._joint(parameters, new)
            return np.asarray(new.prepared.replicated * logsumexp(joint, axis=-1))
        function, inputs = outcomes_function(self._mixture), self._mixture.inputs()
        free = self._mixture.free_values(parameters)
        with np.errstate(divide="ignore"):
            scores = [
                function(*(value[i] for value in free.values()), *inputs.values())
                for i in range(len(parameters["weights"]))
            ]
        return np.array(scores)

    def occupancy(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) class probabilities of the carriers given all outcomes of their units."""
        joint = self._joint(parameters, new or self.problem)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=-1, keepdims=True)))

    def _joint(self, parameters: Mapping[str, FloatArray], rows: Problem) -> FloatArray:
        """(S, C, K) logarithms of class probability times density given the class."""
        probabilities = self._mixture.classes.log_probabilities(parameters, rows)
        return self.log_density(parameters, rows) + probabilities
