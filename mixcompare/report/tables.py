"""The comparison's tables: for the page, and whole as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.report.formatting import (
    Column,
    Formatter,
    Table,
    count,
    duration,
    fixed,
    interval,
    percent,
    quantity,
    significant,
    table,
)

_MOST_UNITS = 20
_MOST_PARAMETERS = 200


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
        "priors": comparison.priors,
        "verdicts": comparison.verdicts,
        "thresholds": comparison.thresholds.table(),
        "starts": starts_frame(comparison).reset_index(),
        "sensitivity": comparison.sensitivity.reset_index(),
        "left-out": comparison.loo.units.reset_index(),
        "prior-check": comparison.prior_check.table,
        "predictive-check": comparison.predictive_check.table,
    }


def starts_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per EM start."""
    starts = comparison.em.tree["starts"].to_dataset()
    columns = ["kind", "status", "message", "log_likelihood", "iterations", "optimum"]
    frame = pd.DataFrame({c: starts[c].to_numpy() for c in columns if c in starts})
    return frame.rename_axis("start")


def estimates(comparison: Comparison) -> Table:
    """Both backends' estimates side by side."""
    frame = comparison.estimates.iloc[:_MOST_PARAMETERS]
    return table(
        "estimates",
        "Estimates side by side; intervals are 95 %: Wald (EM), equal-tailed (posterior); "
        "difference: posterior mean less EM's estimate"
        + _clipped(len(comparison.estimates), _MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            (Column("EM estimate"), frame["em_estimate"], significant),
            (Column("EM s.e."), frame["em_se"], significant),
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
    frame = comparison.side_by_side.iloc[:_MOST_PARAMETERS]
    if frame.shape[1] < 3:
        return None
    return table(
        "side-by-side",
        "Estimates of every fit: optima by EM, means of the posteriors"
        + _clipped(len(comparison.side_by_side), _MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            *((Column(name), frame[name], significant) for name in frame.columns),
        ],
    )


def convergence(comparison: Comparison) -> Table:
    """R-hat and effective sample sizes before and after alignment."""
    frame = comparison.estimates.iloc[:_MOST_PARAMETERS]
    return table(
        "convergence",
        "Convergence of each parameter before and after alignment"
        + _clipped(len(comparison.estimates), _MOST_PARAMETERS),
        [
            (Column("parameter", numeric=False), frame.index, str),
            (Column("R-hat, as sampled"), frame["r_hat_raw"], fixed(3)),
            (Column("R-hat, aligned"), frame["r_hat"], fixed(3)),
            (Column("bulk ESS, as sampled"), frame["ess_bulk_raw"], count),
            (Column("bulk ESS, aligned"), frame["ess_bulk"], count),
            (Column("tail ESS, aligned"), frame["ess_tail"], count),
        ],
    )


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


def algorithms(comparison: Comparison) -> Table:
    """Agreement of the relabelling algorithms."""
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


def likelihoods(comparison: Comparison) -> Table:
    """Log-likelihoods, criteria and their notes."""
    return quantities("likelihoods", "Likelihoods", comparison.likelihoods)


def agreement(comparison: Comparison) -> Table:
    """Class membership in short."""
    return quantities("agreement", "Agreement of the classes", comparison.agreement)


def switching(comparison: Comparison) -> Table:
    """How labels moved."""
    return quantities("switching", "Label switching", comparison.switching)


def quantities(name: str, caption: str, frame: pd.DataFrame) -> Table:
    """A table of unlike quantities with a note each."""
    texts = [quantity(str(q), value) for q, value in frame["value"].items()]
    return table(
        name,
        caption,
        [
            (Column("quantity", numeric=False), frame.index, str),
            (Column("value"), frame["value"], texts),
            (Column("note", numeric=False), frame["note"], str),
        ],
    )


def membership(comparison: Comparison) -> Table:
    """The units on which the backends differ most."""
    frame = comparison.membership.head(_MOST_UNITS)
    shown = min(_MOST_UNITS, len(comparison.membership))
    return table(
        "membership",
        f"The {shown} units that differ most, of {len(comparison.membership):,}",
        [
            (Column("unit", numeric=False), frame.index, str),
            (Column("EM class"), frame["em_class"], count),
            (Column("EM probability"), frame["em_probability"], fixed(4)),
            (Column("posterior class"), frame["posterior_class"], count),
            (Column("posterior probability"), frame["posterior_probability"], fixed(4)),
            (
                Column("distance", "total variation of the class probabilities, 0 to 1"),
                frame["distance"],
                significant,
            ),
            (
                Column("instability", "share of aligned draws outside the unit's commonest class"),
                frame["instability"],
                percent,
            ),
            (
                Column("classes", "different classes that the relabelling algorithms put it into"),
                frame["algorithm_classes"],
                count,
            ),
        ],
    )


def class_sizes(comparison: Comparison) -> Table:
    """Weights, expected units and units assigned, by class and backend."""
    em = comparison.em.responsibilities.to_numpy()
    posterior = comparison.posterior_responsibilities.to_numpy()
    counts = comparison.em.panel.unit_weights
    weighted = "" if counts is None else " times the unit's weight"
    expected = [
        np.ones(len(em)) @ tau if counts is None else counts @ tau for tau in (em, posterior)
    ]
    k = range(1, em.shape[1] + 1)
    assigned = [[int((tau.argmax(axis=1) + 1 == c).sum()) for c in k] for tau in (em, posterior)]
    return table(
        "class-sizes",
        f"Class sizes: expected units (sum of class probabilities{weighted}) and units assigned "
        "to their most probable class",
        [
            (Column("class", numeric=False), k, str),
            (Column("EM, expected"), expected[0], fixed(1)),
            (Column("posterior, expected"), expected[1], fixed(1)),
            (Column("EM, assigned"), assigned[0], count),
            (Column("posterior, assigned"), assigned[1], count),
        ],
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
            (Column("gap to the best"), frame["gap"], fixed(4)),
            (Column("starts"), frame["starts"], count),
            (Column("share"), frame["share"], percent),
            (Column("smallest class", "in units"), frame["smallest_class"], significant),
            (Column("status", numeric=False), frame["status"], str),
        ],
    )


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


def variables(comparison: Comparison) -> Table:
    """Distribution of the outcomes and of the columns behind the covariates."""
    panel = comparison.em.panel
    named = dict(zip(panel.outcome_names, panel.outcomes.T, strict=True))
    roles = dict.fromkeys(named, "outcome")
    for name, values in panel.variables.items():
        named.setdefault(name, values)
        roles.setdefault(name, "covariate")
    missing = dict(panel.dropped.by_column)
    stats = pd.DataFrame({name: pd.Series(values).describe() for name, values in named.items()}).T
    return table(
        "variables",
        f"Distribution of the variables over the {panel.n_rows:,} rows that were fitted",
        [
            (Column("variable", numeric=False), stats.index, str),
            (Column("role", numeric=False), [roles[name] for name in stats.index], str),
            (Column("mean"), stats["mean"], significant),
            (Column("s.d."), stats["std"], significant),
            (Column("lowest"), stats["min"], significant),
            (Column("quartile 1"), stats["25%"], significant),
            (Column("median"), stats["50%"], significant),
            (Column("quartile 3"), stats["75%"], significant),
            (Column("highest"), stats["max"], significant),
            (
                Column("missing", "rows dropped for it"),
                [missing.get(n, 0) for n in stats.index],
                count,
            ),
        ],
    )


def priors(comparison: Comparison) -> Table:
    """The priors in words."""
    frame = comparison.priors
    return table(
        "priors",
        "Priors of the posterior; EM here is maximum likelihood and ignores them",
        [
            (Column(name, numeric=False), frame[name], str)
            for name in ("parameter", "prior", "note")
            if frame[name].any()
        ],
    )


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


def sampler(comparison: Comparison) -> Table:
    """Diagnostics of each chain."""
    tree = comparison.posterior_fit.tree
    stats = tree["sample_stats"].to_dataset()
    chains = range(1, stats.sizes["chain"] + 1)
    outcomes = tree["log_likelihood"]["outcomes"].sum("unit")
    columns: list[tuple[Column, Iterable[Any], Formatter]] = [
        (Column("chain", numeric=False), chains, str),
        (Column("draws"), [stats.sizes["draw"]] * len(chains), count),
        (Column("mean log-likelihood"), outcomes.mean("draw").to_numpy(), fixed(2)),
        (Column("highest"), outcomes.max("draw").to_numpy(), fixed(4)),
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


def _clipped(total: int, most: int) -> str:
    return f" (the first {most} of {total}; all are in the CSV file)" if total > most else ""
