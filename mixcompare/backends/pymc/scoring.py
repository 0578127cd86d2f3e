"""Scores of parameters by the model's own expressions, on the fitted rows or others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from scipy.special import logsumexp

from mixcompare.backends.pymc.data import StandardPanel
from mixcompare.backends.pymc.evaluate import outcomes_function
from mixcompare.backends.pymc.likelihood import class_log_density
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.problem import Problem

# Evaluated a few times on large arrays: NumPy is fast enough and nothing is compiled.
_MODE: Final = Mode(linker="py", optimizer="fast_compile")
# Arrays of so many numbers stay in the cache.
_BATCH_VALUES: Final = 300_000


@dataclass(frozen=True, eq=False)
class Scorer:
    """See `mixcompare.backends.protocol.Scorer`; the coordinates are those of the fitted model."""

    problem: Problem

    @cached_property
    def _mixture(self) -> Mixture:
        return build_mixture(self.problem.spec, self.problem.factors)

    def log_density(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) log-densities of the carriers' rows given each class."""
        panel, rows = self._mixture.panel, (new or self.problem).factors
        coefficients = parameters["coefficients"]
        samples, k, p, m = coefficients.shape
        deviations = panel.deviations(coefficients)
        root = np.linalg.cholesky(panel.standard_covariance(parameters["covariance"]))
        whitener = np.linalg.inv(root).swapaxes(-1, -2)
        half_log_determinant = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
        log_determinant = 2 * (half_log_determinant + panel.log_volume)
        batch = max(1, _BATCH_VALUES // (rows.factor.shape[0] * rows.factor.shape[1] * k * m))
        arrays = _standard_rows(panel, rows)
        parts = [
            _function()(
                *arrays,
                deviations[i : i + batch].reshape(-1, p, m),
                whitener[i : i + batch].reshape(-1, m, m),
                log_determinant[i : i + batch].ravel(),
            )
            for i in range(0, samples, batch)
        ]
        joined = np.concatenate(parts, axis=1).reshape(rows.n_units, samples, k)
        return np.ascontiguousarray(joined.transpose(1, 0, 2))

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
        mixture = self._mixture
        function, inputs = outcomes_function(mixture.structure), mixture.inputs()
        scores = []
        for i in range(len(parameters["weights"])):
            free = mixture.free_values(**{name: value[i] for name, value in parameters.items()})
            with np.errstate(divide="ignore"):
                scores.append(function(*free.values(), *inputs.values()))
        return np.array(scores)

    def occupancy(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) class probabilities of the carriers given all outcomes of their units."""
        joint = self._joint(parameters, new or self.problem)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=-1, keepdims=True)))

    def _joint(self, parameters: Mapping[str, FloatArray], rows: Problem) -> FloatArray:
        """(S, C, K) logarithms of class probability times density given the class."""
        given_class = self.log_density(parameters, rows)
        concomitants = rows.prepared.concomitants
        if concomitants is None:
            with np.errstate(divide="ignore"):
                return np.asarray(given_class + np.log(parameters["weights"])[:, None])
        odds = concomitants @ parameters["membership_coefficients"].swapaxes(-1, -2)
        return np.asarray(given_class + (odds - logsumexp(odds, axis=-1, keepdims=True)))


def _standard_rows(
    panel: StandardPanel, new: PreparedPanel
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Outcomes, covariates and degrees of freedom of new units in a panel's coordinates."""
    x, y = new.covariate_factor, new.outcome_factor
    outcomes = (y - x @ panel.centre) @ np.linalg.inv(panel.scale).T
    return outcomes, x @ panel.directions, new.degrees_of_freedom.astype(float)


@cache
def _function() -> Callable[..., FloatArray]:
    """`class_log_density` of arrays."""
    inputs = [
        pt.tensor3("outcomes"),
        pt.tensor3("covariates"),
        pt.vector("degrees_of_freedom"),
        pt.tensor3("deviations"),
        pt.tensor3("whitener"),
        pt.vector("log_determinant"),
    ]
    function: Callable[..., Any] = pytensor.function(inputs, class_log_density(*inputs), mode=_MODE)
    return function
