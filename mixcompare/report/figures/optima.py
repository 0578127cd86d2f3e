"""A map of EM's optima: how far they lie from the best one, in height and in classification."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.comparison import Comparison
from mixcompare.comparison.optima import distance_and_height_of_draws, distance_of_optima
from mixcompare.pages.palette import COLORS, INK, NAMES, optimum_color
from mixcompare.pages.panels import key, legend_above, note, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

_MOST_OPTIMA = 60
_NAMED_OPTIMA = 3
_MOST_DRAWS = 400
_RING: Final[dict[str, Any]] = {"color": COLORS["posterior"], "mfc": "none", "mew": 1.6}


def optima_map(comparison: Comparison) -> Drawing | None:
    """EM's optima and the draws by distance from the best optimum and by log-likelihood."""
    if comparison.em.spec.n_components == 1:
        return None
    em, posterior = comparison.em, comparison.posterior_fit
    table = comparison.optima.iloc[:_MOST_OPTIMA]
    optima, height = distance_of_optima(em, table.index), -table["gap"].to_numpy()
    starts = table["starts"].to_numpy(dtype=float)
    draws = distance_and_height_of_draws(em, posterior, comparison.permutation, _MOST_DRAWS)
    figure, ((ax,),) = panels(1, 1, 8.2, 4.8)
    ax.plot(*draws.T, "o", color=COLORS["posterior"], ms=3, alpha=0.35, mew=0, rasterized=True)
    spurious = comparison.optima["spurious"].to_numpy()
    sought = set(comparison.searches.loc[comparison.searches["climbs"] > 0, "optimum"])
    for i in range(len(height))[::-1]:
        color = optimum_color(min(i, _NAMED_OPTIMA))
        size = 5 + 9 * np.sqrt(starts[i] / starts.max())
        fill = "none" if spurious[i] else color
        ax.plot(optima[i], height[i], "s", color=color, mfc=fill, ms=size, mec=INK, mew=0.7)
        if table.index[i] + 1 in sought:
            ax.plot(optima[i], height[i], "o", ms=size + 9, **_RING)
    for place in list(zip(optima, height, starts, strict=True))[:8]:
        note(ax, f"{place[2]:.0f}", place[:2], (9, 4), fontsize=8.5, color=INK)
    ax.set_yscale("symlog", linthresh=_linear(height, draws[:, 1]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "\N{MINUS SIGN}"))
    ax.set_xlabel("distance from the best optimum: mean total variation of class probabilities")
    ax.set_ylabel("log-likelihood less EM's maximum")
    ringed = [key("sampler's search", ls="", marker="o", ms=12, **_RING)] if sought else []
    legend_above(
        figure,
        key(f"{NAMES['maximum']}: optima", color=COLORS["maximum"], marker="s", ls=""),
        key("draws, aligned", color=COLORS["posterior"], marker="o", ls="", ms=4),
        *ringed,
    )
    left_out = len(comparison.optima) - len(height)
    return draw(
        figure,
        "optima-map",
        "Map of optima and draws",
        "Squares: EM's distinct optima, larger where more starts ended, with their number of "
        "starts; right of zero they class units otherwise, below zero they fit worse. Circles: "
        "evenly spaced draws. Draws gathered about a square other than the one at the left would "
        "be in another mode. Hollow squares are spurious maxima, a class of a few rows that are "
        "close together by chance; no other square lies above zero. The vertical scale is "
        "logarithmic away from zero."
        + (" Rings: climbs of the sampler's own search lead there, too." if sought else "")
        + (f" The {left_out} worst optima are not shown." if left_out else ""),
        "Scatter of EM's optima and of posterior draws by their distance from the best optimum "
        "and their log-likelihood less the maximum. " + finding(comparison, "EM optimum"),
    )


def _linear(height: FloatArray, drawn: FloatArray) -> float:
    """Where the vertical scale turns logarithmic: below the draws, as far as they go."""
    return float(max(1.0, np.abs(drawn).max(), 0.01 * np.abs(height).max()))
