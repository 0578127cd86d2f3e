"""Tables of EM's starts and optima."""

from __future__ import annotations

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.comparison.runs import NEAR
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Table,
    clipped,
    count,
    duration,
    fixed,
    frame_table,
    numbers,
    percent,
    significant,
    words,
)


def optima(comparison: Comparison) -> Table:
    """EM's distinct optima."""
    frame = comparison.optima
    return frame_table(
        "optima",
        "Distinct optima that EM's starts reached, best first",
        frame.assign(optimum=range(1, len(frame) + 1), spurious=_spurious(frame)).reset_index(
            drop=True
        ),
        words("optimum"),
        numbers(
            fixed(4),
            log_likelihood="log-likelihood",
            gap="gap to the best: below it; negative: above",
        ),
        numbers(count, "starts"),
        numbers(percent, "share"),
        numbers(significant, smallest_class="smallest class: in units"),
        words("spurious", "status"),
    )


def searches(comparison: Comparison) -> Table | None:
    """EM's starts beside the climbs of the sampler's own search, if there was one."""
    frame = comparison.searches.iloc[:MOST_PARAMETERS]
    if frame.empty:
        return None
    return frame_table(
        "searches",
        "Where two independent searches ended, the highest first: EM's starts, and the climbs of "
        "the sampler's own, led on by EM from where each ended"
        + clipped(len(comparison.searches), MOST_PARAMETERS),
        frame.rename_axis("place"),
        words("place"),
        numbers(fixed(4), log_likelihood="log-likelihood"),
        numbers(fixed(4), gap="gap: below EM's maximum; negative: above"),
        numbers(count, optimum="EM's optimum: number in the table of optima", starts="EM's starts"),
        numbers(percent, start_share="share of starts"),
        numbers(count, climbs="sampler's climbs"),
        numbers(percent, climb_share="share of climbs"),
        numbers(fixed(2), log_posterior="log posterior: density in the sampler's coordinates"),
        numbers(fixed(2), log_evidence="log evidence: by Laplace"),
    )


def _spurious(frame: pd.DataFrame) -> list[str]:
    """What makes an optimum spurious, where something does."""
    pairs = zip(frame["spurious"], frame["spurious_rows"], strict=True)
    return [f"a class of {rows:.3g} rows" if spurious else "no" for spurious, rows in pairs]


def statuses(comparison: Comparison) -> Table:
    """Starts by kind and status."""
    grouped = starts_frame(comparison).groupby(["kind", "status"], sort=True)
    return frame_table(
        "statuses",
        "EM's starts by kind and how they ended",
        grouped.agg(
            starts=("status", "size"), best=("log_likelihood", "max"), it=("iterations", "median")
        ).reset_index(),
        words("kind", "status"),
        numbers(count, "starts"),
        numbers(fixed(4), best="highest log-likelihood"),
        numbers(count, it="median iterations"),
    )


def starts_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per EM start."""
    starts = comparison.em.search.ends
    columns = ["kind", "status", "message", "log_likelihood", "iterations", "optimum", "spurious"]
    frame = pd.DataFrame({c: starts[c] for c in columns if c in starts})
    return frame.rename_axis("start")


def runs(comparison: Comparison) -> Table | None:
    """EM's fits by starts and stopping rule, if there are several."""
    frame = comparison.runs
    if len(frame) < 2:
        return None
    return frame_table(
        "runs",
        "EM's fits by kinds of start and stopping rule",
        frame,
        words("fit", kinds="kinds of start", criterion="stops by"),
        numbers(significant, "tolerance"),
        numbers(count, "starts"),
        numbers(
            percent, near=f"at the maximum: share of starts within {NEAR:g} of the highest of all"
        ),
        numbers(fixed(4), lowest="worst start: below the highest of all"),
        numbers(count, iterations="iterations: median"),
        numbers(fixed(6), log_likelihood="log-likelihood"),
        numbers(significant, shortfall="shortfall: below the highest of all"),
        numbers(significant, score_distance="distance from a zero score: in standard errors"),
        numbers(duration, seconds="time"),
    )
