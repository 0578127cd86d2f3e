"""What an audit finds."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

from mixcompare.auditing.trace import Trace
from mixcompare.auditing.traced_problem import CountsWhat


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audit:
    """Somebody else's EM, judged step by step.

    Attributes
    ----------
    iterations
        One row per iterate; columns as `mixcompare.auditing.iterates.score` documents.
    findings
        One row per finding, no row if nothing is wrong. ``cause``; ``part`` of the step;
        ``kind``: ``"fault"``, or ``"note"`` for a consistent choice that is not this model's
        maximum likelihood; ``size`` in terms of ``measure``; ``cost``, the most
        log-likelihood that this cause alone takes from a step; ``constant``, the estimated one
        if the cause has one; ``statement`` with the remedy; ``evidence``.
    finding
        All of it in one paragraph.
    trace
        The iterates.
    counts
        Which likelihood they were held against.
    tolerance
        Difference up to which two steps are the same, but for what rounding allows beyond.
    """

    iterations: pd.DataFrame
    findings: pd.DataFrame
    finding: str
    trace: Trace
    counts: CountsWhat
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether there is no fault; notes do not count."""
        return not (self.findings["kind"] == "fault").any()

    @property
    def causes(self) -> tuple[str, ...]:
        """Causes of all findings."""
        return tuple(self.findings["cause"])

    def __repr__(self) -> str:
        falls = int(self.iterations["falls"].sum())
        causes = "; ".join(self.causes) or "no fault found"
        return f"<mixcompare.Audit of {len(self.trace) - 1} steps, {falls} falls: {causes}>"

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self.finding)}</p>"]
        if len(self.findings):
            parts.append(self.findings.to_html(index=False, float_format="{:.4g}".format))
        falls = self.iterations[self.iterations["falls"]]
        if len(falls):
            table = falls.head(10).to_html(index=False, float_format="{:.6g}".format)
            parts.append(f"<p>Steps that lower the log-likelihood:</p>{table}")
        return "".join(parts)


def paragraph(iterations: pd.DataFrame, findings: pd.DataFrame, checked: str, extra: str) -> str:
    """The finding in plain language.

    Parameters
    ----------
    checked
        What was compared, for the case that nothing is wrong.
    extra
        Sentences to add at the end.
    """
    steps = len(iterations) - 1
    falls = iterations[iterations["falls"]]
    if len(falls):
        worst = falls.iloc[int(falls["change"].to_numpy().argmin())]
        ascent = (
            f"The log-likelihood falls in {len(falls)} of {steps} steps, most at iteration "
            f"{int(worst['iteration'])}, by {-worst['change']:.4g} (the exact step would have "
            f"gained {worst['exact_change']:.4g})."
        )
    else:
        ascent = f"The log-likelihood never falls in {steps} steps."
    kinds = findings["kind"]
    if not len(findings):
        verdict = f"No fault found. {checked}"
    else:
        names = [_named(row) for row in findings.itertuples(index=False)]
        head = "No fault, but to be noted" if (kinds == "note").all() else "Found"
        verdict = f"{head}: {'; '.join(names)}. " + " ".join(findings["statement"])
    return " ".join(part for part in (ascent, verdict, extra) if part)


def _named(row: object) -> str:
    cost = getattr(row, "cost", float("nan"))
    price = f", up to {cost:.3g} of log-likelihood a step" if cost > 0 else ""
    return f"{row.cause} ({row.measure}: {row.size:.3g}{price})"  # type: ignore[attr-defined]
