"""Scores of parameters by the model's own expressions, on the fitted rows or others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pymc as pm
from pytensor.graph.replace import clone_replace
from scipy.special import logsumexp

from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.graphs import compiled
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.model import model_of
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, eq=False)
class Scorer:
    """See `mixcompare.backends.protocol.Scorer`; the coordinates are those of the fitted model."""

    problem: Problem

    @cached_property
    def _mixture(self) -> Mixture:
        return build_mixture(self.problem)

    def log_density(self, parameters: Arrays, new: Problem | None = None) -> FloatArray:
        """See `Scorer`."""
        return self._mixture.scores(parameters, new or self.problem)

    def unit_log_likelihood(self, parameters: Arrays, new: Problem | None = None) -> FloatArray:
        """See `Scorer`; fitted rows by the model's observed variable. A weight may be zero."""
        if new is not None:
            joint = self._joint(parameters, new)
            return np.asarray(new.prepared.replicated * logsumexp(joint, axis=-1))
        function, inputs = _outcomes(self._mixture), self._mixture.inputs()
        free = self._mixture.free_values(parameters)
        with np.errstate(divide="ignore"):
            scores = [
                function(*(value[i] for value in free.values()), *inputs.values())
                for i in range(len(parameters["weights"]))
            ]
        return np.array(scores)

    def occupancy(self, parameters: Arrays, new: Problem | None = None) -> FloatArray:
        """See `Scorer`."""
        joint = self._joint(parameters, new or self.problem)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=-1, keepdims=True)))

    def _joint(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """(S, C, K) logarithms of class probability times density given the class."""
        probabilities = self._mixture.classes.log_probabilities(parameters, rows)
        return self.log_density(parameters, rows) + probabilities


_OUTCOMES: Final[dict[tuple[Any, ...], Callable[..., FloatArray]]] = {}


def _outcomes(mixture: Mixture) -> Callable[..., FloatArray]:
    """The log-density (G,) of the model's observed variable, compiled once for these terms.

    Its inputs are the free variables and the data: a point on the simplex's edge has no
    unconstrained image.
    """
    if mixture.terms not in _OUTCOMES:
        model = model_of(mixture)
        outcomes = model["outcomes"]
        log_density = pm.logp(outcomes, model.rvs_to_values[outcomes], warn_rvs=False)
        names = (*mixture.shapes, *mixture.inputs())
        inputs = {model[name]: model[name].type(name) for name in names}
        # The model's data have smaller whole numbers.
        _OUTCOMES[mixture.terms] = compiled(
            list(inputs.values()), clone_replace(log_density, inputs), allow_input_downcast=True
        )
    return _OUTCOMES[mixture.terms]
