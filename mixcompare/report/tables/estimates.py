"""Tables of estimates and likelihoods: two fits in detail, any number side by side."""

from __future__ import annotations

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Table,
    clipped,
    duration,
    fixed,
    frame_table,
    interval,
    numbers,
    percent,
    quantities,
    significant,
    words,
)


def estimates(comparison: Comparison) -> Table:
    """Both backends' estimates side by side."""
    frame = comparison.estimates.iloc[:MOST_PARAMETERS]
    robust = numbers(significant, em_sandwich_se="EM s.e.: sandwich")
    return frame_table(
        "estimates",
        "Estimates side by side; intervals are 95 %: Wald (EM), equal-tailed (posterior); "
        "difference: posterior mean less EM's estimate"
        + clipped(len(comparison.estimates), MOST_PARAMETERS),
        frame,
        words("parameter"),
        numbers(significant, em_estimate="EM estimate", em_se="EM s.e."),
        robust if frame["em_sandwich_se"].notna().any() else [],
        numbers(interval(frame, "em"), em_lower="EM interval"),
        numbers(significant, posterior_mean="posterior mean", posterior_median="median"),
        numbers(significant, posterior_sd="posterior s.d."),
        numbers(interval(frame, "posterior"), posterior_lower="posterior interval"),
        numbers(fixed(3), difference="difference: in posterior s.d.s"),
    )


def fits(comparison: Comparison) -> Table | None:
    """All fits in short, if there are more than the two that are compared in detail."""
    if len(comparison.fits) < 3:
        return None
    return frame_table(
        "fits",
        "All fits; differences are from EM's estimate",
        comparison.fits,
        words("fit", "status"),
        numbers(duration, seconds="time"),
        numbers(fixed(4), log_likelihood="log-likelihood: maximum or highest draw"),
        numbers(fixed(3), largest_difference="largest difference: in posterior s.d.s"),
        words(parameter="of parameter"),
        numbers(percent, same_class="units in the same class"),
        numbers(fixed(4), distance="distance: mean total variation"),
    )


def side_by_side(comparison: Comparison) -> Table | None:
    """Every fit's estimates, if there are more than two fits."""
    frame = comparison.side_by_side.iloc[:MOST_PARAMETERS]
    if frame.shape[1] < 3:
        return None
    return frame_table(
        "side-by-side",
        "Estimates of every fit: optima by EM, means of the posteriors"
        + clipped(len(comparison.side_by_side), MOST_PARAMETERS),
        frame,
        words("parameter"),
        numbers(significant, *frame.columns),
    )


def likelihoods(comparison: Comparison) -> Table:
    """Log-likelihoods, criteria and their notes."""
    return quantities("likelihoods", "Likelihoods", comparison.likelihoods)
