"""Tables of the model's checks."""

from __future__ import annotations

import numpy as np

from mixcompare.checking.discrepancies import STATISTICS
from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    MOST_UNITS,
    Table,
    fixed,
    frame_table,
    interval,
    numbers,
    significant,
    words,
)


def sensitivity(comparison: Comparison) -> Table | None:
    """What of every parameter is the prior's doing, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.sensitivity.iloc[:MOST_PARAMETERS]
    parts = [name for name in frame.columns if name.startswith("prior of ")]
    return frame_table(
        "sensitivity",
        "Power-scaling sensitivity: how fast a parameter's posterior moves when the prior, or the "
        f"likelihood, is raised to a power; {comparison.thresholds.sensitivity:g} is noteworthy",
        frame,
        words("parameter"),
        numbers(fixed(3), "prior", "likelihood", *parts),
        words("diagnosis"),
    )


def prior_check(comparison: Comparison) -> Table:
    """Statistics of the data within the prior predictive distribution."""
    frame = comparison.prior_check.table
    return frame_table(
        "prior-check",
        "The data within the prior's: p is the share of prior draws above the observed",
        frame,
        words("outcome", "statistic"),
        numbers(significant, "observed", median="prior median"),
        numbers(interval(frame), lower="prior 95 %"),
        numbers(fixed(3), "p"),
    )


def predictive_check(comparison: Comparison) -> Table | None:
    """Statistics by class, observed against replicated, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.predictive_check.table.iloc[:MOST_PARAMETERS]
    return frame_table(
        "predictive-check",
        "Observed against replicated statistics: p is the share of draws whose replicated "
        "statistic is the larger; near 0 or 1 the model does not produce such data",
        frame.assign(
            meaning=frame["statistic"].map(STATISTICS),
            finding=np.where(frame["misfit"], "misfit", ""),
        ),
        words("class", "outcome", "statistic", meaning="what it is"),
        numbers(significant, "observed", "replicated"),
        numbers(interval(frame), lower="replicated 95 %"),
        numbers(fixed(3), "p"),
        words("finding"),
    )


def left_out(comparison: Comparison) -> Table | None:
    """The units that are hardest to leave out, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.loo.units.head(MOST_UNITS)
    return frame_table(
        "left-out",
        f"The {len(frame)} units with the largest Pareto k, of {len(comparison.loo.units):,}: "
        "above 0.7 importance weights fail and the remedy, if any ran, is named",
        frame,
        words("unit"),
        numbers(
            fixed(2),
            "elpd",
            p="p: share of the effective number of parameters",
            pareto_k="Pareto k",
        ),
        words("remedy"),
    )
