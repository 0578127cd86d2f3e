"""The numbers that a study asks of its fits, under the truth's numbering of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.layout import Combination, Layout, Parameter
from mixcompare.study.mechanism.truth import Truth


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Weighted sums of some elements of an array, (Q,): those from each start to the next."""

    places: tuple[IntArray, ...]
    factors: FloatArray
    starts: IntArray

    def of(self, values: FloatArray) -> FloatArray:
        """(..., Q) from an array whose last axes are indexed by the places."""
        where: Any = (..., *self.places)
        terms: FloatArray = self.factors * values[where]
        return np.add.reduceat(terms, self.starts, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Estimands:
    """Those of a model's parameters that are wanted, numbered as the truth's.

    Attributes
    ----------
    parameters
        (Q,) of the truth.
    names
        (Q,) theirs.
    """

    parameters: tuple[Parameter, ...]
    names: tuple[str, ...]
    _linear: _Sums
    _quadratic: _Sums

    def truths(
        self, truth: Truth, covariates: Sequence[str], concomitants: Sequence[str]
    ) -> list[float]:
        """(Q,) true values, see `Truth.value`."""
        return [truth.value(p, covariates, concomitants) for p in self.parameters]

    def sums(self, values: FloatArray) -> FloatArray:
        """(S, Q) values from a fit's (..., P), every sample a row."""
        return self._linear.of(values.reshape(-1, values.shape[-1]))

    def variances(self, covariance: FloatArray) -> FloatArray:
        """(Q,) variances from a fit's covariance matrix of its parameters, (P, P)."""
        return self._quadratic.of(covariance)


# A study asks for the same estimands of thousands of fits.
@lru_cache(maxsize=256)
def estimands(
    layout: Layout,
    permutation: tuple[int, ...],
    wanted: tuple[str, ...],
    covariates: tuple[str, ...],
) -> Estimands:
    """What is to be taken from a fit.

    Parameters
    ----------
    layout
        Of the fit.
    permutation
        (K,) from `mixcompare.study.mechanism.truth.match_components`.
    wanted
        From the study's ``[estimands]``; empty for all.
    covariates
        Names of the fit's design columns.
    """
    named = zip(layout.parameters, layout.combinations(np.array(permutation)), strict=True)
    kept = [(p, terms) for p, terms in named if is_wanted(p, wanted, covariates)]
    return Estimands(
        tuple(p for p, _ in kept),
        tuple(p.name for p, _ in kept),
        _sums([[((i,), a) for i, a in combination] for _, combination in kept]),
        _sums([_squared(combination) for _, combination in kept]),
    )


def _squared(combination: Combination) -> list[tuple[tuple[int, ...], float]]:
    return [((i, j), a * b) for i, a in combination for j, b in combination]


def _sums(groups: Sequence[Sequence[tuple[tuple[int, ...], float]]]) -> _Sums:
    terms = [term for group in groups for term in group]
    lengths = [len(group) for group in groups]
    starts = np.cumsum([0, *lengths[:-1]]) if groups else np.zeros(0, dtype=np.intp)
    places = zip(*(place for place, _ in terms), strict=True)
    return _Sums(
        tuple(np.array(axis, dtype=np.intp) for axis in places),
        np.array([factor for _, factor in terms]),
        starts.astype(np.intp),
    )


def is_wanted(parameter: Parameter, wanted: Sequence[str], covariates: Sequence[str]) -> bool:
    """Whether a parameter is named by itself, its array, or its covariate."""
    names = {parameter.name, parameter.variable}
    if parameter.variable == "coefficients":
        names.add(covariates[parameter.position[1]])
    return not wanted or any(name in names for name in wanted)


def unknown_estimands(
    wanted: Sequence[str], parameters: Sequence[Parameter], covariates: Sequence[str]
) -> list[str]:
    """Those of the wanted names that no parameter answers to."""
    return [
        name for name in wanted if not any(is_wanted(p, [name], covariates) for p in parameters)
    ]
