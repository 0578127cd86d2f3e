"""Search the registered candidates for the combination that reproduces the foreign steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import Final

import numpy as np

from mixcompare.auditing.maximisation import Assigned
from mixcompare.auditing.problem import (
    Problem,
    assign,
    coefficient_difference,
    compared_variances,
    count,
    structured,
    variance_log_ratio,
)
from mixcompare.auditing.registry import PART, REGISTRY, Candidate, Part, Stage
from mixcompare.auditing.regression import regress
from mixcompare.auditing.scoring import Iterate
from mixcompare.backends.em.parameters import Parameters
from mixcompare.panel import FloatArray

# Steps that every combination is tried on, and combinations that all steps are tried on.
_SCREENED_STEPS = 3
_SHORTLIST = 12
_LARGE = 100_000
# Causes in the E-step and the regression together, beyond which nothing is tried.
_MOST_CAUSES = 3
_EXPECTATION: Final[tuple[Stage, ...]] = ("expectation data", "density", "expectation")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One foreign step: iterates before and after, responsibilities if they are told."""

    before: Iterate
    after: Iterate
    told: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The simplest combination that reproduces most parts of the steps.

    Attributes
    ----------
    chosen
        One candidate for each stage.
    errors
        By part, the largest distance from the foreign steps that is left.
    tolerance
        Up to which a part counts as reproduced.
    nearest
        By part that is not reproduced, the candidates that come nearest, and their distance.
    """

    chosen: dict[Stage, Candidate]
    errors: dict[Part, float]
    tolerance: float
    nearest: dict[Part, tuple[str, float]] = field(default_factory=dict)

    @property
    def unexplained(self) -> tuple[Part, ...]:
        """Parts that no candidate reproduces."""
        return tuple(part for part, error in self.errors.items() if not error <= self.tolerance)

    @property
    def causes(self) -> dict[str, list[Candidate]]:
        """Candidates that are not exact, by cause."""
        found: dict[str, list[Candidate]] = {}
        for one in self.chosen.values():
            if one.kind != "exact":
                found.setdefault(one.cause, []).append(one)
        return found

    @property
    def rank(self) -> tuple[int, float, float]:
        """Parts not reproduced, then number of causes, then what is left beyond rounding."""
        left = max(self.errors.values())
        simple = complexity(self.chosen.values())
        return len(self.unexplained), simple, max(left, self.tolerance / 100)


def complexity(chosen: Iterable[Candidate]) -> float:
    """Number of distinct causes; a consistent choice counts half."""
    kinds = {one.cause: one.kind for one in chosen if one.kind != "exact"}
    return sum(0.5 if kind == "note" else 1.0 for kind in kinds.values())


def explain(problem: Problem, cases: Sequence[Case], tolerance: float) -> Explanation:
    """Explain foreign steps, most parts first, with as few causes as possible.

    The parts of a step depend on one another in one direction only (responsibilities,
    then regression, then divisor), so each is matched given those before it. All
    combinations are tried on a few steps, the best on all.
    """
    screened = cases[:: max(1, len(cases) // _SCREENED_STEPS)][:_SCREENED_STEPS]
    if problem.rows.total > _LARGE:
        screened = screened[:1]
    with np.errstate(all="ignore"):  # wrong candidates may overflow, and then do not fit
        short = _screen(problem, screened, tolerance)
        final = _Errors(problem, tolerance)
        for case in cases:
            final.add(case, short)
    return final.ranked()[0][1]


def _screen(problem: Problem, cases: Sequence[Case], tolerance: float) -> list[_Path]:
    """The paths worth trying on all steps: the exact one, then the best.

    Paths with more causes are tried only while none with fewer explains everything.
    """
    tried = _Errors(problem, tolerance)
    paths = sorted(tried.paths(cases[0]), key=complexity)
    for causes, group in groupby(paths, key=complexity):
        if tried.regression:
            best = tried.ranked()[0][1]
            if not best.unexplained and complexity(best.chosen.values()) <= causes:
                break
        alike = list(group)
        for case in cases:
            tried.add(case, alike)
    return list(dict.fromkeys([paths[0], *(path for path, _ in tried.ranked()[:_SHORTLIST])]))


# Candidates of the three stages of the E-step, and of the five up to the regression.
type _Expectation = tuple[Candidate, ...]
type _Path = tuple[Candidate, ...]


class _Errors:
    """Largest errors over the cases: by E-step, by path of five stages, by later stages."""

    def __init__(self, problem: Problem, tolerance: float) -> None:
        self.problem = problem
        self.tolerance = tolerance
        self.expectation: dict[_Expectation, float] = {}
        self.regression: dict[_Path, float] = {}
        self.weights: dict[_Expectation, FloatArray] = {}
        self.variance: dict[_Path, FloatArray] = {}

    def paths(self, case: Case) -> Iterator[_Path]:
        """All paths; with responsibilities told, the E-step is matched on its own."""
        stages: list[list[Candidate]] = [
            REGISTRY[stage]
            for stage in ("expectation data", "density", "expectation", "alignment", "data")
        ]
        if case.told is not None:
            stages[:3] = [known[:1] for known in stages[:3]]
        yield from (path for path in product(*stages) if complexity(path) <= _MOST_CAUSES)

    def add(self, case: Case, paths: Sequence[_Path]) -> None:
        """Take one case's errors into account."""
        before = case.before.stated
        if case.told is not None:
            for pair in product(*(REGISTRY[stage] for stage in _EXPECTATION)):
                tau = assign(self.problem, _by_stage(pair), before)
                error = np.inf if tau is None else float(np.abs(tau - case.told).max())
                self.expectation[pair] = max(self.expectation.get(pair, 0.0), error)
        for pair in dict.fromkeys(path[:3] for path in paths):
            tau = case.told
            if tau is None:
                tau = assign(self.problem, _by_stage(pair), before)
            if tau is not None and np.isfinite(tau).all():
                self._add_weights(pair, Assigned(self.problem.rows, tau, before), case.after.stated)
                for path in paths:
                    if path[:3] == pair:
                        self._add_path(path, tau, before, case.after.stated)

    def _add_weights(self, pair: _Expectation, given: Assigned, after: Parameters) -> None:
        errors = np.array(
            [np.abs(c.function(given) - after.weights).max() for c in REGISTRY["weights"]]
        )
        self.weights[pair] = np.maximum(self.weights.get(pair, 0.0), errors)

    def _add_path(
        self, path: _Path, tau: FloatArray, before: Parameters, after: Parameters
    ) -> None:
        given = Assigned(self.problem.rows, tau, before)
        version = path[4].function(self.problem.rows)
        rows_weight = path[3].function(given)
        if version is None or rows_weight is None:
            return
        regression = regress(self.problem.rows, version, rows_weight)
        counts = count(self.problem, given, regression)
        compared = compared_variances(self.problem, regression.determined)
        divisors = np.stack(
            [_or_nan(c.function(counts), len(regression.mass)) for c in REGISTRY["divisor"]]
        )
        undivided = np.ones(len(regression.mass))
        errors = []
        for residuals in REGISTRY["residuals"]:
            scatter = residuals.function(given, regression)
            covariance = structured(self.problem.spec, scatter, undivided)
            ratio = variance_log_ratio(after.covariance, covariance)[compared]
            left = ratio + np.log(divisors[:, compared, None])
            left = np.where(np.isfinite(left), np.abs(left), np.inf)
            errors.append(left.max(axis=(1, 2), initial=0.0 if compared.any() else np.inf))
        coefficients = coefficient_difference(
            self.problem, after.coefficients, regression.coefficients, regression.determined
        )
        self.regression[path] = max(self.regression.get(path, 0.0), coefficients)
        self.variance[path] = np.maximum(self.variance.get(path, 0.0), errors)

    def ranked(self) -> list[tuple[_Path, Explanation]]:
        """Explanations from the best to the worst; the registry's order decides ties."""
        found = [(path, self._explanation(path)) for path in self.regression]
        return sorted(found, key=lambda pair: pair[1].rank)

    def _explanation(self, path: _Path) -> Explanation:
        weights = self._simplest([(c,) for c in REGISTRY["weights"]], self.weights[path[:3]])
        variances = list(product(REGISTRY["residuals"], REGISTRY["divisor"]))
        variance = self._simplest(variances, self.variance[path].ravel(), path)
        errors: dict[Part, float] = {
            "weights": weights[1],
            "coefficients": self.regression[path],
            "variance": variance[1],
        }
        expectation: Sequence[Candidate] = path[:3]
        if self.expectation:
            pairs, values = list(self.expectation), np.array(list(self.expectation.values()))
            expectation, errors["responsibilities"] = self._simplest(pairs, values)
        candidates = (*expectation, *weights[0], *path[3:], *variance[0])
        chosen = _by_stage(candidates)
        nearest = self._nearest(path, errors)
        return Explanation(
            {stage: chosen[stage] for stage in PART}, errors, self.tolerance, nearest
        )

    def _simplest(
        self, options: Sequence[Sequence[Candidate]], errors: FloatArray, also: _Path | None = None
    ) -> tuple[Sequence[Candidate], float]:
        """The option with the fewest causes that explains, the exact one if none does."""
        explaining = [i for i, error in enumerate(errors) if error <= self.tolerance]
        if not explaining:
            return options[0], float(errors[0])
        floor = self.tolerance / 100
        best = min(
            explaining,
            key=lambda i: (complexity((*options[i], *(also or ()))), max(errors[i], floor)),
        )
        return options[best], float(errors[best])

    def _nearest(self, path: _Path, errors: dict[Part, float]) -> dict[Part, tuple[str, float]]:
        """What comes nearest to the variance and the coefficients that nothing reproduces."""
        nearest: dict[Part, tuple[str, float]] = {}
        if not errors["variance"] <= self.tolerance:
            i, j = np.unravel_index(self.variance[path].argmin(), self.variance[path].shape)
            pair = REGISTRY["residuals"][i], REGISTRY["divisor"][j]
            nearest["variance"] = _named(pair), float(self.variance[path][i, j])
        if not errors["coefficients"] <= self.tolerance:
            other = min(self.regression, key=lambda key: self.regression[key])
            nearest["coefficients"] = _named(other), self.regression[other]
        return nearest


def _by_stage(chosen: Iterable[Candidate]) -> dict[Stage, Candidate]:
    return {one.stage: one for one in chosen}


def _or_nan(divisor: FloatArray | None, k: int) -> FloatArray:
    return np.full(k, np.nan) if divisor is None else divisor


def _named(chosen: Iterable[Candidate]) -> str:
    return " and ".join(dict.fromkeys(c.cause for c in chosen if c.cause)) or "the exact step"
