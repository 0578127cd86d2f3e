"""The lower bound that EM climbs, beside the log-likelihood that it touches."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mixcompare.base.arrays import FloatArray
from mixcompare.comparison import Comparison
from mixcompare.comparison.optima import bounds
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import power_of_ten
from mixcompare.pages.palette import COLORS, MUTED
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

# Every iteration costs an E-step, and the first ones tell the story.
_MOST_ITERATIONS: Final = 60
# Divergences below this share of the log-likelihood are rounding.
_ROUNDING: Final = 1e-13


def lower_bound(comparison: Comparison) -> Drawing | None:
    """The bound before and after every E-step of the best start."""
    em = comparison.em
    if em.spec.n_components == 1 or em.tree["history"].sizes["iteration"] < 3:
        return None
    reached, after = bounds(em, _MOST_ITERATIONS)
    figure = Figure(figsize=(9.4, 3.7), layout="constrained")
    steps, gaps = figure.subplots(1, 2)
    _staircase(steps, reached, after)
    _divergence(gaps, reached, after)
    return draw(
        figure,
        "em-lower-bound",
        "The lower bound that EM climbs, at the best start",
        "The bound is Q plus the entropy of the responsibilities. An M-step (rising line) raises "
        "it; the E-step that follows (vertical line) lifts it until it touches the log-likelihood "
        "(points). Right: what the E-step closes, the divergence of the old responsibilities from "
        f"the new ones, beside the gain of the log-likelihood. Neither may be negative. {_end(em)}",
        "Log-likelihood and lower bound by iteration of EM's best start, and the gap between "
        "them on a logarithmic scale. " + finding(comparison, "EM optimum"),
    )


def _end(em: Fit) -> str:
    """What the last iterations shown are like."""
    total, plain = em.tree["history"].sizes["iteration"], em.options["acceleration"] == "none"
    end = "by a constant factor, which is EM's rate of convergence" if plain else "to nothing"
    said = f"Near the end both fall {end}."
    if total > _MOST_ITERATIONS:
        said = f"The first {_MOST_ITERATIONS} of {total} iterations."
    extrapolated = " A step that is extrapolated may lower the bound, but never the log-likelihood."
    return said if plain else said + extrapolated


def _staircase(ax: Axes, reached: FloatArray, after: FloatArray) -> None:
    iteration = np.arange(1, len(reached) + 1)
    x = np.repeat(iteration, 2)[1:]
    y = np.append(reached[0], np.column_stack([after, reached[1:]]).ravel())
    ax.plot(x, y, color=MUTED, lw=1.3, label="lower bound")
    ax.plot(iteration, reached, "o", color=COLORS["maximum"], ms=4, label="log-likelihood")
    ax.set(title="Bound and log-likelihood", xlabel="iteration", ylabel="log-likelihood")
    ax.set_xlim(0.5, _risen(reached) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="lower right")


def _risen(reached: FloatArray) -> int:
    """Iterations after which no more than a thousandth of the rise is left, and two more."""
    left = reached[-1] - reached
    return min(len(reached), int(np.argmax(left <= 1e-3 * left[0])) + 3)


def _divergence(ax: Axes, reached: FloatArray, after: FloatArray) -> None:
    iteration = np.arange(2, len(reached) + 1)
    lowest = _ROUNDING * float(np.abs(reached).max())
    series = (
        ("log-likelihood gained", np.diff(reached), COLORS["maximum"], "o"),
        ("divergence closed by the E-step", reached[1:] - after, MUTED, "D"),
    )
    for label, values, color, marker in series:
        seen = np.where(values > lowest, values, np.nan)
        ax.plot(iteration, seen, color=color, marker=marker, ms=3.5, label=label)
    ax.set(title="What each iteration gains", xlabel="iteration", yscale="log")
    ax.yaxis.set_major_formatter(power_of_ten)
    ax.legend(loc="lower left")
