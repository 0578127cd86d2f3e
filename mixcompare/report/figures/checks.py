"""Figures of the model's checks: data drawn from the prior and from the posterior."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.checking.trees import predictive_draws
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_cells
from mixcompare.pages.palette import INK, MUTED, class_color
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.data import (
    curve_grid,
    only_variable,
    shown_note,
    thinned_units,
)

_BINS = 32
_MOST_CURVES = 80


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
    columns = min(k, 4)
    lines = -(-k // columns)
    figure = Figure(figsize=(9.4, 2.7 * m * lines), layout="constrained")
    axes = figure.subplots(m * lines, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for j, name in enumerate(panel.outcome_names):
        for c in range(k):
            ax = axes[j * lines + c // columns, c % columns]
            ax.set_visible(True)
            _histograms(ax, drawn[..., j], observed[:, j], classes == c + 1, c + 1)
            ax.set_xlabel(name + _within(panel))
            ax.set_ylabel("share of the rows" if c % columns == 0 else "")
            ax.set_title(f"class {c + 1}", color=class_color(c + 1))
    figure.legend(
        handles=[
            Patch(color=MUTED, alpha=0.4, label="replicated, 95 % of the draws"),
            Line2D([], [], color=INK, lw=1.6, label="observed, mean over the draws' classes"),
        ],
        loc="outside upper center",
        ncols=2,
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
    ax: Axes,
    drawn: FloatArray,
    observed: FloatArray,
    of_class: np.ndarray,
    component: int,
) -> None:
    if not of_class.any():
        return
    both = np.concatenate([drawn[of_class], *(observed[mine] for mine in of_class)])
    edges = _edges(both, 0.0005)
    new = np.array(
        [_shares(values[mine], edges) for values, mine in zip(drawn, of_class, strict=True)]
    )
    old = np.array([_shares(observed[mine], edges) for mine in of_class])
    lower, upper = np.nanquantile(new, [0.025, 0.975], axis=0)
    ax.stairs(upper, edges, baseline=lower, fill=True, color=class_color(component), alpha=0.35)
    ax.stairs(np.nanmean(old, axis=0), edges, color=INK, lw=1.6)


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
    columns = min(m, 2)
    rows = -(-m // columns)
    figure = Figure(figsize=(9.4 if columns == 2 else 8.2, 3.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[m:]:
        ax.set_visible(False)
    for j, ax in enumerate(axes.flat[:m]):
        if variable is None:
            _prior_histogram(ax, comparison, j)
        else:
            _prior_curves(ax, comparison, variable, j)
    figure.legend(handles=_prior_legend(variable), loc="outside upper center", ncols=2)
    what = (
        "Grey: class-mean curves drawn from the prior. Over them: the units' data. The prior "
        "should allow the data without expecting curves that nobody would believe."
        + shown_note(len(thinned_units(panel.n_units)), panel.n_units, "units")
        if variable is not None
        else "Grey: 95 % of the histograms of data drawn from the prior. Line: the data. The prior "
        "should allow the data without spreading far beyond them."
    )
    return draw(
        figure,
        "prior-data",
        "What the prior expects",
        what,
        f"Prior expectations of {', '.join(panel.outcome_names)} beside the data. "
        + comparison.prior_check.sentence,
    )


def _prior_legend(variable: str | None) -> list[Line2D | Patch]:
    if variable is None:
        return [
            Patch(color=MUTED, alpha=0.4, label="data from the prior, 95 % of the draws"),
            Line2D([], [], color=INK, lw=1.6, label="observed"),
        ]
    return [
        Line2D([], [], color=MUTED, lw=1, label="class means from the prior"),
        Line2D([], [], color=INK, lw=1, label="units"),
    ]


def _prior_histogram(ax: Axes, comparison: Comparison, j: int) -> None:
    panel = comparison.em.panel
    outcomes = predictive_draws(comparison.prior_check.tree, "prior_predictive", panel)
    drawn = within_cells(outcomes, panel.cell)[..., j]
    observed = within_cells(panel.outcomes, panel.cell)[:, j]
    within = _edges(drawn, 0.01)
    low, high = min(within[0], observed.min()), max(within[-1], observed.max())
    edges = np.linspace(float(low), float(high), _BINS + 1)
    shares = np.array([_shares(values, edges) for values in drawn])
    lower, upper = np.quantile(shares, [0.025, 0.975], axis=0)
    ax.stairs(upper, edges, baseline=lower, fill=True, color=MUTED, alpha=0.4)
    ax.stairs(_shares(observed, edges), edges, color=INK, lw=1.6)
    ax.set_title(f"{panel.outcome_names[j]}: the prior's data and the observed")
    ax.set_xlabel(panel.outcome_names[j] + _within(panel))
    ax.set_ylabel("share of the rows")


def _prior_curves(ax: Axes, comparison: Comparison, variable: str, j: int) -> None:
    panel = comparison.em.panel
    grid = curve_grid(panel, variable)
    drawn = comparison.prior_check.tree["prior"]["coefficients"].to_numpy()[0, :, :, :, j]
    curves = np.einsum("skp,xp->skx", drawn, grid.covariates).reshape(-1, len(grid.x))
    curves = curves[:: max(1, len(curves) // _MOST_CURVES)]
    ax.plot(grid.x, curves.T, color=MUTED, lw=0.8, alpha=0.5)
    y = within_cells(panel.outcomes, panel.cell)[:, j]
    x = panel.variables[variable]
    paths = [_path(panel, x, y, unit) for unit in thinned_units(panel.n_units)]
    ax.add_collection(LineCollection(paths, colors=INK, lw=0.6, alpha=0.5))
    low, high = np.quantile(curves, [0.05, 0.95])
    margin = 0.05 * (max(high, y.max()) - min(low, y.min()))
    ax.set_ylim(min(low, y.min()) - margin, max(high, y.max()) + margin)
    ax.set_title(f"{panel.outcome_names[j]} by {variable}: the prior's classes and the data")
    ax.set_xlabel(variable)
    ax.set_ylabel(panel.outcome_names[j] + _within(panel))


def _path(panel: Panel, x: FloatArray, y: FloatArray, unit: int | IntArray) -> FloatArray:
    rows = np.flatnonzero(panel.unit == unit)
    rows = rows[np.argsort(x[rows], kind="stable")]
    return np.column_stack([x[rows], y[rows]])


def _within(panel: Panel) -> str:
    return ", less its cell's mean" if panel.cell is not None else ""
