"""From an explanation to findings: each cause with its size and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mixcompare.auditing.explain import Case, Explanation
from mixcompare.auditing.problem import (
    Problem,
    assign,
    determined,
    difference,
    perform,
    variance_log_ratio,
)
from mixcompare.auditing.registry import PART, Candidate, Part, Stage, exact
from mixcompare.auditing.scoring import log_likelihood
from mixcompare.backends.em.parameters import Parameters
from mixcompare.panel import FloatArray

COLUMNS: Final = ("cause", "part", "kind", "size", "measure", "cost", "statement", "evidence")

# Differences that a trace of few digits may bring about.
_SMALL: Final = 0.01

MEASURES: Final[dict[Part, str]] = {
    "responsibilities": "largest change of a class probability",
    "weights": "largest change of a class weight",
    "coefficients": "largest change of a coefficient, in residual sd per sd of the covariate",
    "variance": "ratio to the exact variance",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of the findings' table; see `Audit` for the columns."""

    cause: str
    part: str
    kind: str
    size: float
    measure: str
    cost: float
    statement: str
    evidence: str


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Data frame of the findings."""
    return pd.DataFrame(
        [[getattr(finding, name) for name in COLUMNS] for finding in findings], columns=COLUMNS
    )


def findings_of(
    problem: Problem, explanation: Explanation, cases: Sequence[Case], n_faulty: int, n_steps: int
) -> list[Finding]:
    """One finding per cause, and one per part that nothing explains."""
    found = [
        _cause(problem, explanation, candidates, cases, n_faulty, n_steps)
        for candidates in explanation.causes.values()
    ]
    found += [_unexplained(problem, explanation, part, cases) for part in explanation.unexplained]
    return found


def _cause(
    problem: Problem,
    explanation: Explanation,
    candidates: list[Candidate],
    cases: Sequence[Case],
    n_faulty: int,
    n_steps: int,
) -> Finding:
    main = candidates[-1]
    part = PART[main.stage]
    alone: dict[Stage, Candidate] = {stage: exact(stage) for stage in PART}
    alone |= {candidate.stage: candidate for candidate in candidates}
    sizes, costs = [], []
    moved = 0.0
    for case in cases:
        size, cost = _effect(problem, alone, part, case)
        sizes.append(size)
        costs.append(cost)
        moved = max(moved, _reassigned(problem, alone, case))
    evidence = (
        f"{n_faulty} of {n_steps} steps differ from exact EM; the causes found together "
        f"reproduce {_reproduced(explanation)} (of {len(cases)} examined steps)."
    )
    if part == "responsibilities":
        evidence += f" Alone it moves up to {moved:.0%} of the units to another class in a step."
    return Finding(
        main.cause,
        part,
        main.kind,
        _summary(part, sizes),
        MEASURES[part],
        float(np.nanmax(costs)) if np.isfinite(costs).any() else np.nan,
        main.statement,
        evidence,
    )


def _reproduced(explanation: Explanation) -> str:
    known = {p: e for p, e in explanation.errors.items() if p not in explanation.unexplained}
    if not known:
        return "no part"
    return f"{', '.join(known)} within {max(known.values()):.1e}"


def _effect(
    problem: Problem, alone: dict[Stage, Candidate], part: Part, case: Case
) -> tuple[float, float]:
    """Size of one cause alone, and the log-likelihood that it costs, in one step."""
    before = case.before.stated
    step = perform(problem, alone, before)
    cost = log_likelihood(problem, case.before.exact) - log_likelihood(
        problem, _filled(step, case.before.parameters)
    )
    tau = case.before.expected.responsibilities
    if part == "responsibilities":
        theirs = assign(problem, alone, before)
        return float(np.abs(theirs - tau).max()) if theirs is not None else np.nan, cost
    found = difference(problem, step, case.before.exact, determined(problem, tau))
    sizes = {
        "weights": found.weights,
        "coefficients": found.coefficients,
        "variance": found.ratio,
    }
    return sizes[part], cost


def _filled(step: Parameters, before: Parameters) -> Parameters:
    """Keep the former coefficients of an emptied class, whose new ones are not numbers."""
    known = np.isfinite(step.coefficients)
    return Parameters(
        step.weights, np.where(known, step.coefficients, before.coefficients), step.covariance
    )


def _reassigned(problem: Problem, alone: dict[Stage, Candidate], case: Case) -> float:
    theirs = assign(problem, alone, case.before.stated)
    if theirs is None:
        return 0.0
    exact_class = case.before.expected.responsibilities.argmax(axis=1)
    return float(np.mean(theirs.argmax(axis=1) != exact_class))


def _summary(part: Part, sizes: list[float]) -> float:
    values = np.array(sizes)
    values = values[np.isfinite(values)]
    if not values.size:
        return np.nan
    return float(np.median(values) if part == "variance" else values.max())


def _unexplained(
    problem: Problem, explanation: Explanation, part: Part, cases: Sequence[Case]
) -> Finding:
    sizes = [_raw_size(problem, part, case) for case in cases]
    evidence = f"No candidate reproduces it within {explanation.tolerance:.0e}."
    if part in explanation.nearest:
        name, left = explanation.nearest[part]
        evidence += f" The nearest is {name!r}, with a difference of {left:.2g} left."
    largest = _summary(part, sizes)
    if abs(np.log(largest) if part == "variance" else largest) < _SMALL:
        evidence += " It is small: if the trace is rounded, loosen the tolerance."
    return Finding(
        f"{part}: unknown cause",
        part,
        "fault",
        largest,
        MEASURES[part],
        np.nan,
        f"The {part} are not those of the exact step, and no known cause explains them. Compare "
        "this part of the program line by line with the formula."
        if part != "variance"
        else "The variance is not that of the exact step, and no known cause explains it. Compare "
        "this part of the program line by line with the formula.",
        evidence,
    )


def _raw_size(problem: Problem, part: Part, case: Case) -> float:
    """Difference of the foreign step itself from the exact one."""
    tau = case.before.expected.responsibilities
    if part == "responsibilities":
        return np.nan if case.told is None else float(np.abs(case.told - tau).max())
    if part == "variance":
        ratio = variance_log_ratio(case.after.parameters.covariance, case.before.exact.covariance)
        return float(np.exp(ratio.mean()))
    found = difference(problem, case.after.stated, case.before.exact, determined(problem, tau))
    return found.weights if part == "weights" else found.coefficients


def own_likelihood_finding(own: FloatArray | None, exact_values: FloatArray) -> Finding | None:
    """Whether the program's own log-likelihood is that of its parameters.

    It may stand beside the parameters that it was computed from or beside those that the
    same iteration made of them.
    """
    if own is None:
        return None
    shifts = [own - exact_values, own[1:] - exact_values[:-1]]
    gaps = [gap[np.isfinite(gap)] for gap in shifts]
    gaps = [gap for gap in gaps if gap.size]
    allowed = 1e-7 * (1 + np.abs(exact_values).max())
    if not gaps or any(np.abs(gap).max() <= allowed for gap in gaps):
        return None
    best = min(gaps, key=lambda gap: float(np.ptp(gap)))
    constant = len(best) > 1 and np.ptp(best) <= allowed
    what = (
        f"exceeds the exact one by the constant {np.median(best):.6g}: a constant has been left "
        "out or counted twice, which does no harm to the steps"
        if constant
        else "is not that of its parameters: do not judge its ascent or convergence by it"
    )
    return Finding(
        "own log-likelihood",
        "log-likelihood",
        "note" if constant else "fault",
        float(np.abs(best).max()),
        "largest difference from the exact log-likelihood",
        np.nan,
        f"The program's own log-likelihood {what}.",
        f"{len(best)} iterates compared, differences from {best.min():.6g} to {best.max():.6g}.",
    )
