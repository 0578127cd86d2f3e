"""The figure of a selection: what each number of classes gains, and at what price."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.pages.palette import COLORS, INK, MUTED, SURFACE, style
from mixcompare.selection import Selection
from mixcompare.selection.criteria_table import CRITERIA

_FALL: Final = "#c4455c"
# Colours of quantities, kept apart from those of classes and backends by their line styles.
_LINES: Final = (
    ("#3e83c8", "o", "-"),
    ("#1c2330", "s", "-"),
    ("#8a93a1", "D", "--"),
    ("#a772b8", "^", ":"),
    ("#cf6a3c", "v", "-."),
)
_ENOUGH: Final = 0.05


type _Panel = Callable[[Axes, Selection], None]


def plot_selection(selection: Selection) -> Figure:
    """What is known by K: fit with tests, criteria, certainty, cross-validation, evidence."""
    panels: list[_Panel] = [_height, _criteria, _certainty]
    if CRITERIA["loo"].known(selection.table):
        panels.append(_cross_validation)
    if any(CRITERIA[name].known(selection.table) for name in ("bridge", "smc")):
        panels.append(_evidence)
    rows = -(-len(panels) // 3)
    with style():
        figure = Figure(figsize=(10.2, 3.9 * rows), layout="constrained", facecolor=SURFACE)
        axes = figure.subplots(rows, 3, squeeze=False).ravel()
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax, panel in zip(axes, panels, strict=False):
            panel(ax, selection)
            ax.set_xticks(selection.table.index)
            ax.margins(x=0.08)
            ax.set_xlabel("number of classes")
    return figure


def _height(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.plot(table.index, table["log_likelihood"], "s-", color=COLORS["maximum"], ms=5)
    falls = table[table["falls"].astype(bool)]
    if len(falls):
        ax.plot(falls.index, falls["log_likelihood"], "v", color=_FALL, ms=8, label="fall: missed")
        ax.legend()
    ax.set_ylabel("maximum of the log-likelihood")
    ax.set_title("Fit")
    if selection.tests is None:
        return
    for null, alternative, p_value in zip(
        *(selection.tests[name].to_numpy() for name in ("null", "alternative", "p_value")),
        strict=True,
    ):
        ax.annotate(
            f"p = {p_value:.2g}",
            ((null + alternative) / 2, float(table["log_likelihood"][[null, alternative]].mean())),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=8,
            color=INK if p_value <= _ENOUGH else MUTED,
        )


def _criteria(ax: Axes, selection: Selection) -> None:
    by_em = {name: c for name, c in CRITERIA.items() if c.value is not None}
    for (name, criterion), (color, marker, line) in zip(by_em.items(), cycle(_LINES), strict=False):
        values = criterion.loss(selection.table)
        above = values - np.nanmin(values)
        ax.plot(selection.table.index, above, line, marker=marker, color=color, ms=4)
        best = selection.best(name)
        ax.plot(best, 0, marker, color=color, ms=10, mfc="none", label=criterion.title)
    ax.set_ylabel("above the least value")
    ax.set_yscale("symlog", linthresh=10)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_title("Criteria (ring: least)")
    ax.legend(fontsize=8)


def _certainty(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.plot(table.index, table["entropy_r2"], "o-", color=INK, ms=5)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("relative entropy (1: certain)")
    ax.set_title("Certainty")
    for count, size, entropy in zip(
        table.index, table["smallest_class"], table["entropy_r2"], strict=True
    ):
        if np.isfinite(entropy):
            ax.annotate(
                f"{size:.3g}",
                (count, entropy),
                xytext=(0, -13),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=MUTED,
            )
    ax.text(
        0.03,
        0.04,
        "numbers: units in the smallest class",
        fontsize=8,
        color=MUTED,
        transform=ax.transAxes,
    )


def _cross_validation(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.axhline(0, color=MUTED, lw=0.8)
    ax.errorbar(
        table.index,
        table["elpd_difference"],
        yerr=table["elpd_difference_se"],
        fmt="o-",
        color=COLORS["posterior"],
        ms=5,
        capsize=3,
    )
    unsure = table[table["high_pareto_k"] > 0]
    if len(unsure):
        ax.plot(
            unsure.index,
            unsure["elpd_difference"],
            "o",
            color=_FALL,
            ms=11,
            mfc="none",
            label="units with Pareto k > 0.7",
        )
        ax.legend(fontsize=8)
    ax.set_ylabel("elpd less the best's, with standard error")
    ax.set_title("Cross-validation (PSIS-LOO)")


def _evidence(ax: Axes, selection: Selection) -> None:
    table = selection.table
    for (name, label), shift, (color, marker, line) in zip(
        (("bridge", "bridge sampling"), ("smc", "sequential Monte Carlo")),
        (-0.05, 0.05),
        ((COLORS["posterior"], "o", "-"), (INK, "s", ":")),
        strict=True,
    ):
        if not CRITERIA[name].known(table):
            continue
        column = CRITERIA[name].column
        ax.errorbar(
            table.index + shift,
            table[column],
            yerr=2 * table[f"{column}_error"].fillna(0.0),
            fmt=f"{marker}{line}",
            color=color,
            ms=5,
            capsize=3,
            label=label,
        )
    if "evidence_apart" in table:
        apart = table[table["evidence_apart"].astype(bool)]
        if len(apart):
            middle = apart[["log_evidence_bridge", "log_evidence_smc"]].mean(axis=1)
            ax.plot(apart.index, middle, "x", color=_FALL, ms=9, label="they contradict each other")
    ax.legend(fontsize=8)
    ax.set_ylabel("log marginal likelihood, 2 standard errors")
    ax.set_title("Marginal likelihood")
