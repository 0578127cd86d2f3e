"""Mixtures without covariates: densities for one outcome, ellipses for several."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import norm

from mixcompare.base.arrays import FloatArray, IntArray, evenly_spaced
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.pages.palette import COLORS, GRID, INK, LINES, MARKERS, MUTED, NAMES, class_color
from mixcompare.pages.panels import class_keys, key, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.units import likeliest, shown_note
from mixcompare.report.wording import finding

_MOST_POINTS = 3000
_MOST_OUTCOMES = 6


def gaussian_mixture(comparison: Comparison) -> Drawing:
    """Histogram with component densities, or a scatter with ellipses."""
    panel = comparison.em.panel
    if len(panel.outcome_names) == 1:
        return _densities(comparison, panel)
    return _ellipses(comparison, panel)


def _moments(comparison: Comparison, kind: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of the rows, means (K, m) and covariances (K, m, m) of the classes."""
    panel = comparison.em.panel
    if kind == "maximum":
        taus = comparison.em.responsibilities
        coefficients, covariance = comparison.em.coefficients, comparison.em.covariance
    else:
        taus = comparison.posterior_responsibilities
        coefficients = comparison.aligned["coefficients"].mean(("chain", "draw"))
        covariance = comparison.aligned["covariance"].mean(("chain", "draw"))
    n_rows = np.bincount(panel.unit, weights=_row_weights(panel), minlength=panel.n_units)
    share = n_rows @ taus.to_numpy() / n_rows.sum()
    return share, coefficients.to_numpy()[:, 0] * panel.covariates[0, 0], covariance.to_numpy()


def _row_weights(panel: Panel) -> FloatArray:
    """(N,) how often each row counts."""
    weights = panel.unit_weights
    return np.ones(panel.n_rows) if weights is None else weights[panel.unit]


def _densities(comparison: Comparison, panel: Panel) -> Drawing:
    y = panel.outcomes[:, 0]
    name = panel.outcome_names[0]
    bins = int(np.clip(2 * len(y) ** (1 / 2), 10, 80))
    margin = 0.08 * float(np.ptp(y))
    x = np.linspace(y.min() - margin, y.max() + margin, 400)
    figure, ((ax,),) = panels(1, 1, 8.2, 4.6)
    look: dict[str, Any] = {"color": GRID, "edgecolor": MUTED, "lw": 0.4}
    ax.hist(y, bins=bins, weights=_row_weights(panel), density=True, **look)
    for kind in COLORS:
        share, mean, covariance = _moments(comparison, kind)
        parts = share[:, None] * norm.pdf(x, mean[:, :1], np.sqrt(covariance[:, :1, 0]))
        ax.plot(x, parts.sum(axis=0), color=INK, ls=LINES[kind], lw=1.4)
        for k, density in enumerate(parts):
            ax.plot(x, density, color=class_color(k + 1), ls=LINES[kind], lw=2)
    ax.set(title=f"{name}: data and component densities", xlabel=name, ylabel="density")
    classes = class_keys(comparison.em.spec.n_components)
    legend_above(figure, *classes, key("mixture", color=INK), *_keys())
    return draw(
        figure,
        "class-means",
        "Component densities over the data",
        "Bars: the data. Curves: each component's density times its share, and their sum; EM "
        "solid, posterior means dashed. Look for bumps of the data that no component covers and "
        "for components that the backends place differently.",
        f"Histogram of {name} with the density of each component by EM and by the posterior. "
        + finding(comparison, "estimates"),
    )


def _ellipses(comparison: Comparison, panel: Panel) -> Drawing:
    names = panel.outcome_names[:_MOST_OUTCOMES]
    rows = evenly_spaced(panel.n_rows, _MOST_POINTS)
    m = len(names)
    # The lower triangle of the pairs: every row and column shares its axis.
    side = m - 1
    figure = Figure(figsize=(8.2, 5.8) if side == 1 else (9.4, 8.8), layout="constrained")
    axes = figure.subplots(side, side, sharex="col", sharey="row", squeeze=False)
    for number, ax in enumerate(axes.flat):
        i, j = divmod(number, side)
        if j > i:
            ax.set_visible(False)
            continue
        _pair(ax, comparison, panel, rows, (j, i + 1), fine=side > 2)
        ax.set_xlabel(names[j] if i == side - 1 else "")
        ax.set_ylabel(names[i + 1] if j == 0 else "")
    legend_above(figure, *class_keys(comparison.em.spec.n_components), *_keys())
    others = ", ".join(panel.outcome_names[_MOST_OUTCOMES:])
    return draw(
        figure,
        "class-means",
        "Classes over the data" + ("" if m == 2 else ", for every pair of outcomes"),
        "Points: rows, coloured by EM's most probable class. Ellipses: one, two and three "
        "standard deviations about each class's mean, which hold 39, 86 and 99 % of a normal "
        "class; EM solid, posterior means dashed. Look for ellipses that part, and for one that "
        "has shrunk onto a few points."
        + (f" Not shown: {others}." if others else "")
        + shown_note(len(rows), panel.n_rows, "rows"),
        f"Scatter plots of every pair of {', '.join(names)} with the ellipses of each class by EM "
        "and by the posterior. " + finding(comparison, "estimates"),
    )


def _pair(
    ax: Axes,
    comparison: Comparison,
    panel: Panel,
    rows: IntArray,
    pair: tuple[int, int],
    *,
    fine: bool,
) -> None:
    """One outcome against another; `fine` for panels that are small."""
    places = list(pair)
    row_class = likeliest(comparison.em)[panel.unit]
    for k in range(comparison.em.spec.n_components):
        of_class = rows[row_class[rows] == k]
        ax.plot(
            *panel.outcomes[np.ix_(of_class, places)].T,
            "o",
            color=class_color(k + 1),
            ms=2.2 if fine else 3.4,
            alpha=0.5,
            mew=0,
            rasterized=len(rows) > 300,
        )
    for kind in COLORS:
        _, mean, covariance = _moments(comparison, kind)
        for k in range(len(mean)):
            part = covariance[k][np.ix_(places, places)]
            _ellipse(ax, mean[k, places], part, class_color(k + 1), kind, fine=fine)


def _ellipse(
    ax: Axes, mean: FloatArray, covariance: FloatArray, color: str, kind: str, *, fine: bool
) -> None:
    angle = np.linspace(0, 2 * np.pi, 121)
    values, vectors = np.linalg.eigh(covariance)
    circle = vectors @ (np.sqrt(values)[:, None] * np.stack([np.cos(angle), np.sin(angle)]))
    for radius in (1, 2, 3):
        x, y = mean[:, None] + radius * circle
        width = (2.2 - 0.4 * radius) * (0.7 if fine else 1)
        # Dark, or the dashes would not show on top of EM's line of the same colour.
        line, width = (INK, 0.5 * width) if kind == "posterior" else (color, width)
        ax.plot(x, y, color=line, ls=LINES[kind], lw=width)
    size = 3.5 if fine else 6
    ax.plot(*mean, MARKERS[kind], color=color, ms=size, mec=INK, mew=0.6)


def _keys() -> list[Line2D]:
    looks = (("maximum", MUTED, 2), ("posterior", INK, 1))
    return [key(NAMES[kind], color=color, lw=lw, ls=LINES[kind]) for kind, color, lw in looks]
