"""One combination of candidates against foreign steps: what it reproduces, part by part.

The parts of a step depend on one another in one direction only (responsibilities, then
regression, then variance), so each is matched given those before it. A part that nothing
reproduces is taken from the foreign program for those that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Final

import numpy as np

from mixcompare.auditing.assigned import Assigned, Counts, count
from mixcompare.auditing.candidates.scatters import Divided
from mixcompare.auditing.densities import Past
from mixcompare.auditing.iterates import Iterate
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import PART, REGISTRY, Candidate, Part, Stage
from mixcompare.auditing.regression import Regression, regress
from mixcompare.auditing.traced_problem import (
    TracedProblem,
    assign,
    coefficient_difference,
    compared_variances,
    structured,
    variance_log_ratio,
)
from mixcompare.base.arrays import FloatArray

# What an estimated constant costs, in causes: of two explanations the one without is simpler.
_CONSTANT: Final = 0.1

# Tolerance within which explanations hardly meet by chance.
_TIGHT: Final = 1e-5
# Causes of a path that is no longer combined with penalties.
_MOST_BEFORE_A_PENALTY: Final = 2
_VARIANCE: Final[tuple[Stage, ...]] = ("residuals", "divisor", "covariance")

# Candidates of the stages of the E-step, and of these, alignment and data.
type Expectation = tuple[Candidate, ...]
type Path = tuple[Candidate, ...]
# Candidates of the stages that follow, with what is left over.
type Option = tuple[tuple[Candidate, ...], float]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One foreign step.

    Attributes
    ----------
    before, after
        Iterates.
    past
        All iterates up to the one before.
    told, told_before
        Responsibilities of this step and the one before, if they are told.
    position
        Of the iterate before, in the trace.
    slack
        By part, how many times the tolerance the digits of the trace allow.
    """

    before: Iterate
    after: Iterate
    past: Past
    told: FloatArray | None = None
    told_before: FloatArray | None = None
    position: int = 0
    slack: Mapping[Part, float] = field(default_factory=dict)

    def allowed(self, part: Part) -> float:
        """How many times the tolerance a difference of this part may be."""
        return self.slack.get(part, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What a combination reproduces.

    Attributes
    ----------
    step
        One candidate for each stage.
    errors
        By part, the largest distance from the foreign steps that is left.
    tolerance
        Up to which a part counts as reproduced.
    nearest
        By part, the candidates that come nearest of all that were tried, and their distance.
    """

    step: dict[Stage, Candidate]
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
        by_cause: dict[str, list[Candidate]] = {}
        for one in self.step.values():
            if one.kind != "exact":
                by_cause.setdefault(one.cause, []).append(one)
        return by_cause

    @property
    def rank(self) -> tuple[int, float, float]:
        """Parts not reproduced, then number of causes, then what is left beyond rounding."""
        left = max(self.errors.values())
        simple = complexity(self.step.values())
        return len(self.unexplained), simple, max(left, self.tolerance / 100)


def complexity(candidates: Iterable[Candidate]) -> float:
    """Number of distinct causes; a consistent choice counts half, a constant a little."""
    kinds = {one.cause: one for one in candidates if one.kind != "exact"}
    return sum(
        (0.5 if one.kind == "note" else 1.0) + _CONSTANT * (one.estimate is not None)
        for one in kinds.values()
    )


def by_stage(candidates: Iterable[Candidate]) -> dict[Stage, Candidate]:
    """Candidates by their stage."""
    return {one.stage: one for one in candidates}


def named(candidates: Iterable[Candidate]) -> str:
    """Their causes."""
    return " and ".join(dict.fromkeys(c.cause for c in candidates if c.cause)) or "the exact step"


class Matching:
    """Combinations against the same steps; what they share is computed once."""

    def __init__(self, problem: TracedProblem, cases: Sequence[Case], tolerance: float) -> None:
        self.problem = problem
        self.cases = cases
        self.tolerance = tolerance
        self.after = [case.after.stated for case in cases]
        self.is_told = all(case.told is not None for case in cases)
        self.nearest: dict[Part, tuple[str, float]] = {}
        self._assigned: dict[Expectation, list[Assigned] | None] = {}
        self._weights: dict[Expectation, list[Option]] = {}
        self._gives: dict[Expectation, bool] = {}
        self._told: dict[Expectation, float] = {}

    @property
    def is_tight(self) -> bool:
        """Whether hardly two explanations can be within the tolerance."""
        slack = [value for case in self.cases for value in case.slack.values()]
        return self.tolerance * max(slack, default=1.0) <= _TIGHT

    def assigned(self, expectation: Expectation) -> list[Assigned] | None:
        """Responsibilities of every step, None if the E-step makes no sense."""
        if expectation not in self._assigned:
            self._assigned[expectation] = self._assign(by_stage(expectation))
        return self._assigned[expectation]

    def _assign(self, step: Mapping[Stage, Candidate]) -> list[Assigned] | None:
        def recall(case: Case) -> FloatArray | None:
            if self.is_told:
                return case.told_before
            return assign(self.problem, step, case.past.earlier)

        assigned = []
        for case in self.cases:
            tau = case.told if self.is_told else assign(self.problem, step, case.past)
            if tau is None or not np.isfinite(tau).all():
                return None
            assigned.append(
                Assigned(self.problem.rows, tau, case.before.stated, partial(recall, case))
            )
        return assigned

    def weights(self, expectation: Expectation) -> list[Option]:
        """What each candidate for the class weights leaves over; the exact one first."""
        if expectation not in self._weights:
            given = self.assigned(expectation) or []
            options: list[Option] = []
            for one in REGISTRY["weights"]:
                bound = _bound(one, [(each,) for each in given], self.after)
                made = [bound(each) if _is_bound(bound) else None for each in given]
                foreign = [after.weights for after in self.after]
                options.append(((bound,), self._left("weights", made, foreign)))
            self._weights[expectation] = options
            self._note("weights", expectation, options)
        return self._weights[expectation]

    def gives_weights(self, expectation: Expectation) -> bool:
        """Whether the first step's class weights come from this E-step, with no constant."""
        if expectation not in self._gives:
            self._gives[expectation] = self._first_weights(by_stage(expectation))
        return self._gives[expectation]

    def _first_weights(self, step: Mapping[Stage, Candidate]) -> bool:
        case, after = self.cases[0], self.after[0]
        tau = assign(self.problem, step, case.past)
        if tau is None or not np.isfinite(tau).all():
            return False
        given = Assigned(self.problem.rows, tau, case.before.stated, lambda: None)
        made = [one(given) for one in REGISTRY["weights"] if one.estimate is None]
        errors = [np.abs(w - after.weights).max() for w in made if w is not None]
        return bool(min(errors) <= self.tolerance * case.allowed("weights"))

    def told(self, expectations: Iterable[Expectation]) -> list[Option]:
        """What each E-step leaves of the responsibilities that are told."""
        for one in expectations:
            if one not in self._told:
                made = [assign(self.problem, by_stage(one), case.past) for case in self.cases]
                told = [case.told for case in self.cases]
                self._told[one] = self._left("responsibilities", made, told)
        return list(self._told.items())

    def _left(
        self,
        part: Part,
        made: Sequence[FloatArray | None],
        foreign: Sequence[FloatArray | None],
    ) -> float:
        """Largest difference in a step, in units of what is allowed there."""
        errors = [
            float(np.abs(each - theirs).max()) / case.allowed(part)
            if each is not None and theirs is not None and each.shape == theirs.shape
            else np.inf
            for case, each, theirs in zip(self.cases, made, foreign, strict=True)
        ]
        return max(errors) if np.isfinite(errors).all() else np.inf

    def explanation(
        self, path: Path, expectations: Sequence[Expectation] = ()
    ) -> Explanation | None:
        """The simplest way to complete a path, None if it makes no sense.

        Parameters
        ----------
        path
            Candidates for the E-step, the alignment and the data.
        expectations
            With told responsibilities, the E-steps to try on these.
        """
        given = self.assigned(path[:4])
        if given is None:
            return None
        alignment = _bound(path[4], [(each,) for each in given], self.after)
        regressions = self._regress(given, alignment, path[5])
        if regressions is None:
            return None
        path = (*path[:4], alignment, path[5])
        weights = self._simplest(self.weights(path[:4]), path)
        penalty, fitted = self._penalty(path, given, regressions)
        left = max(weights[1], penalty[1]), penalty[1]
        variance = self._variance((*path, *penalty[0]), left, given, fitted)
        errors: dict[Part, float] = {
            "weights": weights[1],
            "coefficients": penalty[1],
            "variance": variance[1],
        }
        expectation: Sequence[Candidate] = path[:4]
        if self.is_told:
            expectation, errors["responsibilities"] = self._simplest(self.told(expectations), ())
        step = by_stage((*expectation, *weights[0], *path[4:], *penalty[0], *variance[0]))
        return Explanation(
            {stage: step[stage] for stage in PART}, errors, self.tolerance, self.nearest
        )

    def _regress(
        self, given: Sequence[Assigned], alignment: Candidate, data: Candidate
    ) -> list[Regression] | None:
        version = data(self.problem.rows)
        if version is None or not _is_bound(alignment):
            return None
        weights = [w for w in map(alignment, given) if w is not None]
        if len(weights) < len(given):
            return None
        return [regress(self.problem.rows, version, one) for one in weights]

    def _penalty(
        self, path: Path, given: Sequence[Assigned], regressions: Sequence[Regression]
    ) -> tuple[Option, list[Regression]]:
        """What is made of the regressions, and these with their coefficients.

        Coefficients that nothing reproduces are the foreign ones.
        """
        pairs = list(zip(given, regressions, strict=True))
        options: list[Option] = []
        fitted: dict[Candidate, list[Regression]] = {}
        for one in REGISTRY["penalty"]:
            if options and complexity(path) >= _MOST_BEFORE_A_PENALTY:
                break
            bound = _bound(one, pairs, self.after)
            if not _is_bound(bound):
                continue
            made = [bound(*pair) for pair in pairs]
            error = max(
                coefficient_difference(
                    self.problem, after.coefficients, each.coefficients, each.determined
                )
                / case.allowed("coefficients")
                for case, after, each in zip(self.cases, self.after, made, strict=True)
            )
            options.append(((bound,), error))
            fitted[bound] = made
            if one.kind == "exact" and error <= self.tolerance:
                break
        self._note("coefficients", path, options)
        option = self._simplest(options, path)
        if option[1] <= self.tolerance:
            return option, fitted[option[0][0]]
        foreign = [
            each.at(np.where(each.determined[:, None, None], after.coefficients, each.coefficients))
            for each, after in zip(regressions, self.after, strict=True)
        ]
        return option, foreign

    def _variance(
        self,
        path: Path,
        left: tuple[float, float],
        given: Sequence[Assigned],
        fitted: Sequence[Regression],
    ) -> Option:
        """The simplest residuals, divisor and what is made of both.

        Of a path with a cause that leaves (``left``) something of the weights as well as of the
        coefficients nothing is asked, nor of one with more that leaves something of the latter.
        """
        unexplained = sum(one > self.tolerance for one in left)
        if unexplained and complexity(path) > 2 - unexplained:
            return tuple(REGISTRY[stage][0] for stage in _VARIANCE), np.inf
        tables = [self._divide(*each) for each in zip(self.cases, given, fitted, strict=True)]
        residuals, divisors = REGISTRY["residuals"], REGISTRY["divisor"]
        options: list[Option] = []
        for one in REGISTRY["covariance"]:
            if options and (
                self._simplest(options, path)[1] <= self.tolerance
                or (left[1] > self.tolerance and complexity(path) > 0)
            ):
                break
            bound = _bound(one, [(table,) for table in tables], self.after)
            if not _is_bound(bound):
                continue
            errors = self._variance_errors(bound, tables)
            for (i, first), (j, second) in product(enumerate(residuals), enumerate(divisors)):
                last = bound
                if bound.estimate is not None:
                    last = bound.bound(float(bound.constant[i, j]))
                options.append(((first, second, last), float(errors[i, j])))
        self._note("variance", path, options)
        return self._simplest(options, path)

    def _divide(self, case: Case, given: Assigned, regression: Regression) -> Divided:
        """Covariances (R, D, K, m, m) of all residuals over all divisors."""
        shared = not self.problem.by_component
        k, m = regression.coefficients.shape[::2]
        shape = len(REGISTRY["residuals"]), len(REGISTRY["divisor"]), k
        covariance, mass = np.full((*shape, m, m), np.nan), np.full(shape, np.nan)
        sizes: dict[int, tuple[FloatArray, FloatArray]] = {}
        made = [one(given, regression) for one in REGISTRY["residuals"]]
        for i, squares in enumerate(made):
            if squares is None:
                continue
            if (key := id(squares.weights)) not in sizes:
                counts = count(given, squares.weights, shared=shared)
                sizes[key] = _divisors(counts), counts.weighted_rows
            undivided = structured(self.problem.spec, squares.values, np.ones(k))
            covariance[i] = undivided / sizes[key][0][:, :, None, None]
            mass[i] = sizes[key][1]
        compared = compared_variances(self.problem, regression.determined)
        scale = self.problem.rows.raw_scale
        return Divided(covariance, mass, scale, case.before.stated.covariance, compared)

    def _variance_errors(self, one: Candidate, tables: Sequence[Divided]) -> FloatArray:
        """(R, D) largest logarithm of a ratio that is left."""
        worst = np.zeros(tables[0].covariance.shape[:2])
        for case, table, after in zip(self.cases, tables, self.after, strict=True):
            made = one(table)
            if made is None or not table.compared.any():
                return np.full_like(worst, np.inf)
            kept = table.compared
            left = variance_log_ratio(after.covariance[kept], made[..., kept, :, :])
            left = np.abs(left).max(axis=(-1, -2)) / case.allowed("variance")
            worst = np.maximum(worst, left)
        return worst

    def _simplest(self, options: Sequence[Option], also: Iterable[Candidate]) -> Option:
        """The option with the fewest causes that explains, the exact one if none does."""
        explaining = [option for option in options if option[1] <= self.tolerance]
        if not explaining:
            return options[0]
        floor, others = self.tolerance / 100, tuple(also)
        return min(explaining, key=lambda one: (complexity((*one[0], *others)), max(one[1], floor)))

    def _note(self, part: Part, path: Iterable[Candidate], options: Sequence[Option]) -> None:
        """Remember what came nearest."""
        best = min(options, key=lambda option: option[1])
        if part not in self.nearest or best[1] < self.nearest[part][1]:
            self.nearest[part] = named((*path, *best[0])), best[1]


def _divisors(counts: Counts) -> FloatArray:
    """(D, K) of all candidates, NaN where one makes no sense."""
    sizes = (one(counts) for one in REGISTRY["divisor"])
    return np.stack([np.broadcast_to(np.nan if n is None else n, len(counts.units)) for n in sizes])


def _is_bound(one: Candidate) -> bool:
    """Whether it has no constant, or one that is known."""
    return one.estimate is None or (one.constant is not None and np.isfinite(one.constant).any())


def _bound(
    one: Candidate, given: Sequence[tuple[object, ...]], after: Sequence[Parameters]
) -> Candidate:
    """The candidate with its constant estimated."""
    if one.estimate is None or one.constant is not None or not given:
        return one
    return one.bound(one.estimate(given, after))
