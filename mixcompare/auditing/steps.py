"""Which steps of a trace are wrong, as what the trace must be read, and what explains the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from mixcompare.auditing.explain import explain
from mixcompare.auditing.findings import Finding, findings_of
from mixcompare.auditing.iterates import Iterate, prepare_iterate, step_difference
from mixcompare.auditing.matching import Case, Explanation
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import Part
from mixcompare.auditing.rounding import Units, precision, slack, units_of
from mixcompare.auditing.stored_forms import Reading, by_every, readings, thinned
from mixcompare.auditing.trace import Trace
from mixcompare.auditing.trace_format import TraceError
from mixcompare.auditing.traced_problem import (
    Difference,
    TracedProblem,
    determined,
    difference,
    variance_log_ratio,
)
from mixcompare.base.arrays import FloatArray

# Steps that an explanation must reproduce, and that decide how a trace is to be read.
_EXAMINED: Final = 12
_TRIED: Final = 6
# Move of the parameters in a step below which the program is at rest.
_MOVES: Final = 1e-3
# Difference that the digits of double precision cannot bring about.
_GROSS: Final = 1e-3
# Variance, relative to the pooled fit's, that is next to zero.
_COLLAPSED: Final = 1e-5
# Forms that no faulty program is suspected of.
_UNLIKELY: Final = ("early", "coefficients one iteration late", "variances one iteration late")


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is found of the steps.

    Attributes
    ----------
    reading
        As what the trace was read.
    iterates
        Of the trace so read.
    told
        Responsibilities of each step, where the program tells them.
    explanation
        Of the wrong steps, None if there are none.
    """

    reading: Reading
    iterates: list[Iterate]
    told: list[FloatArray | None]
    explanation: Explanation | None
    findings: list[Finding]


class Inquiry:
    """A trace against the exact steps.

    Parameters
    ----------
    tolerance
        Difference up to which two steps are the same; None for what the digits allow.
    runs
        Whether the audit ran the program itself, so that the form of the trace is known.
    """

    def __init__(
        self, problem: TracedProblem, trace: Trace, tolerance: float | None, *, runs: bool
    ) -> None:
        self.problem = problem
        self.trace = trace
        self.by_digits = tolerance is None
        self.tolerance = precision(trace) if tolerance is None else tolerance
        self.runs = runs

    def verdict(self) -> Verdict:
        """The steps as they are if they are exact, else as the reading that explains most."""
        plain = Reading("", "", self.trace, self._gap())
        steps = _Steps(self, plain)
        if self.runs or not steps.wrong:
            return self._plain(steps)
        exact = self._exact_reading(steps)
        if exact is not None:
            return exact
        verdict = self._plain(steps)
        if verdict.explanation is None or not verdict.explanation.unexplained:
            return verdict
        return self._explained_reading() or verdict

    def _gap(self) -> int:
        """Iterations from one iterate to the next, as the program counts them."""
        return int(self.trace.iteration[1] - self.trace.iteration[0])

    def _plain(self, steps: _Steps) -> Verdict:
        every = steps.reading.every
        return steps.verdict() if every == 1 else self._noted(steps, by_every(self.trace, every))

    def _exact_reading(self, steps: _Steps) -> Verdict | None:
        """The first form under which the wrong steps are exact."""
        tried = steps.wrong[:: max(1, len(steps.wrong) // _TRIED)][:_TRIED]
        for reading in readings(self.problem, self.trace):
            other = _Steps(self, reading)
            if other.are_exact(tried) and (not reading.shifts or steps.moving_after() > 1):
                if reading.refused:
                    raise TraceError(reading.refused.format(what="exact"))
                return self._noted(other, reading)
        longest = sorted(steps.wrong, key=lambda t: -steps.difference(t).largest)[:_TRIED]
        if not steps.moving_after():
            return None
        every = thinned(self.problem, self.trace, longest, steps.reaches)
        if every is None or every == steps.reading.every:
            return None
        thinned_out = by_every(self.trace, every)
        return self._noted(_Steps(self, thinned_out), thinned_out)

    def _explained_reading(self) -> Verdict | None:
        """The first form under which known causes explain everything."""
        for reading in readings(self.problem, self.trace):
            if reading.cause.endswith(_UNLIKELY):
                continue
            other = _Steps(self, reading)
            cases = other.examined()
            if not cases:
                continue
            tried = explain(self.problem, cases[:_TRIED], self.tolerance, most=1)
            if tried.unexplained or len(tried.causes) > 1:
                continue
            if reading.refused:
                what = f"explained by {next(iter(tried.causes))!r}"
                raise TraceError(reading.refused.format(what=what))
            verdict = self._noted(other, reading)
            if verdict.explanation is None or not verdict.explanation.unexplained:
                return verdict
        return None

    def _noted(self, steps: _Steps, reading: Reading) -> Verdict:
        """The steps' verdict, with a note on the form that the trace has."""
        verdict = steps.verdict()
        note = Finding(
            cause=reading.cause,
            part="trace",
            kind="note",
            constant=float(reading.every) if reading.every > 1 else np.nan,
            statement=reading.statement,
            evidence="Read as it stands, the steps are not exact; read like this, they are, or "
            "what is left is found beside this.",
        )
        return replace(verdict, findings=[note, *verdict.findings])


class _Steps:
    """The steps of a trace that is read in some form."""

    def __init__(self, inquiry: Inquiry, reading: Reading) -> None:
        self.problem = inquiry.problem
        self.tolerance = inquiry.tolerance
        self.inquiry = inquiry
        self.reading = reading
        self.trace = reading.trace
        self._slack: dict[int, dict[Part, float]] = {}
        self._iterate: dict[int, Iterate] = {}

    def iterate(self, t: int) -> Iterate:
        """What is at position t, with the exact step from it."""
        if t not in self._iterate:
            self._iterate[t] = prepare_iterate(self.problem, self.trace, t, self.reading.every)
        return self._iterate[t]

    @property
    def iterates(self) -> list[Iterate]:
        """All of them."""
        return [self.iterate(t) for t in range(len(self.trace))]

    @cached_property
    def units(self) -> Units:
        """The last digits of the trace."""
        return units_of(self.trace)

    def difference(self, t: int) -> Difference:
        """The step from position t against the exact one."""
        return step_difference(self.problem, self.iterate(t), self.iterate(t + 1))

    def slack(self, t: int) -> dict[Part, float]:
        """What the digits allow in the step from position t, nothing more if the user says it."""
        if not self.inquiry.by_digits:
            return {}
        if t not in self._slack:
            self._slack[t] = slack(self.problem, self.trace, self.units, t, self.tolerance)
        return self._slack[t]

    def _exceeds(self, t: int, step: Difference) -> bool:
        if step.largest <= self.tolerance:
            return False
        if step.largest > _GROSS and not self.units.are_rounded:
            return True
        return not step.within(self.tolerance, self.slack(t))

    def is_wrong(self, t: int) -> bool:
        """Whether the step from position t is not the exact one."""
        return self._exceeds(t, self.difference(t))

    @cached_property
    def wrong(self) -> list[int]:
        """Positions whose steps are not exact."""
        return [t for t in range(len(self.trace) - 1) if self.is_wrong(t)]

    def moving_after(self) -> int:
        """Number of wrong steps to iterates from which the exact step moves on.

        Where a program comes to rest at once, its iterates are exact steps in many forms.
        """
        return sum(
            step_difference(self.problem, self.iterate(t + 1), self.iterate(t + 1)).largest > _MOVES
            for t in self.wrong
        )

    def are_exact(self, tried: Sequence[int]) -> bool:
        """Whether all steps are exact, those that were wrong in another form first."""
        return not any(self.is_wrong(t) for t in tried if t < len(self.trace) - 1) and (
            not self.wrong
        )

    def reaches(self, parameters: Parameters, t: int) -> bool:
        """Whether these parameters are those at position t."""
        before, after = self.iterate(t - 1), self.iterate(t)
        kept = determined(self.problem, before.expected.occupancy)
        return not self._exceeds(t - 1, difference(self.problem, after.stated, parameters, kept))

    def examined(self, told: Sequence[FloatArray | None] | None = None) -> list[Case]:
        """Wrong steps that an explanation must reproduce."""
        return _spread([case for case in self._cases(told) if self._differs(case)])

    def _cases(self, told: Sequence[FloatArray | None] | None) -> list[Case]:
        told = [None] * (len(self.trace) - 1) if told is None else told
        stated = tuple(one.stated for one in self.iterates)
        cases = [
            Case(
                before,
                after,
                self.problem.past(stated[: t + 1]),
                told[t],
                told[t - 1] if t else None,
                t,
                self.slack(t) if self._is_open(t, told[t]) else {},
            )
            for t, (before, after) in enumerate(pairwise(self.iterates))
        ]
        if any(tau is not None for tau in told):
            cases = [case for case in cases if case.told is not None]
        return cases

    def _is_open(self, t: int, told: FloatArray | None) -> bool:
        """Whether what the digits allow in a step matters."""
        if told is not None or self.units.are_rounded:
            return True
        return self.tolerance < self.difference(t).largest <= _GROSS

    def _differs(self, case: Case) -> bool:
        if self.is_wrong(case.position):
            return True
        if case.told is None:
            return False
        error = np.abs(case.told - case.before.expected.occupancy).max()
        return bool(error > self.tolerance * case.allowed("responsibilities"))

    def verdict(self) -> Verdict:
        """Explanation and findings.

        A program may store responsibilities beside the parameters that they were computed
        from or beside those that were computed from them; the reading that explains more is taken.
        """
        best: Verdict | None = None
        for told in self._told():
            current = self._explained(told)
            if best is None or _rank(current.explanation) < _rank(best.explanation):
                best = current
            if current.explanation is None:
                break
        assert best is not None
        unjudged = sum(np.isinf(max(s.values(), default=0.0)) for s in self._slack.values())
        if not unjudged:
            return best
        return replace(best, findings=[*best.findings, _too_few_digits(unjudged, len(self.trace))])

    def _told(self) -> Iterator[list[FloatArray | None]]:
        tau = self.trace.responsibilities
        if tau is None or self.reading.every > 1:
            yield [None] * (len(self.trace) - 1)
            return
        known = [one if np.isfinite(one).all() else None for one in tau]
        if not self.inquiry.runs:
            yield known[:-1]
        yield known[1:]

    def _explained(self, told: list[FloatArray | None]) -> Verdict:
        cases = self._cases(told)
        wrong = [case for case in cases if self._differs(case)]
        if not wrong:
            return Verdict(self.reading, self.iterates, told, None, [])
        examined = _spread(wrong)
        explanation = explain(self.problem, examined, self.tolerance)
        findings = findings_of(self.problem, explanation, examined, len(wrong), len(cases))
        return Verdict(self.reading, self.iterates, told, explanation, findings)


def _spread(wrong: Sequence[Case]) -> list[Case]:
    """Some of the wrong steps, from the first to the last.

    Left out where others remain that move: the very first, before which there is no iterate that
    a program could wrongly use, and those whose variances have nearly collapsed, so that rounding
    decides. Steps of a program that has come to rest tell little: many causes leave it there.
    """
    for kept in (_has_past, lambda case: not _collapsed(case)):
        fewer = [case for case in wrong if kept(case)]
        moving = sum(_length(case) > _MOVES for case in fewer)
        wrong = fewer if moving > 1 or (len(fewer) > 1 and moving == len(fewer)) else wrong
    wrong = [case for case in wrong if _length(case) > _MOVES] or wrong
    places = np.unique(np.linspace(0, len(wrong) - 1, _EXAMINED).round().astype(int))
    return [wrong[i] for i in places] if wrong else []


def _length(case: Case) -> float:
    """How far the program itself moves in a step."""
    after, before = case.after.stated, case.before.stated
    moves = [
        after.weights - before.weights,
        after.coefficients - before.coefficients,
        variance_log_ratio(after.covariance, before.covariance),
    ]
    return max(float(np.abs(move).max()) for move in moves)


def _has_past(case: Case) -> bool:
    return case.past.earlier is not None


def _collapsed(case: Case) -> bool:
    """Whether variances next to zero multiply rounding until no step can be reproduced."""
    smallest = np.linalg.eigvalsh(case.before.parameters.covariance)[:, 0].min()
    return bool(smallest < _COLLAPSED)


def _rank(explanation: Explanation | None) -> tuple[float, float, float]:
    return (-1, 0, 0) if explanation is None else explanation.rank


def _too_few_digits(unjudged: int, length: int) -> Finding:
    return Finding(
        cause="too few digits to judge",
        part="trace",
        kind="note",
        statement="The trace's digits are too few to judge all of its steps: rounding alone may "
        "move the next iterate by as much as the data vary. Store the parameters in full.",
        evidence=f"In {unjudged} of {length - 1} steps.",
    )
