"""EM's runs side by side: how soon starts arrive, and how close each rule stops."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from mixcompare.comparison import Comparison
from mixcompare.comparison.parties import having
from mixcompare.comparison.runs import NEAR, near_by_iteration
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import power_of_ten
from mixcompare.pages.palette import run_style
from mixcompare.pages.panels import panels, plain_numbers
from mixcompare.pages.rendering import Drawing, draw

_LOWEST: Final = 1e-11


def starts_and_stops(comparison: Comparison) -> Drawing | None:
    """Share of starts near the maximum, and the best start's shortfall, by iteration."""
    fits = having(comparison.parties, "reference", "maximum")
    if len(fits) < 2:
        return None
    top = max(fit.log_likelihood for fit in fits.values())
    figure, ((shares, gaps),) = panels(2, 2, 9.4, 4.2 + 0.12 * len(fits))
    for number, (name, fit) in enumerate(fits.items()):
        look = run_style(number)
        share = near_by_iteration(fit, top)
        shares.plot(np.arange(1, len(share) + 1), 100 * share, label=name, **look)
        _shortfall(gaps, fit, top, look)
    for ax in (shares, gaps):
        plain_numbers(ax, "x", "log")
        ax.set_xlabel("iteration (log scale)")
    shares.set(title="All starts", ylabel=f"starts within {NEAR:g} of the maximum, %")
    shares.set_ylim(-3, 103)
    gaps.set(title="The best start, and where it stopped", yscale="log")
    gaps.yaxis.set_major_formatter(power_of_ten)
    gaps.set_ylabel("log-likelihood below the maximum")
    handles, labels = shares.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return draw(
        figure,
        "runs",
        "EM by starts and stopping rule",
        "Left: better starts bring more runs to the maximum, and sooner; lines that level off "
        "below 100 % have starts in local optima. Right: the best start of each fit; the mark is "
        f"where its rule stopped it, so a high mark is an estimate short of the maximum. Below "
        f"{_LOWEST:g} is rounding.",
        "Share of EM's starts near the maximum and the best start's distance from it, by "
        "iteration, one line for each fit.",
    )


def _shortfall(ax: Axes, fit: Fit, top: float, look: dict[str, Any]) -> None:
    path = top - fit.tree["history"]["log_likelihood"].to_numpy()
    seen = np.maximum(path, _LOWEST)
    iteration = np.arange(1, len(path) + 1)
    ax.plot(iteration, seen, **look)
    ax.plot(iteration[-1:], seen[-1:], marker="o", ms=6, color=look["color"])
