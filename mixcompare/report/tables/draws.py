"""Tables of the draws: convergence, labels, modes, the sampler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import (
    MOST_PARAMETERS,
    Column,
    Formatter,
    Table,
    clipped,
    count,
    fixed,
    percent,
    quantities,
    significant,
    table,
)


def convergence(comparison: Comparison) -> Table:
    """R-hat and effective sample sizes before and after alignment."""
    frame = comparison.estimates.iloc[:MOST_PARAMETERS]
    return table(
        "convergence",
        "Convergence of each parameter before and after alignment"
        + clipped(len(comparison.estimates), MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            (Column("R-hat, as sampled"), frame["r_hat_raw"], fixed(3)),
            (Column("R-hat, aligned"), frame["r_hat"], fixed(3)),
            (Column("bulk ESS, as sampled"), frame["ess_bulk_raw"], count),
            (Column("bulk ESS, aligned"), frame["ess_bulk"], count),
            (Column("tail ESS, aligned"), frame["ess_tail"], count),
        ],
    )


def sampler(comparison: Comparison) -> Table:
    """Diagnostics of each chain."""
    stats = comparison.posterior_fit.tree["sample_stats"].to_dataset()
    chains = range(1, stats.sizes["chain"] + 1)
    log_likelihood = comparison.posterior_fit.log_likelihood_by_draw
    columns: list[tuple[Column, Iterable[Any], Formatter]] = [
        (Column("chain", numeric=False), chains, str),
        (Column("draws"), [stats.sizes["draw"]] * len(chains), count),
        (Column("mean log-likelihood"), log_likelihood.mean(axis=1), fixed(2)),
        (Column("highest"), log_likelihood.max(axis=1), fixed(4)),
    ]
    wanted: tuple[tuple[str, str, str, Formatter], ...] = (
        ("diverging", "divergences", "sum", count),
        ("step_size", "step size", "mean", significant),
        ("n_steps", "mean leapfrog steps", "mean", fixed(1)),
        ("tree_depth", "largest tree depth", "max", count),
        ("depth", "largest tree depth", "max", count),
        ("mean_tree_accept", "mean acceptance", "mean", fixed(3)),
        ("acceptance_rate", "mean acceptance", "mean", fixed(3)),
    )
    labels: set[str] = set()
    for variable, label, how, formatter in wanted:
        if variable in stats and label not in labels:
            labels.add(label)
            values = getattr(stats[variable], how)("draw").to_numpy()
            columns.append((Column(label), values, formatter))
    return table("sampler", "Sampler diagnostics by chain", columns)


def switching(comparison: Comparison) -> Table:
    """How labels moved."""
    return quantities("switching", "Label switching", comparison.switching)


def invariants(comparison: Comparison) -> Table:
    """What no relabelling can change."""
    frame = comparison.invariants
    return table(
        "invariants",
        "Label-invariant quantities, whose convergence needs no relabelling",
        [
            (Column("quantity", numeric=False), frame.index, str),
            (Column("mean"), frame["mean"], significant),
            (Column("s.d."), frame["sd"], significant),
            (Column("R-hat"), frame["r_hat"], fixed(3)),
            (Column("bulk ESS"), frame["ess_bulk"], count),
            (Column("tail ESS"), frame["ess_tail"], count),
        ],
    )


def algorithms(comparison: Comparison) -> Table | None:
    """Agreement of the relabelling algorithms, if the draws can tell."""
    if not comparison.judged:
        return None
    frame = comparison.algorithms
    ordered = f"; ordering is by {comparison.ordered_by}" if comparison.ordered_by else ""
    return table(
        "algorithms",
        "Agreement of relabelling algorithms: share of draws given the same permutation, up to "
        f"one renumbering for all{ordered}",
        [
            (Column("algorithm", numeric=False), frame.index, str),
            (Column("source", numeric=False), frame["source"], str),
            (
                Column("units moved", "whose commonest class is another than by alignment to EM"),
                frame["moved_units"],
                count,
            ),
            *((Column(name), frame[name], fixed(3)) for name in frame.index),
        ],
    )


def modes(comparison: Comparison) -> Table:
    """Modes that draws climb to."""
    frame = comparison.modes
    chains = [name for name in frame.columns if name.startswith("chain ")]
    return table(
        "modes",
        f"Modes that {comparison.climbed.visited.size} evenly spaced draws climb to, the highest "
        "first",
        [
            (Column("mode", numeric=False), frame.index, str),
            (Column("log-likelihood"), frame["log_likelihood"], fixed(4)),
            (Column("gap", "EM's maximum less the mode's log-likelihood"), frame["gap"], fixed(4)),
            (Column("EM's optimum", "number in the table of EM's optima"), frame["optimum"], count),
            (
                Column("distance", "mean total variation from EM's class probabilities"),
                frame["distance"],
                fixed(4),
            ),
            (Column("smallest class", "in units"), frame["smallest_class"], significant),
            (Column("draws' mean log-likelihood"), frame["draws_log_likelihood"], fixed(2)),
            (Column("share of draws"), frame["share"], percent),
            *((Column(name), frame[name], percent) for name in chains),
        ],
    )
