"""The figure of a selection: what each number of classes gains, and at what price."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.report.palette import BACKENDS, INK, MUTED, SURFACE, style
from mixcompare.selection import Selection
from mixcompare.selection.result import CRITERIA

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
    """Log-likelihood with tests, criteria above their least value, and certainty, by K."""
    with style():
        figure = Figure(figsize=(10.2, 3.9), layout="constrained", facecolor=SURFACE)
        height, price, certainty = figure.subplots(1, 3)
        _height(height, selection)
        _criteria(price, selection)
        _certainty(certainty, selection)
        for ax in (height, price, certainty):
            ax.set_xticks(selection.table.index)
            ax.margins(x=0.08)
            ax.set_xlabel("number of classes")
    return figure


def _height(ax: Axes, selection: Selection) -> None:
    table = selection.table
    ax.plot(table.index, table["log_likelihood"], "s-", color=BACKENDS["em"], ms=5)
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
    for (name, criterion), (color, marker, line) in zip(CRITERIA.items(), _LINES, strict=True):
        values = selection.table[name].to_numpy(float)
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
