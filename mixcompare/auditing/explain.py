"""Search the registered candidates for the combination that reproduces the foreign steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Final

import numpy as np

from mixcompare.auditing.annealing import with_temperatures
from mixcompare.auditing.matching import Case, Expectation, Explanation, Matching, Path
from mixcompare.auditing.registry import EXPECTATION, PART, REGISTRY, Candidate, Stage
from mixcompare.auditing.traced_problem import TracedProblem

# Steps that every combination is tried on, and combinations that all steps are tried on.
_SCREENED_STEPS: Final = 3
_SHORTLIST: Final = 8
_LARGE: Final = 100_000
# Candidates before the variance that are not exact.
_MOST_CAUSES: Final = 3
_REGRESSION: Final[tuple[Stage, ...]] = ("alignment", "data")


def explain(
    problem: TracedProblem, cases: Sequence[Case], tolerance: float, most: int = _MOST_CAUSES
) -> Explanation:
    """Explain foreign steps, most parts first, with as few causes as possible.

    All combinations are tried on a few steps, the best on all.

    Parameters
    ----------
    most
        Candidates before the variance that are not exact, beyond which nothing is tried.
    """
    screened = cases[:: max(1, len(cases) // _SCREENED_STEPS)][:_SCREENED_STEPS]
    if problem.rows.total > _LARGE:
        screened = screened[:2]
    with np.errstate(all="ignore"):  # wrong candidates may overflow, and then explain nothing
        search = _Search(problem, screened, tolerance)
        short = search.run(most)
        final = Matching(problem, cases, tolerance)
        best = final.explanation(short[0], search.told)
        if best is not None and not best.unexplained and final.is_tight:
            return best
        return _ranked(final, short, search.told)[0][1]


def _ranked(
    matching: Matching, paths: Iterable[Path], told: Sequence[Expectation]
) -> list[tuple[Path, Explanation]]:
    """Explanations from the best to the worst; the registry's order decides ties."""
    tried = ((path, matching.explanation(path, told)) for path in paths)
    return sorted(
        ((path, one) for path, one in tried if one is not None), key=lambda pair: pair[1].rank
    )


class _Search:
    """Paths from the simplest on, until one explains everything."""

    def __init__(self, problem: TracedProblem, cases: Sequence[Case], tolerance: float) -> None:
        self.problem = problem
        self.cases = cases
        self.matching = Matching(problem, cases, tolerance)
        self.known = {stage: [c for c in REGISTRY[stage] if not _waits(c)] for stage in PART}
        self.told: list[Expectation] = []

    def run(self, most: int) -> list[Path]:
        """The paths worth trying on all steps, the best first, and the exact one."""
        exact = next(iter(self._paths(0)))
        if self.matching.is_told:
            self.known["expectation"] = with_temperatures(self.problem, self.cases)
            self.told = [one for n in range(most + 1) for one in self._alternatives(EXPECTATION, n)]
        ranked: list[tuple[Path, Explanation]] = []
        for number in range(most + 1):
            ranked = self._extended(ranked, self._paths(number))
            if number == 1 and not _explains(ranked, number):
                self.known["expectation"] = with_temperatures(self.problem, self.cases)
                ranked = self._extended(ranked, (p for p in self._paths(1) if p[3].estimate))
            # Where the digits leave room, others with as few causes may come nearer.
            if _explains(ranked, number + self.matching.is_tight):
                break
        return list(dict.fromkeys([*(path for path, _ in ranked[:_SHORTLIST]), exact]))

    def _extended(
        self, ranked: list[tuple[Path, Explanation]], paths: Iterable[Path]
    ) -> list[tuple[Path, Explanation]]:
        more = _ranked(self.matching, paths, self.told)
        return sorted([*ranked, *more], key=lambda pair: pair[1].rank)

    def _paths(self, number: int) -> Iterator[Path]:
        """Paths up to the regression with so many candidates that are not exact.

        With two or more, the E-step must give the class weights, or be exact: else it
        explains nothing that the exact one does not.
        """
        first = range(1) if self.matching.is_told else range(number + 1)
        if self.problem.spec.n_components == 1:
            first = range(1)
        for n in first:
            for expectation in self._alternatives(EXPECTATION, n):
                if number > 1 and n and not self.matching.gives_weights(expectation):
                    continue
                for regression in self._alternatives(_REGRESSION, number - n):
                    yield (*expectation, *regression)

    def _alternatives(
        self, stages: Sequence[Stage], number: int
    ) -> Iterator[tuple[Candidate, ...]]:
        """Candidates of the stages, so many of them not exact."""
        for places in combinations(stages, number):
            yield from product(
                *(self.known[s][1:] if s in places else self.known[s][:1] for s in stages)
            )


def _waits(one: Candidate) -> bool:
    """Whether its constant must be estimated before the search."""
    return one.stage in EXPECTATION and one.estimate is not None


def _explains(ranked: Sequence[tuple[Path, Explanation]], number: int) -> bool:
    """Whether the best explains everything with no more causes than were tried."""
    if not ranked:
        return False
    unexplained, causes, _ = ranked[0][1].rank
    return not unexplained and causes <= number + 0.5
