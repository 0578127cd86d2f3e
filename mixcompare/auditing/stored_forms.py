"""Forms in which programs store their iterates, other than one full iterate after the other.

A correct EM whose iterates are stored in another form looks wrong in every step. Each form here
is undone, and if the steps are exact then, it is what the trace holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.trace import Trace
from mixcompare.auditing.trace_format import NEEDED
from mixcompare.auditing.traced_problem import TracedProblem, exact_m_step
from mixcompare.base.arrays import FloatArray, IntArray

# Exact steps that may lie between two stored iterates.
_MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A trace as another form than it seems to have.

    Attributes
    ----------
    cause, statement
        What the form is, and what follows.
    trace
        The iterates in the usual form.
    every
        Exact steps from one iterate to the next.
    refused
        What to give instead, if the form is not one that an audit should guess; else empty.
    shifts
        Whether parts of different iterations are put together.
    """

    cause: str
    statement: str
    trace: Trace
    every: int = 1
    refused: str = ""
    shifts: bool = False


def readings(problem: TracedProblem, trace: Trace) -> Iterator[Reading]:
    """All forms of a trace that has one step to the next, the likeliest first."""
    yield from _covariances(problem, trace)
    yield from _renumbered(problem, trace)
    yield from _late(trace)


def _covariances(problem: TracedProblem, trace: Trace) -> Iterator[Reading]:
    """Roots, precisions, and roots of precisions."""
    several = trace.covariance.shape[-1] > 1
    roots = "standard deviations" if not several else "square roots of the covariances"
    if several and problem.spec.covariance != "full":
        roots = "standard deviations"
    forms: tuple[tuple[str, str, str, Callable[[FloatArray], FloatArray]], ...] = (
        (roots, "squared", "squares", lambda values: values @ values),
        ("precisions", "inverted", "inverses", np.linalg.inv),
        (
            f"inverse {roots}",
            "inverted and squared",
            "squares of the inverses",
            lambda values: np.linalg.inv(values @ values),
        ),
    )
    for name, done, give, change in forms:
        try:
            covariance = change(trace.covariance)
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(covariance).all():
            refused = (
                f"the trace's covariance holds {name}: {done}, its first steps are {{what}}. Give "
                f"the {give}."
            )
            yield Reading(name, "", replace(trace, covariance=covariance), refused=refused)


def _late(trace: Trace) -> Iterator[Reading]:
    """One part of the parameters from the iteration before or after the others'."""
    if len(trace) < 3:
        return
    words = {"weights": "class weights", "coefficients": "coefficients", "covariance": "variances"}
    first, last = slice(None, -1), slice(1, None)
    for name, word in words.items():
        for when, beside, kept, moved in (
            ("late", "after", first, last),
            ("early", "before", last, first),
        ):
            yield Reading(
                f"{word} one iteration {when}",
                f"The trace holds the {word} one iteration {when}: beside those of the iteration "
                f"{beside}, the other parameters make exact steps. The program's steps are EM's; "
                "store all parameters at the same point of the loop.",
                replace(_part(trace, kept), **{name: getattr(trace, name)[moved]}),
                shifts=True,
            )


def _part(trace: Trace, iterates: slice) -> Trace:
    arrays: dict[str, Any] = {field.name: getattr(trace, field.name) for field in fields(Trace)}
    return replace(trace, **{n: a[iterates] for n, a in arrays.items() if a is not None})


def _renumbered(problem: TracedProblem, trace: Trace) -> Iterator[Reading]:
    """Components put in the order in which the exact steps lead from one iterate to the next."""
    orders = [np.arange(problem.spec.n_components)]
    for t in range(len(trace) - 1):
        before = problem.exact.from_raw(trace.parameters(t)).permuted(orders[-1])
        tau = problem.exact.expect(before).occupancy
        exact = exact_m_step(problem, tau, before)
        after = problem.exact.from_raw(trace.parameters(t + 1))
        orders.append(_order(exact, after))
    if any((order != orders[0]).any() for order in orders):
        yield Reading(
            "components renumbered",
            "The program renumbers its components between iterations, as one that sorts them does. "
            "That changes no step; the audit puts them back into one order. Sort once, after the "
            "last iteration.",
            _reordered(trace, orders),
        )


def _order(wanted: Parameters, foreign: Parameters) -> IntArray:
    """Which component of the one stands for which of the other."""
    features = [
        np.column_stack(
            [
                10 * one.weights,
                one.coefficients.reshape(len(one.weights), -1),
                one.covariance.reshape(len(one.weights), -1),
            ]
        )
        for one in (wanted, foreign)
    ]
    distance = np.square(features[0][:, None] - features[1]).sum(axis=-1)
    usable = np.where(np.isfinite(distance), distance, 1e30)
    return np.asarray(linear_sum_assignment(usable)[1])


def _reordered(trace: Trace, orders: list[IntArray]) -> Trace:
    def ordered(values: FloatArray, axis: int = 0) -> FloatArray:
        return np.stack([v.take(o, axis=axis) for v, o in zip(values, orders, strict=True)])

    tau = trace.responsibilities
    arrays: dict[str, Any] = {name: ordered(getattr(trace, name)) for name in NEEDED}
    told = None if tau is None else ordered(tau, axis=1)
    return replace(trace, **arrays, responsibilities=told)


type _Matches = Callable[[Parameters, int], bool]


def thinned(
    problem: TracedProblem, trace: Trace, steps: list[int], matches: _Matches
) -> int | None:
    """Number of exact steps from each iterate to the next, None if there is no such number.

    Parameters
    ----------
    steps
        Positions to try, those whose steps are longest first.
    matches
        Whether parameters are those at a position, up to the tolerance of the step to it.
    """
    every = None
    for t in steps:
        current = problem.exact.from_raw(trace.parameters(t))
        for number in range(1, (every or _MOST_STEPS) + 1):
            tau = problem.exact.expect(current).occupancy
            current = exact_m_step(problem, tau, current)
            if not np.isfinite(current.coefficients).all():
                return None
            if every in (None, number) and matches(current, t + 1):
                break
        else:
            return None
        every = number
    return every


def by_every(trace: Trace, every: int) -> Reading:
    """A trace of which several exact steps lie between the iterates."""
    nth = {2: "second", 3: "third"}.get(every, f"{every}th")
    return Reading(
        f"every {nth} iterate stored",
        f"The trace holds every {nth} iterate: {every} exact steps lead from each to the next. The "
        "steps between could not be seen one by one.",
        trace,
        every,
    )
