"""Tables of the verdicts, and the data frames behind every table."""

from __future__ import annotations

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.report.formatting import Column, Table, significant, table
from mixcompare.report.tables_em import starts_frame


def frames(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """The comparison's data frames by file name, whole and at full precision."""
    return {
        "estimates": comparison.estimates.reset_index(),
        "likelihoods": comparison.likelihoods.reset_index(),
        "agreement": comparison.agreement.reset_index(),
        "membership": comparison.membership.reset_index(),
        "switching": comparison.switching.reset_index(),
        "algorithms": comparison.algorithms.reset_index(),
        "invariants": comparison.invariants.reset_index(),
        "modes": comparison.modes.reset_index(),
        "optima": comparison.optima.reset_index(),
        "fits": comparison.fits.reset_index(),
        "side-by-side": comparison.side_by_side.reset_index(),
        "runs": comparison.runs.reset_index(),
        "priors": comparison.priors,
        "verdicts": comparison.verdicts,
        "thresholds": comparison.thresholds.table(),
        "starts": starts_frame(comparison).reset_index(),
        "sensitivity": comparison.sensitivity.reset_index(),
        "left-out": comparison.loo.units.reset_index(),
        "prior-check": comparison.prior_check.table,
        "predictive-check": comparison.predictive_check.table,
    }


def verdicts(comparison: Comparison) -> Table:
    """The verdicts of the summary box."""
    frame = comparison.verdicts
    return table(
        "verdicts",
        "Verdicts",
        [(Column(name, numeric=False), frame[name], str) for name in frame.columns],
    )


def thresholds(comparison: Comparison) -> Table:
    """The rules' thresholds."""
    frame = comparison.thresholds.table()
    return table(
        "thresholds",
        "Thresholds of the verdicts' rules",
        [
            (Column("threshold", numeric=False), frame["threshold"], str),
            (Column("value"), frame["value"], significant),
        ],
    )
