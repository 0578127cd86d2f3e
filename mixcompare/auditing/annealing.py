"""The temperature of a tempered E-step, from what the foreign steps made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mixcompare.auditing.densities import densities
from mixcompare.auditing.matching import Case
from mixcompare.auditing.registry import REGISTRY, Candidate
from mixcompare.auditing.regression import regress
from mixcompare.auditing.traced_problem import TracedProblem
from mixcompare.base.arrays import FloatArray

type _Gap = Callable[[TracedProblem, FloatArray, Case], FloatArray]

# Two estimates that are one.
_ALIKE = 1e-6


def with_temperatures(problem: TracedProblem, cases: Sequence[Case]) -> list[Candidate]:
    """The last stage's candidates, those with a power with each estimate of it.

    The power is estimated from the responsibilities if they are told; else once from the class
    weights and once from the coefficients, since one of these may be at fault as well.
    """
    candidates: list[Candidate] = []
    for one in REGISTRY["expectation"]:
        if one.estimate is None:
            candidates.append(one)
        elif problem.spec.n_components > 1:
            candidates += _bound(problem, one, cases)
    return candidates


def _bound(problem: TracedProblem, one: Candidate, cases: Sequence[Case]) -> list[Candidate]:
    exact = [
        densities(problem.rows, "exact", case.before.parameters, problem.by_component)
        for case in cases
    ]
    assert one.estimate is not None
    powers: list[float] = []
    for gap in (_told,) if all(c.told is not None for c in cases) else (_weights, _coefficients):

        def distance(power: float, gap: _Gap = gap) -> FloatArray:
            parts = [
                gap(problem, one.function(density, power), case)
                for density, case in zip(exact, cases, strict=True)
            ]
            return np.nan_to_num(np.concatenate(parts), nan=1e6, posinf=1e6, neginf=-1e6)

        power = one.estimate(distance)
        known = (1.0, *powers)
        if all(abs(power - other) > _ALIKE * other for other in known):
            powers.append(power)
    return [one.bound(power) for power in powers]


def _told(_: TracedProblem, tau: FloatArray, case: Case) -> FloatArray:
    assert case.told is not None
    return np.asarray(tau - case.told).ravel()


def _weights(_: TracedProblem, tau: FloatArray, case: Case) -> FloatArray:
    return np.asarray(tau.mean(axis=0) - case.after.stated.weights)


def _coefficients(problem: TracedProblem, tau: FloatArray, case: Case) -> FloatArray:
    fitted = regress(problem.rows, "exact", tau).least_squares
    return np.asarray(fitted - case.after.stated.coefficients).ravel()
