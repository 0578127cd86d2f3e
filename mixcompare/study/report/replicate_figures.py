"""The replicates themselves: intervals that miss, and methods side by side on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.fits.summary import LEVEL, Z
from mixcompare.pages.palette import MUTED
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.study.report.performance_figures import legend, method_style, offset, panels

_COVERS: Final = "#8fa3b8"
_MISSES: Final = "#c2410c"
_MOST_PANELS: Final = 6
# A longer title is broken into lines.
_LONG: Final = 30


def zip_plot(
    estimates: pd.DataFrame, methods: Sequence[str], estimand: str, scenario: str
) -> Drawing:
    """Intervals ordered by how far their estimate is from the truth (Morris et al. 2019).

    Parameters
    ----------
    estimates
        Rows of the store's estimates.
    """
    of_scenario = estimates[
        (estimates["estimand"] == estimand) & (estimates["scenario"] == scenario)
    ]
    figure = Figure(figsize=(max(4.0, 2.6 * len(methods)), 4.4), layout="constrained")
    axes = figure.subplots(1, len(methods), sharey=True, sharex=True, squeeze=False)[0]
    for ax, method in zip(axes, methods, strict=True):
        _zip(ax, of_scenario[of_scenario["method"] == method].dropna(subset=["lower", "upper"]))
        ax.set_title(method)
        ax.set_xlabel("distance from the truth")
    axes[0].set_ylabel("centile of |estimate - truth| / SE")
    return draw(
        figure,
        "zip",
        f"Zip plot for {estimand}, {scenario}",
        "Every line is a replicate's 95 % interval less the truth; the farther the estimate in its "
        "own standard errors, the higher. Intervals that miss the truth are dark: in a method that "
        "covers as it should they fill the part above the dashed line, on both sides alike.",
        f"Zip plot of the intervals for {estimand} of the methods {', '.join(methods)} in the "
        f"scenario {scenario}.",
    )


def _zip(ax: Axes, intervals: pd.DataFrame) -> None:
    distance = (intervals["estimate"] - intervals["truth"]).abs() / intervals["standard_error"]
    ordered = intervals.iloc[np.argsort(distance.to_numpy(), kind="stable")]
    centile = 100 * (np.arange(len(ordered)) + 1) / max(1, len(ordered))
    low = (ordered["lower"] - ordered["truth"]).to_numpy()
    high = (ordered["upper"] - ordered["truth"]).to_numpy()
    misses = (low > 0) | (high < 0)
    width = float(np.clip(150 / max(1, len(ordered)), 0.5, 1.6))
    for hit, color in ((~misses, _COVERS), (misses, _MISSES)):
        lines = ax.hlines(centile[hit], low[hit], high[hit], color=color, lw=width)
        lines.set_rasterized(True)
    ax.axvline(0, color=MUTED, lw=1)
    ax.axhline(100 * LEVEL, color=MUTED, ls="--", lw=1)
    if len(ordered):
        share = 1 - misses.mean()
        ax.text(0.03, 0.03, f"covers {100 * share:.1f} %", transform=ax.transAxes, fontsize=9)


def paired_differences(
    estimates: pd.DataFrame, methods: Sequence[str], baseline: str, estimand: str
) -> Drawing:
    """Estimate of each method minus the baseline's on the same data, by scenario."""
    wide = _wide(estimates, estimand)
    scenarios = list(dict.fromkeys(estimates["scenario"]))
    others = [method for method in methods if method != baseline and method in wide]
    figure = Figure(
        figsize=(9.6, 1.1 + 0.17 * len(scenarios) * (len(others) + 1)), layout="constrained"
    )
    ax = figure.subplots()
    style = method_style(methods)
    rng = np.random.default_rng(0)
    for i, method in enumerate(others):
        difference = (wide[method] - wide[baseline]).dropna()
        label = method
        for scenario, values in difference.groupby(level="scenario", sort=False):
            at = scenarios.index(scenario) + offset(i, len(others), 0.8)
            _strip(ax, values.to_numpy(), at, style[method], label, rng)
            label = "_"
    ax.axvline(0, color=MUTED, ls=":", lw=1.2)
    ax.set_yticks(range(len(scenarios)), scenarios)
    ax.invert_yaxis()
    ax.set_xlabel(f"estimate minus that of {baseline}")
    # Symmetric logarithms, because a few fits in another optimum differ by far; linear below a
    # hundredth of the estimates' own spread, where differences do not matter.
    spread = float(np.nanmedian(wide[baseline].groupby(level="scenario").std()))
    if spread > 0:
        ax.set_xscale("symlog", linthresh=10 ** np.ceil(np.log10(spread / 100)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
    legend(figure, ax)
    return draw(
        figure,
        "paired",
        f"Differences between methods for {estimand}",
        "Dots are replicates, the same data for both methods; bars are 95 % Monte Carlo intervals "
        f"of the mean. All on the dotted line: no difference from {baseline} that matters. The "
        "axis is logarithmic outside the middle.",
        f"Strip plot of paired differences from {baseline} for {estimand} by scenario.",
    )


def _strip(
    ax: Axes,
    values: Any,
    at: float,
    style: dict[str, Any],
    label: str,
    rng: np.random.Generator,
) -> None:
    jitter = at + rng.uniform(-0.07, 0.07, size=len(values))
    ax.plot(values, jitter, ".", ms=3, alpha=0.35, color=style["color"], rasterized=True)
    error = Z * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    ax.errorbar(
        values.mean(), at, xerr=error, fmt=style["marker"], color=style["color"], ms=5,
        capsize=2, label=label, mec="white", mew=0.6,
    )  # fmt: skip


def bland_altman(estimates: pd.DataFrame, first: str, second: str, estimand: str) -> Drawing:
    """Difference against mean of two methods' estimates (Bland & Altman 1986)."""
    wide = _wide(estimates, estimand)[[first, second]].dropna()
    every = list(dict.fromkeys(wide.index.get_level_values("scenario")))
    # The first and the last among them, since these differ most.
    places = np.linspace(0, len(every) - 1, min(len(every), _MOST_PANELS)).round().astype(int)
    scenarios = [every[place] for place in places]
    figure, axes = panels(max(1, len(scenarios)), 3.2, 2.6)
    for ax, scenario in zip(axes, scenarios, strict=False):
        of_scenario = wide.xs(scenario, level="scenario")
        difference = (of_scenario[second] - of_scenario[first]).to_numpy()
        centre, spread = difference.mean(), difference.std(ddof=1) if len(difference) > 1 else 0.0
        means = of_scenario.to_numpy().mean(axis=1)
        ax.plot(means, difference, "o", ms=3.5, alpha=0.5, mew=0, rasterized=True)
        ax.axhline(centre, color=_MISSES, lw=1.2)
        for sign in (-1, 1):
            ax.axhline(centre + sign * Z * spread, color=_MISSES, ls="--", lw=1)
        ax.axhline(0, color=MUTED, ls=":", lw=1)
        ax.set_title(scenario.replace(", ", ",\n" if len(scenario) > _LONG else ", "), fontsize=8)
        ax.set_xlabel("mean of the two")
    axes[0].set_ylabel(f"{second} minus {first}")
    return draw(
        figure,
        "bland-altman",
        f"{second} against {first} for {estimand}",
        "Each dot is a data set. The line is the mean difference, the dashed ones hold 95 % of "
        "the differences if they are normal. A slope says that one of the two shrinks; dots far "
        "out are fits in different modes."
        + (f" {len(scenarios)} of {len(every)} scenarios." if len(scenarios) < len(every) else ""),
        f"Bland-Altman plots of {second} and {first} for {estimand} by scenario.",
    )


def _wide(estimates: pd.DataFrame, estimand: str) -> pd.DataFrame:
    """Estimates with a column per method, a row per scenario and replicate."""
    return estimates[estimates["estimand"] == estimand].pivot_table(
        index=["scenario", "replicate"], columns="method", values="estimate", sort=False
    )
