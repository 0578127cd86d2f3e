"""Mixtures without covariates: densities for one outcome, ellipses for several."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import norm

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.pages.palette import COLORS, GRID, INK, LINES, MARKERS, MUTED, NAMES, class_color
from mixcompare.pages.rendering import Drawing, draw
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
    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    ax = figure.subplots()
    ax.hist(
        y, bins=bins, weights=_row_weights(panel), density=True, color=GRID, edgecolor=MUTED, lw=0.4
    )
    for kind in COLORS:
        share, mean, covariance = _moments(comparison, kind)
        parts = share[:, None] * norm.pdf(x, mean[:, :1], np.sqrt(covariance[:, :1, 0]))
        ax.plot(x, parts.sum(axis=0), color=INK, ls=LINES[kind], lw=1.4)
        for k, density in enumerate(parts):
            ax.plot(x, density, color=class_color(k + 1), ls=LINES[kind], lw=2)
    ax.set_xlabel(name)
    ax.set_ylabel("density")
    ax.set_title(f"{name}: data and component densities")
    _legend(figure, comparison.em.spec.n_components, Line2D([], [], color=INK, label="mixture"))
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
    rows = np.unique(np.linspace(0, panel.n_rows - 1, _MOST_POINTS).astype(np.intp))
    m = len(names)
    # The lower triangle of the pairs: every row and column shares its axis.
    side = m - 1
    size = (8.2, 5.8) if side == 1 else (9.4, 8.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(side, side, sharex="col", sharey="row", squeeze=False)
    for number, ax in enumerate(axes.flat):
        i, j = divmod(number, side)
        if j > i:
            ax.set_visible(False)
            continue
        _pair(ax, comparison, panel, rows, (j, i + 1), fine=side > 2)
        ax.set_xlabel(names[j] if i == side - 1 else "")
        ax.set_ylabel(names[i + 1] if j == 0 else "")
    _legend(figure, comparison.em.spec.n_components)
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
        + (
            f" {len(rows):,} of {panel.n_rows:,} rows are shown, evenly spaced."
            * (len(rows) < panel.n_rows)
        ),
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
    row_class = comparison.em.responsibilities.to_numpy().argmax(axis=1)[panel.unit]
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
        dark = kind == "posterior"
        ax.plot(
            x, y, color=INK if dark else color, ls=LINES[kind], lw=0.5 * width if dark else width
        )
    size = 3.5 if fine else 6
    ax.plot(*mean, MARKERS[kind], color=color, ms=size, mec=INK, mew=0.6)


def _legend(figure: Figure, n_components: int, *more: Line2D) -> None:
    classes = [Patch(color=class_color(k), label=f"class {k}") for k in range(1, n_components + 1)]
    lines = [
        Line2D([], [], color=color, lw=width, ls=LINES[kind], label=NAMES[kind])
        for kind, color, width in (("maximum", MUTED, 2), ("posterior", INK, 1))
    ]
    figure.legend(
        handles=[*classes, *more, *lines],
        loc="outside upper center",
        ncols=min(6, n_components + 3),
    )
