"""Tables of the draws: convergence, labels, modes, the sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Formatter,
    Table,
    clipped,
    count,
    fixed,
    frame_table,
    numbers,
    percent,
    quantities,
    significant,
    words,
)


def convergence(comparison: Comparison) -> Table:
    """R-hat and effective sample sizes before and after alignment."""
    return frame_table(
        "convergence",
        "Convergence of each parameter before and after alignment"
        + clipped(len(comparison.estimates), MOST_PARAMETERS),
        comparison.estimates.iloc[:MOST_PARAMETERS],
        words("parameter"),
        numbers(fixed(3), r_hat_raw="R-hat, as sampled", r_hat="R-hat, aligned"),
        numbers(count, ess_bulk_raw="bulk ESS, as sampled", ess_bulk="bulk ESS, aligned"),
        numbers(count, ess_tail="tail ESS, aligned"),
    )


# What is told of a chain: a statistic's names by sampler, how it is summed up, and its form.
_STATISTICS: Final[Mapping[str, tuple[tuple[str, ...], str, Formatter]]] = {
    "divergences": (("diverging",), "sum", count),
    "step size": (("step_size",), "mean", significant),
    "mean leapfrog steps": (("n_steps",), "mean", fixed(1)),
    "largest tree depth": (("tree_depth", "depth"), "max", count),
    "mean acceptance": (("mean_tree_accept", "acceptance_rate"), "mean", fixed(3)),
}


def sampler(comparison: Comparison) -> Table:
    """Diagnostics of each chain."""
    stats = comparison.posterior_fit.tree["sample_stats"].to_dataset()
    log_likelihood = comparison.posterior_fit.log_likelihood_by_draw
    frame = pd.DataFrame({"chain": range(1, stats.sizes["chain"] + 1)})
    frame["draws"] = stats.sizes["draw"]
    frame["mean log-likelihood"] = log_likelihood.mean(axis=1)
    frame["highest"] = log_likelihood.max(axis=1)
    fields = [words("chain"), numbers(count, "draws"), numbers(fixed(2), "mean log-likelihood")]
    fields.append(numbers(fixed(4), "highest"))
    for label, (names, how, show) in _STATISTICS.items():
        for name in [name for name in names if name in stats][:1]:
            frame[label] = getattr(stats[name], how)("draw")
            fields.append(numbers(show, label))
    return frame_table("sampler", "Sampler diagnostics by chain", frame, *fields)


def switching(comparison: Comparison) -> Table:
    """How labels moved."""
    return quantities("switching", "Label switching", comparison.switching)


def invariants(comparison: Comparison) -> Table:
    """What no relabelling can change."""
    return frame_table(
        "invariants",
        "Label-invariant quantities, whose convergence needs no relabelling",
        comparison.invariants,
        words("quantity"),
        numbers(significant, "mean", sd="s.d."),
        numbers(fixed(3), r_hat="R-hat"),
        numbers(count, ess_bulk="bulk ESS", ess_tail="tail ESS"),
    )


def algorithms(comparison: Comparison) -> Table | None:
    """Agreement of the relabelling algorithms, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.algorithms
    ordered = f"; ordering is by {comparison.ordered_by}" if comparison.ordered_by else ""
    moved = "units moved: whose commonest class is another than by alignment to EM"
    return frame_table(
        "algorithms",
        "Agreement of relabelling algorithms: share of draws given the same permutation, up to "
        f"one renumbering for all{ordered}",
        frame,
        words("algorithm", "source"),
        numbers(count, moved_units=moved),
        numbers(fixed(3), *frame.index),
    )


def modes(comparison: Comparison) -> Table:
    """Modes that draws climb to."""
    frame = comparison.modes
    distance = "distance: mean total variation from EM's class probabilities"
    return frame_table(
        "modes",
        f"Modes that {comparison.climbed.visited.size} evenly spaced draws climb to, the highest "
        "first",
        frame,
        words("mode"),
        numbers(
            fixed(4),
            log_likelihood="log-likelihood",
            gap="gap: EM's maximum less the mode's log-likelihood",
        ),
        numbers(count, optimum="EM's optimum: number in the table of EM's optima"),
        numbers(fixed(4), distance=distance),
        numbers(significant, smallest_class="smallest class: in units"),
        numbers(fixed(2), draws_log_likelihood="draws' mean log-likelihood"),
        numbers(percent, share="share of draws"),
        numbers(percent, *(name for name in frame.columns if name.startswith("chain "))),
    )
