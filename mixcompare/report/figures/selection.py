"""The figure of a selection: what each number of classes gains, and at what price."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.pages.palette import COLORS, INK, MUTED, SURFACE, style
from mixcompare.pages.panels import note, panels
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


def plot_selection(selection: Selection) -> Figure:
    """What is known by K: fit with tests, criteria, certainty, cross-validation, evidence."""
    parts: list[Callable[[Axes, Selection], None]] = [_height, _criteria, _certainty]
    if CRITERIA["loo"].known(selection.table):
        parts.append(_cross_validation)
    if any(CRITERIA[name].known(selection.table) for name in ("bridge", "smc")):
        parts.append(_evidence)
    with style():
        figure, (axes,) = panels(len(parts), 3, 10.2, 3.9)
        figure.set_facecolor(SURFACE)
        for ax, part in zip(axes, parts, strict=True):
            part(ax, selection)
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
    ax.set(title="Fit", ylabel="maximum of the log-likelihood")
    if selection.tests is None:
        return
    for test in selection.tests.to_dict("records"):
        both = [test["null"], test["alternative"]]
        middle = (sum(both) / 2, float(table["log_likelihood"][both].mean()))
        color = INK if test["p_value"] <= _ENOUGH else MUTED
        note(ax, f"p = {test['p_value']:.2g}", middle, (4, -11), color=color)


def _criteria(ax: Axes, selection: Selection) -> None:
    by_em = {name: c for name, c in CRITERIA.items() if c.value is not None}
    for (name, criterion), (color, marker, line) in zip(by_em.items(), cycle(_LINES), strict=False):
        values = criterion.loss(selection.table)
        above = values - np.nanmin(values)
        ax.plot(selection.table.index, above, line, marker=marker, color=color, ms=4)
        best = selection.best(name)
        ax.plot(best, 0, marker, color=color, ms=10, mfc="none", label=criterion.title)
    ax.set(title="Criteria (ring: least)", ylabel="above the least value")
    ax.set_yscale("symlog", linthresh=10)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(fontsize=8)


def _certainty(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.plot(table.index, table["entropy_r2"], "o-", color=INK, ms=5)
    ax.set(title="Certainty", ylabel="relative entropy (1: certain)", ylim=(-0.03, 1.03))
    for row in table[np.isfinite(table["entropy_r2"])].itertuples():
        place = (row.Index, row.entropy_r2)
        note(ax, f"{row.smallest_class:.3g}", place, (0, -13), ha="center", color=MUTED)
    words, look = "numbers: units in the smallest class", {"fontsize": 8, "color": MUTED}
    ax.text(0.03, 0.04, words, look, transform=ax.transAxes)


def _cross_validation(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.axhline(0, color=MUTED, lw=0.8)
    look: dict[str, Any] = {"color": COLORS["posterior"], "fmt": "o-", "ms": 5, "capsize": 3}
    elpd, error = table["elpd_difference"], table["elpd_difference_se"]
    ax.errorbar(table.index, elpd, yerr=error, **look)
    unsure = elpd[table["high_pareto_k"] > 0]
    if len(unsure):
        ring: dict[str, Any] = {
            "color": _FALL,
            "ms": 11,
            "mfc": "none",
            "label": "units with Pareto k > 0.7",
        }
        ax.plot(unsure.index, unsure, "o", **ring)
    _cross_out(ax, selection, "loo", elpd)
    ax.set_title("Cross-validation (PSIS-LOO)")
    ax.set_ylabel("elpd less the best's, with standard error")
    _name_once(ax)


def _evidence(ax: Axes, selection: Selection) -> None:
    table = selection.table
    for name, label, shift, color, line in (
        ("bridge", "bridge sampling", -0.05, COLORS["posterior"], "o-"),
        ("smc", "sequential Monte Carlo", 0.05, INK, "s:"),
    ):
        if not CRITERIA[name].known(table):
            continue
        column = CRITERIA[name].column
        error = 2 * table[f"{column}_error"].fillna(0.0)
        look: dict[str, Any] = {"color": color, "fmt": line, "ms": 5, "capsize": 3, "label": label}
        ax.errorbar(table.index + shift, table[column], yerr=error, **look)
        _cross_out(ax, selection, name, table[column], shift)
    if "evidence_apart" in table:
        apart = table[table["evidence_apart"].astype(bool)]
        if len(apart):
            middle = apart[["log_evidence_bridge", "log_evidence_smc"]].mean(axis=1)
            ax.plot(
                apart.index, middle, "_", color=_FALL, ms=14, label="they contradict each other"
            )
    _name_once(ax)
    ax.set(title="Marginal likelihood", ylabel="log marginal likelihood, 2 standard errors")


def _cross_out(
    ax: Axes, selection: Selection, name: str, values: pd.Series, shift: float = 0.0
) -> None:
    """Mark what a criterion does not rank."""
    bad = CRITERIA[name].unranked(selection.table)
    if bad.any():
        at = selection.table.index[bad] + shift
        ax.plot(at, values[bad], "x", color=_FALL, ms=9, label="not ranked")


def _name_once(ax: Axes) -> None:
    """The legend, with every name once, if there is any."""
    handles, names = ax.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    if once:
        ax.legend(once.values(), once.keys(), fontsize=8)
