"""From an explanation to findings: each cause with its size and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np
import pandas as pd

from mixcompare.auditing.candidates.penalties import RIDGE
from mixcompare.auditing.candidates.scatters import ADDED
from mixcompare.auditing.candidates.weights import DAMPING, DAMPING_STATEMENT
from mixcompare.auditing.iterates import log_likelihood
from mixcompare.auditing.matching import Case, Explanation, by_stage
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import PART, Candidate, Part, Stage, exact
from mixcompare.auditing.responsibilities import any_explain
from mixcompare.auditing.traced_problem import (
    TracedProblem,
    assign,
    determined,
    difference,
    perform,
    variance_log_ratio,
)
from mixcompare.base.arrays import FloatArray

# Differences that a trace of few digits may bring about, and share of a variance that is little.
_SMALL: Final = 0.01
# What scikit-learn adds to variances by default, whatever their size.
_USUAL_ADDED: Final = 1.001e-6
# Move of a coefficient, in residual sd, that a ridge for the sake of regular matrices makes.
_REGULAR: Final = 1e-3
_WORDS: Final[dict[Part, str]] = {
    "weights": "class weights",
    "coefficients": "coefficients",
    "variance": "variances",
}

MEASURES: Final[dict[Part, str]] = {
    "responsibilities": "largest change of a class probability",
    "weights": "largest change of a class weight",
    "coefficients": "largest change of a coefficient, in residual sd per sd of the covariate",
    "variance": "ratio to the exact variance",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row of the findings' table; see `Audit` for the columns."""

    cause: str
    part: str
    kind: str
    size: float = np.nan
    measure: str = ""
    cost: float = np.nan
    constant: float = np.nan
    statement: str
    evidence: str


def as_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Data frame of the findings."""
    return pd.DataFrame(map(asdict, findings), columns=[f.name for f in fields(Finding)])


def findings_of(
    problem: TracedProblem,
    explanation: Explanation,
    cases: Sequence[Case],
    n_faulty: int,
    n_steps: int,
) -> list[Finding]:
    """One finding per cause, and one per part that nothing explains.

    If nothing explains most of the parts, but some responsibilities explain them all, there
    is one finding: the E-step.
    """
    unexplained = explanation.unexplained
    extent = f"{n_faulty} of {n_steps} steps differ from exact EM"
    open_ = len(unexplained) > 1 and "responsibilities" not in explanation.errors
    if open_ and any_explain(problem, cases, explanation.tolerance):
        return [_unknown_e_step(problem, explanation, cases, extent)]
    return [
        _cause(problem, explanation, candidates, cases, extent)
        for candidates in explanation.causes.values()
    ] + [_unexplained(problem, explanation, part, cases) for part in unexplained]


def _cause(
    problem: TracedProblem,
    explanation: Explanation,
    candidates: list[Candidate],
    cases: Sequence[Case],
    extent: str,
) -> Finding:
    main = max(candidates, key=lambda one: len(one.statement))
    part = PART[main.stage]
    alone = exact() | by_stage(candidates)
    with np.errstate(all="ignore"):
        effects = [_effect(problem, alone, part, case) for case in cases]
        moved = max(_reassigned(problem, alone, case) for case in cases)
    # A step that gains more than the exact one, as a leap may, costs nothing.
    costs = [max(cost, 0.0) for _, cost in effects if np.isfinite(cost)]
    size = _summary(part, [size for size, _ in effects])
    evidence = (
        f"{extent}; the causes found together reproduce {_reproduced(explanation)} (of "
        f"{len(cases)} examined steps)."
    )
    if part == "responsibilities":
        units = f"up to {moved:.1%} of the units" if moved else "no unit"
        evidence += f" Alone it moves {units} to another class in a step."
    return Finding(
        cause=main.cause,
        part=part,
        kind=_kind(problem, main, size),
        size=size,
        measure=MEASURES[part],
        cost=max(costs, default=np.nan),
        constant=np.nan if main.constant is None else float(main.constant),
        statement=_statement(candidates, main),
        evidence=evidence,
    )


def _kind(problem: TracedProblem, main: Candidate, size: float) -> str:
    """A constant that keeps matrices regular is a note, one that moves the estimates a fault."""
    if main.cause == ADDED:
        smallest = float(np.square(problem.exact.data.scale).min())
        usual = main.constant <= _USUAL_ADDED or main.constant <= _SMALL * smallest
        return "note" if usual else "fault"
    if main.cause == RIDGE:
        return "note" if size <= _REGULAR else "fault"
    return main.kind


def _statement(candidates: Sequence[Candidate], main: Candidate) -> str:
    """That of the main candidate; of several that damp, all parts with their fractions."""
    damped = [one for one in candidates if one.constant is not None]
    if main.cause != DAMPING or len(damped) < 2:
        return main.text
    words = [_WORDS[PART[one.stage]] for one in damped]
    fractions = dict.fromkeys(f"{float(one.constant):.4g}" for one in damped)
    subject = f"{', '.join(words[:-1])} and {words[-1]}"
    return f"The {subject}" + DAMPING_STATEMENT.replace("{constant}", ", ".join(fractions))


def _unknown_e_step(
    problem: TracedProblem, explanation: Explanation, cases: Sequence[Case], extent: str
) -> Finding:
    return Finding(
        cause="E-step: unknown cause",
        part="responsibilities",
        kind="fault",
        size=_summary("weights", [_raw_size(problem, "weights", case) for case in cases]),
        measure=MEASURES["weights"],
        statement="The steps are exact M-steps from some class probabilities, but not from those "
        "of the E-step, and no known cause explains which. So the M-step may well be right, and "
        "the E-step is where to look first: compare its densities, their sums over a unit's rows "
        "and the normalisation with the formula. Store the responsibilities in the trace as well, "
        "and the audit can say which of the two is wrong.",
        evidence=f"{extent} in weights, coefficients and variance. No candidate reproduces them, "
        "but there are probabilities between zero and one, summing to one for every unit, whose "
        "M-step gives just these parameters."
        + _loosen(max(left for _, left in explanation.nearest.values())),
    )


def _reproduced(explanation: Explanation) -> str:
    known = {p: e for p, e in explanation.errors.items() if p not in explanation.unexplained}
    if not known:
        return "no part"
    return f"{', '.join(known)} within {max(known.values()):.1e}"


def _effect(
    problem: TracedProblem, alone: dict[Stage, Candidate], part: Part, case: Case
) -> tuple[float, float]:
    """Size of one cause alone, and the log-likelihood that it costs, in one step."""
    step = perform(problem, alone, case.past)
    if step is None:
        return np.nan, np.nan
    before, tau = case.before, case.before.expected.occupancy
    reached = log_likelihood(problem, _filled(step, before.parameters))
    cost = log_likelihood(problem, before.exact) - reached
    if part == "responsibilities":
        theirs = _by_unit(problem, assign(problem, alone, case.past))
        return float(np.abs(theirs - tau).max()) if theirs is not None else np.nan, cost
    return difference(problem, step, before.exact, determined(problem, tau)).size(part), cost


def _by_unit(problem: TracedProblem, tau: FloatArray | None) -> FloatArray | None:
    """(G, K) of responsibilities that may be by row."""
    rows = problem.rows
    if tau is None or rows.are_units(tau):
        return tau
    return np.asarray(rows.by_unit(tau) / rows.n_rows[:, None])


def _filled(step: Parameters, before: Parameters) -> Parameters:
    """Keep the former coefficients of an emptied class, whose new ones are not numbers."""
    known = np.isfinite(step.coefficients)
    return Parameters(
        step.weights, np.where(known, step.coefficients, before.coefficients), step.covariance
    )


def _reassigned(problem: TracedProblem, alone: dict[Stage, Candidate], case: Case) -> float:
    theirs = _by_unit(problem, assign(problem, alone, case.past))
    if theirs is None:
        return 0.0
    exact_class = case.before.expected.occupancy.argmax(axis=1)
    return float(np.mean(theirs.argmax(axis=1) != exact_class))


def _summary(part: Part, sizes: list[float]) -> float:
    values = np.array(sizes)
    values = values[np.isfinite(values)]
    if not values.size:
        return np.nan
    return float(np.median(values) if part == "variance" else values.max())


def _unexplained(
    problem: TracedProblem, explanation: Explanation, part: Part, cases: Sequence[Case]
) -> Finding:
    evidence = f"No candidate reproduces it within {explanation.tolerance:.0e}."
    name, left = explanation.nearest.get(part, ("", np.inf))
    if name and np.isfinite(left):
        evidence += f" The nearest is {name!r}, with a difference of {left:.2g} left."
    parts = [explanation.nearest.get(one, ("", np.inf)) for one in explanation.unexplained]
    evidence += _loosen(max(each for _, each in parts))
    are, those, them = ("is", "that", "it") if part == "variance" else ("are", "those", "them")
    return Finding(
        cause=f"{part}: unknown cause",
        part=part,
        kind="fault",
        size=_summary(part, [_raw_size(problem, part, case) for case in cases]),
        measure=MEASURES[part],
        statement=f"The {part} {are} not {those} of the exact step, and no known cause explains "
        f"{them}. Compare this part of the program line by line with the formula.",
        evidence=evidence,
    )


def _loosen(left: float) -> str:
    """What to try if little is left over by the explanation that comes nearest."""
    if left >= _SMALL:
        return ""
    return (
        " What the nearest explanation leaves is small: if the trace is rounded, or the program "
        f"computes in single precision, try a tolerance above {left:.2g}."
    )


def _raw_size(problem: TracedProblem, part: Part, case: Case) -> float:
    """Difference of the foreign step itself from the exact one."""
    tau = case.before.expected.occupancy
    if part == "responsibilities":
        return np.nan if case.told is None else float(np.abs(case.told - tau).max())
    if part == "variance":
        ratio = variance_log_ratio(case.after.parameters.covariance, case.before.exact.covariance)
        return float(np.exp(ratio.mean()))
    moved = difference(problem, case.after.stated, case.before.exact, determined(problem, tau))
    return moved.size(part)
