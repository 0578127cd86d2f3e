"""Tables of EM's starts and optima."""

from __future__ import annotations

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.comparison.runs import NEAR
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Column,
    Table,
    clipped,
    count,
    duration,
    fixed,
    percent,
    significant,
    table,
)


def optima(comparison: Comparison) -> Table:
    """EM's distinct optima."""
    frame = comparison.optima
    return table(
        "optima",
        "Distinct optima that EM's starts reached, best first",
        [
            (Column("optimum", numeric=False), range(1, len(frame) + 1), str),
            (Column("log-likelihood"), frame["log_likelihood"], fixed(4)),
            (Column("gap to the best", "below it; negative: above"), frame["gap"], fixed(4)),
            (Column("starts"), frame["starts"], count),
            (Column("share"), frame["share"], percent),
            (Column("smallest class", "in units"), frame["smallest_class"], significant),
            (Column("spurious", numeric=False), _spurious(frame), str),
            (Column("status", numeric=False), frame["status"], str),
        ],
    )


def searches(comparison: Comparison) -> Table | None:
    """EM's starts beside the climbs of the sampler's own search, if there was one."""
    frame = comparison.searches.iloc[:MOST_PARAMETERS]
    if frame.empty:
        return None
    return table(
        "searches",
        "Where two independent searches ended, the highest first: EM's starts, and the climbs of "
        "the sampler's own, led on by EM from where each ended"
        + clipped(len(comparison.searches), MOST_PARAMETERS),
        [
            (Column("place", numeric=False), frame.index, str),
            (Column("log-likelihood"), frame["log_likelihood"], fixed(4)),
            (Column("gap", "below EM's maximum; negative: above"), frame["gap"], fixed(4)),
            (Column("EM's optimum", "number in the table of optima"), frame["optimum"], count),
            (Column("EM's starts"), frame["starts"], count),
            (Column("share of starts"), frame["start_share"], percent),
            (Column("sampler's climbs"), frame["climbs"], count),
            (Column("share of climbs"), frame["climb_share"], percent),
            (
                Column("log posterior", "density in the sampler's coordinates"),
                frame["log_posterior"],
                fixed(2),
            ),
            (Column("log evidence", "by Laplace"), frame["log_evidence"], fixed(2)),
        ],
    )


def _spurious(frame: pd.DataFrame) -> list[str]:
    """What makes an optimum spurious, where something does."""
    pairs = zip(frame["spurious"], frame["spurious_rows"], strict=True)
    return [f"a class of {rows:.3g} rows" if spurious else "no" for spurious, rows in pairs]


def statuses(comparison: Comparison) -> Table:
    """Starts by kind and status."""
    frame = starts_frame(comparison)
    grouped = (
        frame.groupby(["kind", "status"], sort=True)
        .agg(starts=("status", "size"), best=("log_likelihood", "max"), it=("iterations", "median"))
        .reset_index()
    )
    return table(
        "statuses",
        "EM's starts by kind and how they ended",
        [
            (Column("kind", numeric=False), grouped["kind"], str),
            (Column("status", numeric=False), grouped["status"], str),
            (Column("starts"), grouped["starts"], count),
            (Column("highest log-likelihood"), grouped["best"], fixed(4)),
            (Column("median iterations"), grouped["it"], count),
        ],
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
    return table(
        "runs",
        "EM's fits by kinds of start and stopping rule",
        [
            (Column("fit", numeric=False), frame.index, str),
            (Column("kinds of start", numeric=False), frame["kinds"], str),
            (Column("stops by", numeric=False), frame["criterion"], str),
            (Column("tolerance"), frame["tolerance"], significant),
            (Column("starts"), frame["starts"], count),
            (
                Column("at the maximum", f"share of starts within {NEAR:g} of the highest of all"),
                frame["near"],
                percent,
            ),
            (Column("worst start", "below the highest of all"), frame["lowest"], fixed(4)),
            (Column("iterations", "median"), frame["iterations"], count),
            (Column("log-likelihood"), frame["log_likelihood"], fixed(6)),
            (Column("shortfall", "below the highest of all"), frame["shortfall"], significant),
            (
                Column("distance from a zero score", "in standard errors"),
                frame["score_distance"],
                significant,
            ),
            (Column("time"), frame["seconds"], duration),
        ],
    )
