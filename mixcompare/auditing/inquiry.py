"""The audit from end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mixcompare.auditing.audit_result import Audit, paragraph
from mixcompare.auditing.findings import Finding, as_table
from mixcompare.auditing.iterates import Iterate, rounding, score
from mixcompare.auditing.own_likelihood import own_likelihood_finding
from mixcompare.auditing.recording import State, random_start, record
from mixcompare.auditing.rounding import last_digit, likelihood_spread, units_of
from mixcompare.auditing.steps import Inquiry
from mixcompare.auditing.trace import Trace
from mixcompare.auditing.trace_reading import read_trace
from mixcompare.auditing.traced_problem import CountsWhat, TracedProblem, build_problem
from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_choice, check_positive
from mixcompare.data.panel import Missing, Panel, build_panel
from mixcompare.model.spec import MixtureSpec


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
        its CSV or Parquet file (`mixcompare.auditing.trace_table` has the columns). Or a function
        that does one iteration, from a `State` to a `State` or such a mapping.
    counts
        The likelihood that it means to maximise beside absorbed effects: ``"contrasts"``, a
        cell's rows less one, or ``"rows"``, all rows of the within-transformed data.
    start, iterations, seed
        For a function: where to start (our own random start, drawn with the seed, if None) and
        how many iterations to run.
    tolerance
        Difference up to which two steps are the same, in the units of
        `mixcompare.auditing.traced_problem.Difference`. None for 1e-6, or what the digits of a
        rounded trace allow.
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
    check_choice("counts", counts, get_args(CountsWhat))
    if tolerance is not None:
        check_positive("tolerance", tolerance)
    panel = data if isinstance(data, Panel) else build_panel(spec, data, missing=missing)
    with threadpool_limits(1, user_api="blas"):
        problem = build_problem(spec, panel, counts)
        stopped = None
        if callable(trace):
            begin = random_start(problem.exact, seed) if start is None else start
            taken, stopped = record(spec, panel, trace, begin, iterations)
        else:
            taken = read_trace(spec, panel, trace)
        inquiry = Inquiry(problem, taken, tolerance, runs=callable(trace))
        return _judge(inquiry, counts, stopped)


def _judge(inquiry: Inquiry, counts: CountsWhat, stopped: str | None) -> Audit:
    problem, trace = inquiry.problem, inquiry.trace
    verdict = inquiry.verdict()
    reading = verdict.reading
    table = score(problem, reading.trace, verdict.iterates, verdict.told)
    own_likelihood = own_likelihood_finding(
        reading.trace.log_likelihood,
        table["log_likelihood"].to_numpy(),
        *_likelihood_digits(problem, reading.trace),
        problem.rows,
    )
    stop = None if stopped is None else _stop_finding(stopped)
    others = (finding for finding in (own_likelihood, stop) if finding is not None)
    findings = as_table([*verdict.findings, *others])
    text = paragraph(
        table,
        findings,
        _checked(table, inquiry.tolerance, reading.every),
        _other_ascent(problem, verdict.iterates, findings),
    )
    return Audit(table, findings, text, trace, counts, inquiry.tolerance)


def _likelihood_digits(problem: TracedProblem, trace: Trace) -> tuple[FloatArray, FloatArray]:
    if trace.log_likelihood is None:
        return np.zeros(len(trace)), np.zeros(len(trace))
    spread = likelihood_spread(problem, trace, units_of(trace))
    return spread, np.nan_to_num(last_digit(trace.log_likelihood, fewest=1))


def _stop_finding(stopped: str) -> Finding:
    return Finding(
        cause="the program stops",
        part="program",
        kind="fault",
        statement="The program fails before the iterations that were asked for; the iterates up to "
        "there are audited.",
        evidence=stopped,
    )


def _checked(table: pd.DataFrame, tolerance: float, every: int) -> str:
    parts = ["weights", "coefficients", "variance"]
    if "responsibilities_error" in table:
        parts.insert(0, "responsibilities")
    largest = max(float(table[f"{part}_error"].max()) for part in parts)
    parts[0] = parts[0].capitalize()
    return (
        f"{', '.join(parts[:-1])} and {parts[-1]} of all {len(table) - 1} steps are those of "
        f"{'the exact E- and M-step' if every == 1 else f'{every} exact E- and M-steps'} from the "
        f"same parameters within {largest:.1e} "
        f"(tolerance {tolerance:.0e}), and the log-likelihood was checked at every iterate."
    )


def _other_ascent(
    problem: TracedProblem, iterates: Sequence[Iterate], findings: pd.DataFrame
) -> str:
    """Whether a program that counts all rows climbs its own objective."""
    if set(findings["cause"]) != {"counts rows that absorption has used"}:
        return ""
    exact = problem.exact.counting(problem.rows.n_rows)
    values = np.array([exact.expect(one.parameters).log_likelihood for one in iterates])
    falls = int((np.diff(values) < -rounding(problem, values[1:])).sum())
    return (
        f"Its own objective, which counts all rows, falls in {falls} of {len(values) - 1} steps "
        "(counts='rows' audits it against that one)."
    )
