"""Units' paths class by class, with the class's mean curve and its uncertainty."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_cells
from mixcompare.fits.summary import Z
from mixcompare.pages.formatting import counted
from mixcompare.pages.palette import INK, LINES, MUTED, NAMES, class_color
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.data import (
    CurveGrid,
    class_grids,
    data_limits,
    only_variable,
    shown_note,
)
from mixcompare.report.wording import finding

_MOST_PATHS = 120
_MOST_DRAWS = 500
_MOST_CLASSES = 9
_MOST_OUTCOMES = 4


def class_paths(comparison: Comparison) -> Drawing | None:
    """A panel per class: paths of its units, its mean by both backends, 95 % intervals."""
    panel = comparison.em.panel
    variable = only_variable(panel)
    # With one row a unit, there are no paths.
    if variable is None or panel.n_rows < 1.5 * panel.n_units:
        return None
    k = min(comparison.em.spec.n_components, _MOST_CLASSES)
    m = min(len(panel.outcome_names), _MOST_OUTCOMES)
    columns = min(k, 3)
    rows = -(-k // columns)
    figure = Figure(figsize=(9.4, 0.6 + 2.9 * m * rows), layout="constrained")
    axes = figure.subplots(m * rows, columns, sharex=True, sharey="row", squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    em_class = comparison.em.responsibilities.to_numpy().argmax(axis=1)
    outcomes = within_cells(panel.outcomes, panel.cell)
    grids = class_grids(panel, variable, em_class, comparison.em.spec.n_components)
    less = ", less its cell's mean" if panel.cell is not None else ""
    members = [np.flatnonzero(em_class == component) for component in range(k)]
    drawn = [_thinned(units) for units in members]
    for j in range(m):
        for component in range(k):
            ax = axes[j * rows + component // columns, component % columns]
            ax.set_visible(True)
            x, y = panel.variables[variable], outcomes[:, j]
            _paths(ax, panel, x, y, drawn[component], component)
            _mean_of_em(ax, comparison, grids[component], component, j)
            _mean_of_posterior(ax, comparison, grids[component], component, j)
            ax.set_ylim(*data_limits(outcomes[:, j]))
            units = counted(len(members[component]), "unit")
            ax.set_title(f"class {component + 1}: {units}", color=class_color(component + 1))
            ax.set_xlabel(variable)
            ax.set_ylabel(f"{panel.outcome_names[j]}{less}" if component % columns == 0 else "")
    _legend(figure)
    return draw(
        figure,
        "class-paths",
        "Units' paths and class means, class by class",
        "Thin: units whose most probable class by EM is the panel's"
        + ". Solid: EM's mean, between thin lines that bound its 95 % interval. Dashed: posterior "
        "mean in its 95 % band. The intervals are of the mean, not of the units: units scatter "
        "more widely. Look for paths that bend where the mean does not."
        + shown_note(sum(map(len, drawn)), sum(map(len, members)), "units"),
        f"Paths of the units along {variable} in one panel per class with the class's mean curve "
        "and its uncertainty by EM and by the posterior. " + finding(comparison, "model fit"),
    )


def _thinned(units: IntArray) -> IntArray:
    """Of a class's units those that are shown, evenly spaced."""
    if not len(units):
        return units
    return units[np.unique(np.linspace(0, len(units) - 1, _MOST_PATHS).astype(np.intp))]


def _paths(
    ax: Axes, panel: Panel, x: FloatArray, y: FloatArray, drawn: IntArray, component: int
) -> None:
    lines = []
    for unit in drawn:
        rows = np.flatnonzero(panel.unit == unit)
        rows = rows[np.argsort(x[rows], kind="stable")]
        lines.append(np.column_stack([x[rows], y[rows]]))
    color = class_color(component + 1)
    ax.add_collection(LineCollection(lines, colors=color, lw=0.7, alpha=0.45))
    ax.autoscale_view()


def _mean_of_em(
    ax: Axes, comparison: Comparison, grid: CurveGrid, component: int, outcome: int
) -> None:
    coefficients = comparison.em.coefficients.to_numpy()[component, :, outcome]
    mean = grid.covariates @ coefficients
    covariance = _covariance(comparison, component, outcome)
    spread = np.einsum("gi,ij,gj->g", grid.covariates, covariance, grid.covariates)
    with np.errstate(invalid="ignore"):  # standard errors that are withheld are NaN
        error = Z * np.sqrt(spread)
    ax.plot(grid.x, mean, color=INK, lw=1.8)
    for bound in (mean - error, mean + error):
        ax.plot(grid.x, bound, color=INK, lw=0.6)


def _covariance(comparison: Comparison, component: int, outcome: int) -> FloatArray:
    """(p, p) covariance of the errors of a class's coefficients for an outcome."""
    places = {
        position: number
        for number, parameter in enumerate(comparison.em.parameters)
        if parameter.variable == "coefficients"
        for position in parameter.positions
    }
    of_class = [places[component, i, outcome] for i in range(len(comparison.em.covariate_names))]
    return comparison.em.errors.covariance[np.ix_(of_class, of_class)]


def _mean_of_posterior(
    ax: Axes, comparison: Comparison, grid: CurveGrid, component: int, outcome: int
) -> None:
    draws = comparison.aligned["coefficients"].to_numpy()[:, :, component, :, outcome]
    draws = draws.reshape(-1, draws.shape[-1])
    curves = draws[:: max(1, len(draws) // _MOST_DRAWS)] @ grid.covariates.T
    lower, upper = np.quantile(curves, [0.025, 0.975], axis=0)
    color = class_color(component + 1)
    ax.fill_between(grid.x, lower, upper, color=color, alpha=0.45, lw=0, zorder=1.8)
    ax.plot(grid.x, grid.covariates @ draws.mean(axis=0), color=INK, lw=1.1, ls=LINES["posterior"])


def _legend(figure: Figure) -> None:
    figure.legend(
        handles=[
            Line2D([], [], color=INK, lw=1.8, label=f"{NAMES['maximum']} mean"),
            Line2D([], [], color=INK, lw=0.6, label=f"{NAMES['maximum']} 95 % interval"),
            Line2D(
                [], [], color=INK, lw=1.1, ls=LINES["posterior"], label=f"{NAMES['posterior']} mean"
            ),
            Patch(color=MUTED, alpha=0.45, label=f"{NAMES['posterior']} 95 % band"),
        ],
        loc="outside upper center",
        ncols=4,
    )
