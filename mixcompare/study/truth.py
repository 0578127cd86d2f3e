"""What a study knows about the population: parameters and classes, by the names that fits use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixcompare import labels
from mixcompare.panel import FloatArray, IntArray
from mixcompare.parameters import Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True parameters of a data set.

    Attributes
    ----------
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m).
    covariate_names, outcome_names
        Of the mechanism's design.
    """

    weights: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    covariate_names: tuple[str, ...]
    outcome_names: tuple[str, ...]

    def value(self, parameter: Parameter, covariates: Sequence[str]) -> float:
        """True value of a fit's parameter; NaN where the truth has no such number.

        Parameters
        ----------
        parameter
            Of a fit whose components are numbered as the truth's.
        covariates
            Names of the fit's design columns. One that the mechanism does not have has
            coefficients of zero.
        """
        if parameter.variable == "weights":
            return float(self.weights[parameter.position])
        if parameter.variable == "coefficients":
            _, i, _ = parameter.position
            if covariates[i] not in self.covariate_names:
                return 0.0
            own = self.covariate_names.index(covariates[i])
            values = [self.coefficients[k, own, j] for k, _, j in parameter.positions]
        else:
            values = [self.covariance[position] for position in parameter.positions]
        same = np.allclose(values, values[0], rtol=1e-12, atol=0)
        return float(values[0]) if same else float("nan")


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


def renamed(parameters: Sequence[Parameter], permutation: IntArray) -> list[tuple[Parameter, int]]:
    """The truth's parameters, each with the place of its estimate in the fit's list.

    Log-odds of membership are left out: they change with the class that they are against.

    Parameters
    ----------
    parameters
        Of the fit.
    permutation
        From `match_components`.
    """
    place = {(p.variable, p.positions): i for i, p in enumerate(parameters)}
    return [
        (p, place[(p.variable, _moved(p, permutation))])
        for p in parameters
        if p.variable != "membership_coefficients"
    ]


def _moved(parameter: Parameter, permutation: IntArray) -> tuple[tuple[int, ...], ...]:
    if parameter.component is None:
        return parameter.positions
    return tuple((int(permutation[k]), *inside) for k, *inside in parameter.positions)
