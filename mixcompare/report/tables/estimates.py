"""Tables of estimates and likelihoods: two fits in detail, any number side by side."""

from __future__ import annotations

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Column,
    Table,
    clipped,
    duration,
    fixed,
    interval,
    percent,
    quantities,
    significant,
    table,
)


def estimates(comparison: Comparison) -> Table:
    """Both backends' estimates side by side."""
    frame = comparison.estimates.iloc[:MOST_PARAMETERS]
    robust = (Column("EM s.e.", "sandwich"), frame["em_sandwich_se"], significant)
    return table(
        "estimates",
        "Estimates side by side; intervals are 95 %: Wald (EM), equal-tailed (posterior); "
        "difference: posterior mean less EM's estimate"
        + clipped(len(comparison.estimates), MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            (Column("EM estimate"), frame["em_estimate"], significant),
            (Column("EM s.e."), frame["em_se"], significant),
            *([robust] if frame["em_sandwich_se"].notna().any() else []),
            (Column("EM interval"), frame["em_lower"], interval(frame, "em")),
            (Column("posterior mean"), frame["posterior_mean"], significant),
            (Column("median"), frame["posterior_median"], significant),
            (Column("posterior s.d."), frame["posterior_sd"], significant),
            (
                Column("posterior interval"),
                frame["posterior_lower"],
                interval(frame, "posterior"),
            ),
            (
                Column("difference", "in posterior s.d.s"),
                frame["difference"],
                fixed(3),
            ),
        ],
    )


def fits(comparison: Comparison) -> Table | None:
    """All fits in short, if there are more than the two that are compared in detail."""
    frame = comparison.fits
    if len(frame) < 3:
        return None
    return table(
        "fits",
        "All fits; differences are from EM's estimate",
        [
            (Column("fit", numeric=False), frame.index, str),
            (Column("status", numeric=False), frame["status"], str),
            (Column("time"), frame["seconds"], duration),
            (
                Column("log-likelihood", "maximum or highest draw"),
                frame["log_likelihood"],
                fixed(4),
            ),
            (
                Column("largest difference", "in posterior s.d.s"),
                frame["largest_difference"],
                fixed(3),
            ),
            (Column("of parameter", numeric=False), frame["parameter"], str),
            (Column("units in the same class"), frame["same_class"], percent),
            (Column("distance", "mean total variation"), frame["distance"], fixed(4)),
        ],
    )


def side_by_side(comparison: Comparison) -> Table | None:
    """Every fit's estimates, if there are more than two fits."""
    frame = comparison.side_by_side.iloc[:MOST_PARAMETERS]
    if frame.shape[1] < 3:
        return None
    return table(
        "side-by-side",
        "Estimates of every fit: optima by EM, means of the posteriors"
        + clipped(len(comparison.side_by_side), MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            *((Column(name), frame[name], significant) for name in frame.columns),
        ],
    )


def likelihoods(comparison: Comparison) -> Table:
    """Log-likelihoods, criteria and their notes."""
    return quantities("likelihoods", "Likelihoods", comparison.likelihoods)
