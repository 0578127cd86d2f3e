"""Figures of the model's checks: data drawn from the prior and from the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch

from mixcompare.base.arrays import FloatArray, evenly_spaced
from mixcompare.checking.trees import predictive_draws
from mixcompare.comparison import Comparison
from mixcompare.data.within import within_cells
from mixcompare.pages.palette import INK, MUTED, class_color
from mixcompare.pages.panels import key, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.data import curve_grid, only_variable
from mixcompare.report.figures.units import less_cells, shown_note, unit_paths

_BINS = 32
_MOST_CURVES = 80
_MOST_PATHS = 300


def replicated(comparison: Comparison) -> Drawing | None:
    """Histograms of observed outcomes by class over replicated ones, if the draws can tell."""
    if not comparison.judged:
        return None
    tree, panel = comparison.predictive_check.tree, comparison.em.panel
    outcomes = predictive_draws(tree, "posterior_predictive", panel)
    classes = tree["posterior_predictive_classes"]["classes"].to_numpy()[0][:, panel.unit]
    drawn = within_cells(outcomes, panel.cell)
    observed = within_cells(panel.outcomes, panel.cell)
    k, m = comparison.em.spec.n_components, len(panel.outcome_names)
    figure, axes = panels(k, 4, 9.4, 2.7, groups=m)
    for j, name in enumerate(panel.outcome_names):
        for c, ax in enumerate(axes[j]):
            _histograms(ax, drawn[..., j], observed[:, j], classes == c + 1, c + 1)
            ax.set_xlabel(name + less_cells(panel))
            ax.set_ylabel("share of the rows" if c % 4 == 0 else "")
            ax.set_title(f"class {c + 1}", color=class_color(c + 1))
    legend_above(
        figure,
        Patch(color=MUTED, alpha=0.4, label="replicated, 95 % of the draws"),
        key("observed, mean over the draws' classes", color=INK, lw=1.6),
    )
    return draw(
        figure,
        "replicated",
        "Observed and replicated outcomes by class",
        "Each draw gives every unit a class and new rows. The line is the data, the band what the "
        "model produces. Look for a line that leaves its band: tails, skewness or several humps "
        "that a normal class cannot have.",
        f"Histograms of {', '.join(panel.outcome_names)} by class, observed over replicated. "
        + comparison.predictive_check.sentence,
    )


def _histograms(
    ax: Axes, drawn: FloatArray, observed: FloatArray, of_class: np.ndarray, component: int
) -> None:
    if not of_class.any():
        return
    both = np.concatenate([drawn[of_class], *(observed[mine] for mine in of_class)])
    edges = _edges(both, 0.0005)
    pairs = zip(drawn, of_class, strict=True)
    new = np.array([_shares(values[mine], edges) for values, mine in pairs])
    old = np.array([_shares(observed[mine], edges) for mine in of_class])
    _stairs(ax, edges, new, np.nanmean(old, axis=0), color=class_color(component), alpha=0.35)


def _stairs(ax: Axes, edges: FloatArray, drawn: FloatArray, line: FloatArray, **look: Any) -> None:
    """A histogram as a line over the 95 % band of others."""
    lower, upper = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    ax.stairs(upper, edges, baseline=lower, fill=True, **look)
    ax.stairs(line, edges, color=INK, lw=1.6)


def _edges(values: FloatArray, cut: float) -> FloatArray:
    low, high = np.quantile(values, [cut, 1 - cut])
    return np.linspace(float(low), float(high), _BINS + 1)


def _shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    counts = np.histogram(values, edges)[0]
    return np.asarray(counts / len(values)) if len(values) else np.full(len(counts), np.nan)


def prior_data(comparison: Comparison) -> Drawing:
    """The prior's class means over the data, or its outcomes beside the observed ones."""
    panel = comparison.em.panel
    variable = only_variable(panel)
    m = len(panel.outcome_names)
    figure, (axes,) = panels(m, 2, 9.4 if m > 1 else 8.2, 3.6)
    drawn = min(panel.n_units, _MOST_PATHS)
    if variable is None:
        for j, ax in enumerate(axes):
            _prior_histogram(ax, comparison, j)
        handles = [
            Patch(color=MUTED, alpha=0.4, label="data from the prior, 95 % of the draws"),
            key("observed", color=INK, lw=1.6),
        ]
        what = (
            "Grey: 95 % of the histograms of data drawn from the prior. Line: the data. The prior "
            "should allow the data without spreading far beyond them."
        )
    else:
        for j, ax in enumerate(axes):
            _prior_curves(ax, comparison, variable, j)
        handles = [
            key("class means from the prior", color=MUTED, lw=1),
            key("units", color=INK, lw=1),
        ]
        what = (
            "Grey: class-mean curves drawn from the prior. Over them: the units' data. The prior "
            "should allow the data without expecting curves that nobody would believe."
            + shown_note(drawn, panel.n_units, "units")
        )
    legend_above(figure, *handles)
    return draw(
        figure,
        "prior-data",
        "What the prior expects",
        what,
        f"Prior expectations of {', '.join(panel.outcome_names)} beside the data. "
        + comparison.prior_check.sentence,
    )


def _prior_histogram(ax: Axes, comparison: Comparison, j: int) -> None:
    panel = comparison.em.panel
    outcomes = predictive_draws(comparison.prior_check.tree, "prior_predictive", panel)
    drawn = within_cells(outcomes, panel.cell)[..., j]
    observed = within_cells(panel.outcomes, panel.cell)[:, j]
    within = _edges(drawn, 0.01)
    low, high = min(within[0], observed.min()), max(within[-1], observed.max())
    edges = np.linspace(float(low), float(high), _BINS + 1)
    shares = np.array([_shares(values, edges) for values in drawn])
    _stairs(ax, edges, shares, _shares(observed, edges), color=MUTED, alpha=0.4)
    ax.set_title(f"{panel.outcome_names[j]}: the prior's data and the observed")
    ax.set(xlabel=panel.outcome_names[j] + less_cells(panel), ylabel="share of the rows")


def _prior_curves(ax: Axes, comparison: Comparison, variable: str, j: int) -> None:
    panel = comparison.em.panel
    grid = curve_grid(panel, variable)
    drawn = comparison.prior_check.tree["prior"]["coefficients"].to_numpy()[0, :, :, :, j]
    curves = np.einsum("skp,xp->skx", drawn, grid.covariates).reshape(-1, len(grid.x))
    curves = curves[:: max(1, len(curves) // _MOST_CURVES)]
    ax.plot(grid.x, curves.T, color=MUTED, lw=0.8, alpha=0.5)
    y = within_cells(panel.outcomes, panel.cell)[:, j]
    paths = unit_paths(panel, variable, y, evenly_spaced(panel.n_units, _MOST_PATHS))
    ax.add_collection(LineCollection(paths, colors=INK, lw=0.6, alpha=0.5))
    low, high = np.quantile(curves, [0.05, 0.95])
    margin = 0.05 * (max(high, y.max()) - min(low, y.min()))
    ax.set_ylim(min(low, y.min()) - margin, max(high, y.max()) + margin)
    ax.set_title(f"{panel.outcome_names[j]} by {variable}: the prior's classes and the data")
    ax.set(xlabel=variable, ylabel=panel.outcome_names[j] + less_cells(panel))
