"""What a study knows about the population: parameters and classes, by the names that fits use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from mixcompare import labels
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.raw_columns import INTERCEPT
from mixcompare.model.layout import Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True parameters of a data set.

    Attributes
    ----------
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m). Beside membership covariates the weights are the units'
        average class probabilities.
    covariate_names, outcome_names
        Of the mechanism's design.
    membership
        (K, c) log-odds against the first class by unit covariate; None where membership depends
        on none.
    concomitant_names
        Of the unit covariates.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    covariate_names: tuple[str, ...]
    outcome_names: tuple[str, ...]
    membership: FloatArray | None = None
    concomitant_names: tuple[str, ...] = ()

    @property
    def blocks(self) -> dict[str, FloatArray]:
        """The one set of parameters (1, ...) by the name of their block, as scorers take it."""
        named = {
            "weights": self.weights,
            "coefficients": self.coefficients,
            "covariance": self.covariance,
        }
        if self.membership is not None:
            named["membership_coefficients"] = self.membership
        return {name: values[None] for name, values in named.items()}

    def value(
        self, parameter: Parameter, covariates: Sequence[str], concomitants: Sequence[str] = ()
    ) -> float:
        """True value of a fit's parameter; NaN where the truth has no such number.

        Parameters
        ----------
        parameter
            Of a fit whose components are numbered as the truth's.
        covariates
            Names of the fit's design columns. One that the mechanism does not have has
            coefficients of zero.
        concomitants
            Names of the fit's unit covariates, likewise.
        """
        if parameter.variable == "weights":
            return float(self.weights[parameter.position])
        if parameter.variable == "membership_coefficients":
            k, i = parameter.position
            return self._log_odds(k, concomitants[i])
        if parameter.variable == "coefficients":
            _, i, _ = parameter.position
            if covariates[i] not in self.covariate_names:
                return 0.0
            row = self.covariate_names.index(covariates[i])
            values = [self.coefficients[k, row, j] for k, _, j in parameter.positions]
        else:
            values = [self.covariance[position] for position in parameter.positions]
        same = all(math.isclose(value, values[0], rel_tol=1e-12) for value in values)
        return float(values[0]) if same else float("nan")

    def _log_odds(self, k: int, concomitant: str) -> float:
        if self.membership is None:
            constant = concomitant == INTERCEPT
            return float(np.log(self.weights[k] / self.weights[0])) if constant else 0.0
        if concomitant not in self.concomitant_names:
            return 0.0
        return float(self.membership[k, self.concomitant_names.index(concomitant)])


def class_probabilities(membership: FloatArray, concomitants: FloatArray) -> FloatArray:
    """(G, K) probabilities of the classes from (K, c) log-odds and (G, c) unit covariates."""
    return np.asarray(softmax(concomitants @ membership.T, axis=1))


def match_components(responsibilities: FloatArray, reference: FloatArray) -> IntArray | None:
    """Permutation that brings a fit's components nearest to the true classes.

    Parameters
    ----------
    responsibilities
        (G, K) of the fit.
    reference
        (G, K') true classes, hard or soft.

    Returns
    -------
    (K,) permutation; None where the numbers of classes differ.
    """
    if responsibilities.shape != reference.shape:
        return None
    return labels.align_to_reference(responsibilities, reference)
