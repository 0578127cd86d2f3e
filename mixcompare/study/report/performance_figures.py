"""Performance measures as figures, every one with its Monte Carlo interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.fits.summary import LEVEL, Z
from mixcompare.pages.palette import INK, MUTED, class_color
from mixcompare.pages.rendering import Drawing, draw

OF_ESTIMATES: Final = {
    "bias": "bias",
    "relative_bias": "relative bias",
    "empirical_se": "empirical SE",
    "mse": "mean squared error",
    "model_se": "average model SE",
    "model_se_error": "error of the model SE, %",
    "coverage": "coverage",
    "bias_eliminated_coverage": "bias-eliminated coverage",
    "rejection": "power (share of intervals without the null)",
    "relative_precision": "gain in precision over the baseline, %",
}
LABELS: Final = {
    **OF_ESTIMATES,
    "adjusted_rand_index": "adjusted Rand index",
    "brier_score": "Brier score",
    "best_optimum_found": "best optimum found",
    "all_chains_at_best": "all chains at the best mode",
    "unmarked_in_worse_mode": "in a worse mode without a mark",
    "components_recovered": "share with the true number of classes",
    "seconds": "seconds per fit",
}
# Where a measure of a method without fault lies.
_IDEAL: Final = {
    "bias": 0.0,
    "relative_bias": 0.0,
    "model_se_error": 0.0,
    "coverage": LEVEL,
    "bias_eliminated_coverage": LEVEL,
    "relative_precision": 0.0,
    "adjusted_rand_index": 1.0,
    "best_optimum_found": 1.0,
    "all_chains_at_best": 1.0,
    "unmarked_in_worse_mode": 0.0,
}
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_MOST_ROWS: Final = 30
_MOST_PANELS: Final = 6


def method_style(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of each method, the same in every figure of a study."""
    return {
        name: {"color": class_color(i + 1), "marker": _MARKERS[i % len(_MARKERS)]}
        for i, name in enumerate(methods)
    }


def lollipop(
    performance: pd.DataFrame, methods: Sequence[str], estimand: str, measures: Sequence[str]
) -> Drawing:
    """Measures of one estimand by scenario and method, with Monte Carlo intervals."""
    of_estimand = performance[performance["estimand"] == estimand]
    scenarios = list(dict.fromkeys(of_estimand["scenario"]))[:_MOST_ROWS]
    height = 1.2 + 0.14 * len(scenarios) * (len(methods) + 1)
    figure = Figure(figsize=(9.6, max(2.6, height)), layout="constrained")
    axes = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    style = method_style(methods)
    for ax, measure in zip(axes, measures, strict=True):
        part = of_estimand[of_estimand["measure"] == measure]
        for i, method in enumerate(methods):
            of_method = _by_scenario(part, method, scenarios)
            at = np.arange(len(scenarios)) + offset(i, len(methods), 0.8)
            _stems(ax, of_method, at, _IDEAL.get(measure, 0.0), style[method], method)
        _ideal(ax, measure, vertical=True)
        ax.set_xlabel(LABELS.get(measure, measure))
        ax.margins(y=0.5 / len(scenarios))
    axes[0].set_yticks(np.arange(len(scenarios)), scenarios)
    axes[0].invert_yaxis()
    legend(figure, axes[0])
    return draw(
        figure,
        f"lollipop-{_slug(estimand)}",
        f"Performance for {estimand}",
        "Points are estimates of the measures, bars their 95 % Monte Carlo intervals: methods "
        "whose bars overlap need more replicates before they can be told apart. The line marks "
        "where a method without fault would lie." + _left_out(of_estimand, scenarios),
        f"Lollipop plot of {', '.join(LABELS.get(m, m) for m in measures)} for {estimand} by "
        f"scenario, methods {', '.join(methods)}.",
    )


def _by_scenario(table: pd.DataFrame, method: str, scenarios: list[str]) -> pd.DataFrame:
    return table[table["method"] == method].set_index("scenario").reindex(scenarios)


def offset(place: int, total: int, width: float) -> float:
    """Of one of several marks that share a tick's width, from the middle."""
    return (place - (total - 1) / 2) * width / total


def _left_out(performance: pd.DataFrame, scenarios: list[str]) -> str:
    total = performance["scenario"].nunique()
    drawn = len(scenarios)
    return "" if total == drawn else f" The first {drawn} of {total} scenarios are shown."


def _stems(
    ax: Axes, by_scenario: pd.DataFrame, at: Any, ideal: float, style: Mapping[str, Any], label: str
) -> None:
    values, errors = by_scenario["value"].to_numpy(), Z * by_scenario["error"].to_numpy()
    ax.hlines(at, ideal, values, color=style["color"], lw=0.8, alpha=0.5)
    ax.errorbar(values, at, xerr=errors, fmt=style["marker"], color=style["color"], ms=4, lw=1.4,
                capsize=2, label=label)  # fmt: skip


def against_factor(
    table: pd.DataFrame,
    factors: Mapping[str, Mapping[str, Any]],
    methods: Sequence[str],
    measures: Sequence[str],
    subject: str,
) -> Drawing:
    """Measures against the factor with most levels; the other factors make the columns.

    Parameters
    ----------
    table
        scenario, method, measure, value, error.
    factors
        Levels by scenario.
    subject
        What is measured, for the title.
    """
    factor = main_factor(factors)
    every = _panels(factors, factor)
    panels = dict(list(every.items())[:_MOST_PANELS])
    size = (min(max(3.1 * len(panels) + 0.8, 6.4), 12.5), 2.3 * len(measures) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(measures), len(panels), squeeze=False, sharey="row", sharex=True)
    style = method_style(methods)
    for row, measure in zip(axes, measures, strict=True):
        part = table[table["measure"] == measure]
        for ax, (title, scenarios) in zip(row, panels.items(), strict=True):
            names, levels = list(scenarios), list(scenarios.values())
            at = _positions(levels)
            for method in methods:
                of_method = _by_scenario(part, method, names)
                ax.errorbar(
                    at, of_method["value"], yerr=Z * of_method["error"],
                    label=method, ms=4.5, capsize=2, **style[method],
                )  # fmt: skip
            _ideal(ax, measure, vertical=False)
            ax.set_xticks(at, [str(level) for level in levels])
            if ax in axes[0]:
                ax.set_title(title)
            if ax in axes[-1]:
                ax.set_xlabel(factor)
        row[0].set_ylabel(LABELS.get(measure, measure))
    legend(figure, axes[0][0])
    return draw(
        figure,
        f"factor-{_slug(factor)}-{_slug(subject)}",
        f"{subject[:1].upper()}{subject[1:]} against {factor}",
        "Bars are 95 % Monte Carlo intervals. The dotted line marks where a method without fault "
        "would lie; look for methods that leave it at one end of the factor."
        + _panels_left_out(len(panels), len(every)),
        f"Line plots of {', '.join(LABELS.get(m, m) for m in measures)} against {factor} for the "
        f"methods {', '.join(methods)}.",
    )


def _panels_left_out(drawn: int, total: int) -> str:
    of = f"{drawn} of {total} combinations of the other factors"
    return "" if drawn == total else f" The first {of} are shown."


def main_factor(factors: Mapping[str, Mapping[str, Any]]) -> str:
    """The factor with most levels, the first of those."""
    levels: dict[str, set[str]] = {}
    for of_scenario in factors.values():
        for name, value in of_scenario.items():
            levels.setdefault(name, set()).add(str(value))
    return max(levels, key=lambda name: len(levels[name]))


def _panels(factors: Mapping[str, Mapping[str, Any]], factor: str) -> dict[str, dict[str, Any]]:
    """Title of each column to its scenarios and their levels of the factor."""
    panels: dict[str, dict[str, Any]] = {}
    for scenario, levels in factors.items():
        if factor in levels:
            rest = ", ".join(f"{name}={value}" for name, value in levels.items() if name != factor)
            panels.setdefault(rest, {})[scenario] = levels[factor]
    return panels


def _positions(levels: Sequence[Any]) -> list[float]:
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels)
    return [float(v) for v in levels] if numbers else [float(i) for i in range(len(levels))]


def nested_loop(
    table: pd.DataFrame,
    factors: Mapping[str, Mapping[str, Any]],
    methods: Sequence[str],
    measure: str,
    of: str = "",
) -> Drawing:
    """All scenarios in one loop over the factors (Rücker & Schwarzer 2014).

    Parameters
    ----------
    table, factors
        As for `against_factor`.
    of
        What is measured, for the title.
    """
    of_measure = table[table["measure"] == measure]
    names = _told_apart(factors)
    scenarios = sorted(factors, key=lambda s: [_rank(factors, n, factors[s].get(n)) for n in names])
    figure = Figure(figsize=(9.6, 3.6 + 0.42 * len(names)), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 0.45 * len(names)))
    edges = np.arange(len(scenarios) + 1) - 0.5
    style = method_style(methods)
    for i, method in enumerate(methods):
        of_method = _by_scenario(of_measure, method, scenarios)
        # Side by side, or the bars of methods that agree would hide one another.
        at = np.arange(len(scenarios)) + offset(i, len(methods), 0.6)
        value, error = of_method["value"].to_numpy(), Z * of_method["error"].to_numpy()
        color = style[method]["color"]
        upper.stairs(value, edges, baseline=None, color=color, lw=1.6, label=method)
        upper.errorbar(at, value, yerr=error, fmt="none", ecolor=color, alpha=0.6, lw=1)
    _ideal(upper, measure, vertical=False)
    upper.set_ylabel(LABELS.get(measure, measure))
    _factor_steps(lower, factors, names, scenarios, edges)
    legend(figure, upper)
    return draw(
        figure,
        f"nested-loop-{measure.replace('_', '-')}",
        f"{LABELS.get(measure, measure).capitalize()}{of} in all scenarios",
        "Each step is a scenario; the stairs below say which levels it has. Bars are 95 % Monte "
        "Carlo intervals.",
        f"Nested-loop plot of {LABELS.get(measure, measure)} over {len(scenarios)} scenarios.",
    )


def _told_apart(factors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the factors; of those that only change together the first."""
    names = dict.fromkeys(name for levels in factors.values() for name in levels)
    by_ranks = {
        tuple(_rank(factors, name, levels.get(name)) for levels in factors.values()): name
        for name in reversed(names)
    }
    return [name for name in names if name in by_ranks.values()]


def _rank(factors: Mapping[str, Mapping[str, Any]], name: str, level: Any) -> int:
    """A level's place among the factor's, in the order of the study."""
    levels = list(dict.fromkeys(str(each.get(name)) for each in factors.values()))
    return levels.index(str(level))


def _factor_steps(
    ax: Axes,
    factors: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    scenarios: Sequence[str],
    edges: Any,
) -> None:
    for i, name in enumerate(names):
        ranks = np.array([_rank(factors, name, factors[s].get(name)) for s in scenarios])
        ax.stairs(-i - 0.8 + 0.6 * ranks / max(1, ranks.max()), edges, baseline=None, color=MUTED)
        levels = list(dict.fromkeys(str(factors[s].get(name)) for s in scenarios))
        text = f"{name}: {', '.join(levels)}"
        ax.text(edges[0], -i - 0.12, text, fontsize=8, color=INK, va="bottom")
    ax.set_ylim(-len(names) + 0.05, 0.35)
    ax.set_axis_off()


def _ideal(ax: Axes, measure: str, *, vertical: bool) -> None:
    if measure in _IDEAL:
        line = ax.axvline if vertical else ax.axhline
        line(_IDEAL[measure], color=MUTED, ls=":", lw=1.2, zorder=0)


def legend(figure: Figure, ax: Axes) -> None:
    """The labels of one of a figure's axes, below all of them."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))


def _slug(text: str) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part)


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes, at most three in a row; their width and height in inches."""
    columns = min(3, count)
    rows = math.ceil(count / columns)
    size = (width * columns + 0.5, height * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]
