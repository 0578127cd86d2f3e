"""The audit from end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mixcompare.auditing.explain import Case, Explanation, explain
from mixcompare.auditing.findings import (
    Finding,
    as_table,
    findings_of,
    own_likelihood_finding,
)
from mixcompare.auditing.problem import CountsWhat, Problem, build_problem
from mixcompare.auditing.recording import State, own_start, record
from mixcompare.auditing.result import Audit, paragraph
from mixcompare.auditing.scoring import (
    Iterate,
    prepare_iterates,
    rounding,
    score,
    step_difference,
)
from mixcompare.auditing.trace import Trace, TraceError, precision, read_trace
from mixcompare.backends.em.expectation import e_step
from mixcompare.errors import OptionError
from mixcompare.panel import FloatArray, Missing, Panel, build_panel
from mixcompare.spec import MixtureSpec

# Steps that an explanation must reproduce.
_EXAMINED = 12
# Variance, relative to the pooled fit's, that is next to zero.
_COLLAPSED = 1e-5


def audit(
    spec: MixtureSpec,
    data: Any,
    trace: Any,
    *,
    counts: CountsWhat = "contrasts",
    start: State | Mapping[str, Any] | None = None,
    iterations: int = 40,
    seed: int = 0,
    tolerance: float | None = None,
    missing: Missing = "error",
) -> Audit:
    """Audit a maximum-likelihood EM that somebody else has written.

    Parameters
    ----------
    spec
        The model that the foreign program means to fit.
    data
        Its data: any table that `mixcompare.build_panel` takes, rows in the program's order, or
        a panel.
    trace
        Either its parameters by iteration, the start included: a mapping of arrays or an xarray
        Dataset with weights, coefficients, covariance and optionally responsibilities and
        log_likelihood (`mixcompare.auditing.trace.check_trace` has the shapes), or a long table or
        its CSV or Parquet file (`mixcompare.auditing.long` has the columns). Or a function
        that does one iteration, from a `State` to a `State` or such a mapping.
    counts
        The likelihood that it means to maximise beside absorbed effects: ``"contrasts"``, a
        cell's rows less one, or ``"rows"``, all rows of the within-transformed data.
    start, iterations, seed
        For a function: where to start (our own random start, drawn with the seed, if None) and
        how many iterations to run.
    tolerance
        Difference up to which two steps are the same, in the units of
        `mixcompare.auditing.problem.Difference`. None for 1e-6, or what the digits of a rounded
        trace allow.
    missing
        As in `mixcompare.build_panel`.

    Raises
    ------
    TraceError
        If the iterates cannot be used; it names the culprit and the remedy.
    DataError, OptionError
        If data or options cannot be used.

    Examples
    --------
    >>> import numpy as np, mixcompare as mc
    >>> rng = np.random.default_rng(0)
    >>> table = {"y": rng.normal(size=60) + 5 * (np.arange(60) < 20)}
    >>> spec = mc.MixtureSpec("y ~ 1", n_components=1)
    >>> def halved(state):  # a program that divides by twice the rows
    ...     y = table["y"]
    ...     return {"weights": [1.0], "coefficients": [[y.mean()]], "covariance": [y.var() / 2]}
    >>> audit(spec, table, halved, iterations=2).causes
    ('variance: unknown cause',)
    """
    if counts not in get_args(CountsWhat):
        raise OptionError(f"counts must be one of 'contrasts', 'rows', not {counts!r}.")
    if tolerance is not None and not tolerance > 0:
        raise OptionError(f"tolerance must be a positive number, not {tolerance!r}.")
    panel = data if isinstance(data, Panel) else build_panel(spec, data, missing=missing)
    with threadpool_limits(1, user_api="blas"):
        problem = build_problem(spec, panel, counts)
        stopped = None
        if callable(trace):
            begin = own_start(spec, problem.data, seed) if start is None else start
            taken, stopped = record(spec, panel, trace, begin, iterations)
        else:
            taken = read_trace(spec, panel, trace)
        allowed = precision(taken) if tolerance is None else tolerance
        return _judge(problem, taken, counts, allowed, stopped, runs=callable(trace))


def _judge(
    problem: Problem,
    trace: Trace,
    counts: CountsWhat,
    tolerance: float,
    stopped: str | None,
    *,
    runs: bool,
) -> Audit:
    iterates = prepare_iterates(problem, trace)
    faulty = _faulty(problem, iterates, tolerance)
    if faulty.any():
        _refuse_deviations(problem, trace, tolerance)
    told, found = _explained(problem, trace, iterates, tolerance, runs=runs)
    table = score(problem, trace, iterates, told)
    own = own_likelihood_finding(trace.log_likelihood, table["log_likelihood"].to_numpy())
    if own is not None:
        found.append(own)
    if stopped is not None:
        found.append(_stop_finding(stopped))
    findings = as_table(found)
    text = paragraph(
        table, findings, _checked(table, tolerance), _other_ascent(problem, iterates, findings)
    )
    return Audit(table, findings, text, trace, counts)


def _faulty(problem: Problem, iterates: list[Iterate], tolerance: float) -> NDArray[np.bool_]:
    """(T - 1,) whether the step is not the exact one."""
    return np.array(
        [step_difference(problem, a, b).largest > tolerance for a, b in pairwise(iterates)]
    )


def _explained(
    problem: Problem, trace: Trace, iterates: list[Iterate], tolerance: float, *, runs: bool
) -> tuple[list[FloatArray | None], list[Finding]]:
    """Responsibilities of each step as told, and the findings about the steps.

    A program may store responsibilities beside the parameters that they were computed from
    or beside those that were computed from them; the reading that explains more is taken.
    """
    readings: list[list[FloatArray | None]] = [[None] * (len(trace) - 1)]
    if trace.responsibilities is not None:
        known = [tau if np.isfinite(tau).all() else None for tau in trace.responsibilities]
        readings = [known[1:]] if runs else [known[:-1], known[1:]]
    best: tuple[Explanation | None, list[FloatArray | None], list[Finding]] | None = None
    for told in readings:
        current = _explain_reading(problem, iterates, told, tolerance)
        if best is None or _rank(current[0]) < _rank(best[0]):
            best = current
    assert best is not None
    return best[1], best[2]


def _rank(explanation: Explanation | None) -> tuple[float, float, float]:
    return (-1, 0, 0) if explanation is None else explanation.rank


def _explain_reading(
    problem: Problem, iterates: list[Iterate], told: list[FloatArray | None], tolerance: float
) -> tuple[Explanation | None, list[FloatArray | None], list[Finding]]:
    cases = [Case(a, b, t) for a, b, t in zip(iterates[:-1], iterates[1:], told, strict=True)]
    if any(t is not None for t in told):
        cases = [case for case in cases if case.told is not None]
    wrong = [case for case in cases if _differs(problem, case, tolerance)]
    if not wrong:
        return None, told, []
    sound = [case for case in wrong if not _collapsed(case)] or wrong
    places = np.unique(np.linspace(0, len(sound) - 1, _EXAMINED).round().astype(int))
    examined = [sound[i] for i in places]
    explanation = explain(problem, examined, tolerance)
    found = findings_of(problem, explanation, examined, len(wrong), len(cases))
    return explanation, told, found


def _collapsed(case: Case) -> bool:
    """Whether variances next to zero multiply rounding until no step can be reproduced."""
    smallest = np.linalg.eigvalsh(case.before.parameters.covariance)[:, 0].min()
    return bool(smallest < _COLLAPSED)


def _differs(problem: Problem, case: Case, tolerance: float) -> bool:
    if step_difference(problem, case.before, case.after).largest > tolerance:
        return True
    if case.told is None:
        return False
    return bool(np.abs(case.told - case.before.expected.responsibilities).max() > tolerance)


def _refuse_deviations(problem: Problem, trace: Trace, tolerance: float) -> None:
    """A trace of standard deviations explains everything at once: ask for variances."""
    if problem.data.shape[-1] != 1:
        return
    short = replace(
        trace,
        weights=trace.weights[:4],
        coefficients=trace.coefficients[:4],
        covariance=trace.covariance[:4] ** 2,
        iteration=trace.iteration[:4],
    )
    if not _faulty(problem, prepare_iterates(problem, short), tolerance).any():
        raise TraceError(
            "the trace's covariance holds standard deviations: squared, its first steps are exact. "
            "Give the squares."
        )


def _stop_finding(stopped: str) -> Finding:
    return Finding(
        "the program stops",
        "program",
        "fault",
        np.nan,
        "",
        np.nan,
        "The program fails before the iterations that were asked for; the iterates up to there are "
        "audited.",
        stopped,
    )


def _checked(table: pd.DataFrame, tolerance: float) -> str:
    parts = ["weights", "coefficients", "variance"]
    if "responsibilities_error" in table:
        parts.insert(0, "responsibilities")
    largest = max(float(table[f"{part}_error"].max()) for part in parts)
    parts[0] = parts[0].capitalize()
    return (
        f"{', '.join(parts[:-1])} and {parts[-1]} of all {len(table) - 1} steps are those of the "
        f"exact E- and M-step from the same parameters within {largest:.1e} "
        f"(tolerance {tolerance:.0e}), and the log-likelihood was checked at every iterate."
    )


def _other_ascent(problem: Problem, iterates: Sequence[Iterate], findings: pd.DataFrame) -> str:
    """Whether a program that counts all rows climbs its own objective."""
    if set(findings["cause"]) != {"counts rows that absorption has used"}:
        return ""
    data = replace(problem.data, degrees_of_freedom=problem.rows.n_rows)
    values = np.array([e_step(data, one.parameters).log_likelihood for one in iterates])
    falls = int((np.diff(values) < -rounding(problem, values[1:])).sum())
    return (
        f"Its own objective, which counts all rows, falls in {falls} of {len(values) - 1} steps "
        "(counts='rows' audits it against that one)."
    )
