"""Tables of the model's checks."""

from __future__ import annotations

import numpy as np

from mixcompare.checking.discrepancies import STATISTICS
from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    MOST_UNITS,
    Column,
    Table,
    fixed,
    interval,
    significant,
    table,
)


def sensitivity(comparison: Comparison) -> Table | None:
    """What of every parameter is the prior's doing, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.sensitivity.iloc[:MOST_PARAMETERS]
    parts = [name for name in frame.columns if name.startswith("prior of ")]
    return table(
        "sensitivity",
        "Power-scaling sensitivity: how fast a parameter's posterior moves when the prior, or the "
        f"likelihood, is raised to a power; {comparison.thresholds.sensitivity:g} is noteworthy",
        [
            (Column("parameter", numeric=False), frame.index, str),
            (Column("prior"), frame["prior"], fixed(3)),
            (Column("likelihood"), frame["likelihood"], fixed(3)),
            *((Column(name), frame[name], fixed(3)) for name in parts),
            (Column("diagnosis", numeric=False), frame["diagnosis"], str),
        ],
    )


def prior_check(comparison: Comparison) -> Table:
    """Statistics of the data within the prior predictive distribution."""
    frame = comparison.prior_check.table
    return table(
        "prior-check",
        "The data within the prior's: p is the share of prior draws above the observed",
        [
            (Column("outcome", numeric=False), frame["outcome"], str),
            (Column("statistic", numeric=False), frame["statistic"], str),
            (Column("observed"), frame["observed"], significant),
            (Column("prior median"), frame["median"], significant),
            (Column("prior 95 %"), frame["lower"], interval(frame)),
            (Column("p"), frame["p"], fixed(3)),
        ],
    )


def predictive_check(comparison: Comparison) -> Table | None:
    """Statistics by class, observed against replicated, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.predictive_check.table.iloc[:MOST_PARAMETERS]
    return table(
        "predictive-check",
        "Observed against replicated statistics: p is the share of draws whose replicated "
        "statistic is the larger; near 0 or 1 the model does not produce such data",
        [
            (Column("class", numeric=False), frame["class"], str),
            (Column("outcome", numeric=False), frame["outcome"], str),
            (Column("statistic", numeric=False), frame["statistic"], str),
            (Column("what it is", numeric=False), frame["statistic"].map(STATISTICS), str),
            (Column("observed"), frame["observed"], significant),
            (Column("replicated"), frame["replicated"], significant),
            (Column("replicated 95 %"), frame["lower"], interval(frame)),
            (Column("p"), frame["p"], fixed(3)),
            (Column("finding", numeric=False), np.where(frame["misfit"], "misfit", ""), str),
        ],
    )


def left_out(comparison: Comparison) -> Table | None:
    """The units that are hardest to leave out, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.loo.units.head(MOST_UNITS)
    return table(
        "left-out",
        f"The {len(frame)} units with the largest Pareto k, of {len(comparison.loo.units):,}: "
        "above 0.7 importance weights fail and the remedy, if any ran, is named",
        [
            (Column("unit", numeric=False), frame.index, str),
            (Column("elpd"), frame["elpd"], fixed(2)),
            (Column("p", "share of the effective number of parameters"), frame["p"], fixed(2)),
            (Column("Pareto k"), frame["pareto_k"], fixed(2)),
            (Column("remedy", numeric=False), frame["remedy"], str),
        ],
    )
