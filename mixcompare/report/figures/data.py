"""What the classes mean: fitted classes over the data, in the view that the model allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_cells
from mixcompare.pages.palette import INK, LINES, MUTED, NAMES, SURFACE, class_color
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.mixture import gaussian_mixture
from mixcompare.report.wording import finding

_MOST_PATHS = 300
_MOST_POINTS = 3000
_MOST_DRAWS = 500
# Of the points of a curve, which is smooth.
_MOST_PLACES = 400


def class_means(comparison: Comparison) -> Drawing:
    """Class-mean curves, mixture densities or ellipses, or fitted against observed."""
    panel = comparison.em.panel
    if panel.covariates.shape[1] == 1 and np.ptp(panel.covariates) == 0:
        return gaussian_mixture(comparison)
    variable = only_variable(panel)
    if variable is not None:
        return _curves(comparison, panel, variable)
    return _fitted_against_observed(comparison, panel)


def only_variable(panel: Panel) -> str | None:
    """Name of the one numeric variable that determines every covariate, if there is one."""
    if len(panel.variables) != 1:
        return None
    name, values = next(iter(panel.variables.items()))
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    same = np.allclose(panel.covariates[first][inverse], panel.covariates, rtol=1e-9, atol=1e-12)
    return name if same and len(first) > 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class CurveGrid:
    """Values of the variable (V,) and covariates (V, p) there, less what is absorbed."""

    x: FloatArray
    covariates: FloatArray

    def reached(self, values: FloatArray) -> CurveGrid:
        """The part where rows with these values are, but for a hundredth at the ends.

        Units of different length leave a class no rows at the far end, where its curve would
        run away and press all else flat.
        """
        if not len(values):
            return self
        low, high = np.quantile(values, [0.005, 0.995])
        within = (self.x >= low) & (self.x <= high)
        return CurveGrid(self.x[within], self.covariates[within])


def curve_grid(panel: Panel, variable: str) -> CurveGrid:
    """Where mean curves are drawn: the variable's distinct values, evenly thinned if many."""
    values = panel.variables[variable]
    x, first = np.unique(values, return_index=True)
    places = np.unique(np.linspace(0, len(x) - 1, _MOST_PLACES).astype(np.intp))
    x, first = x[places], first[places]
    covariates = panel.covariates[first]
    if panel.cell is not None:
        covariates = covariates - panel.covariates.mean(axis=0)
    return CurveGrid(x, covariates)


def class_grids(
    panel: Panel, variable: str, unit_class: IntArray, n_components: int
) -> list[CurveGrid]:
    """For each class the part of the grid that rows of its units reach.

    Parameters
    ----------
    unit_class
        (G,) classes of the units, from 0.
    """
    grid, values = curve_grid(panel, variable), panel.variables[variable]
    row_class = unit_class[panel.unit]
    return [grid.reached(values[row_class == k]) for k in range(n_components)]


def data_limits(values: FloatArray) -> tuple[float, float]:
    """Limits of an axis of data; a band that is far wider may leave the picture."""
    low, high = float(values.min()), float(values.max())
    margin = 0.15 * (high - low) or 1.0
    return low - margin, high + margin


def _curves(comparison: Comparison, panel: Panel, variable: str) -> Drawing:
    outcomes = within_cells(panel.outcomes, panel.cell)
    em_class = comparison.em.responsibilities.to_numpy().argmax(axis=1)
    drawn = thinned_units(panel.n_units)
    grids = class_grids(panel, variable, em_class, comparison.em.spec.n_components)
    m = len(panel.outcome_names)
    columns = min(m, 2)
    rows = -(-m // columns)
    width = 9.4 if columns == 2 else 8.2
    figure = Figure(figsize=(width, (4.9 if m == 1 else 3.9) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[m:]:
        ax.set_visible(False)
    for j, ax in enumerate(axes.flat[:m]):
        _paths(ax, panel, panel.variables[variable], outcomes[:, j], em_class, drawn)
        _class_curves(ax, comparison, grids, j)
        ax.set_ylim(*data_limits(outcomes[:, j]))
        ax.set_xlabel(variable)
        within = ", less its cell's mean" if panel.cell is not None else ""
        ax.set_ylabel(f"{panel.outcome_names[j]}{within}")
        ax.set_title(f"{panel.outcome_names[j]} by {variable}, units and class means")
    _legend(figure, comparison.em.spec.n_components)
    return draw(
        figure,
        "class-means",
        "Class-mean curves over the data",
        "Thin: units, coloured by EM's most probable class. Thick: class means, EM solid, "
        "posterior mean dashed on top of it, with its 95 % band. Look for dashed and solid "
        "lines that part, and for classes whose curve does not run through its own units. Curves "
        "end where their class has no rows."
        + shown_note(len(drawn), panel.n_units, "units")
        + (
            " Outcome and curves are shown without the absorbed effects." * (panel.cell is not None)
        ),
        f"Values of {', '.join(panel.outcome_names)} against {variable} for each unit with the "
        "mean curve of each class by EM and by the posterior. " + finding(comparison, "estimates"),
    )


def thinned_units(count: int) -> IntArray:
    """Numbers of units that are shown, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, _MOST_PATHS).astype(np.intp))


def shown_note(drawn: int, total: int, what: str) -> str:
    """A sentence for a caption, if not everything is shown."""
    return f" {drawn:,} of {total:,} {what} are shown, evenly spaced." if drawn < total else ""


def _paths(
    ax: Axes, panel: Panel, x: FloatArray, y: FloatArray, em_class: IntArray, drawn: IntArray
) -> None:
    paths: dict[int, list[FloatArray]] = {}
    for unit in drawn:
        rows = np.flatnonzero(panel.unit == unit)
        rows = rows[np.argsort(x[rows], kind="stable")]
        paths.setdefault(int(em_class[unit]), []).append(np.column_stack([x[rows], y[rows]]))
    several = panel.n_rows > 1.5 * panel.n_units
    for k, lines in sorted(paths.items()):
        color = class_color(k + 1)
        if several:
            ax.add_collection(
                LineCollection(lines, colors=color, lw=0.7, alpha=0.4, rasterized=len(drawn) > 150)
            )
        points = np.concatenate(lines)
        size, alpha = (0, 0) if several else (3, 0.6)
        ax.plot(*points.T, "o", color=color, ms=size, alpha=alpha, rasterized=True)


def _class_curves(
    ax: Axes, comparison: Comparison, grids: Sequence[CurveGrid], outcome: int
) -> None:
    em = comparison.em.coefficients.to_numpy()[:, :, outcome]
    draws = comparison.aligned["coefficients"].to_numpy()[..., outcome]
    draws = draws.reshape(-1, *draws.shape[2:])
    draws = draws[:: max(1, len(draws) // _MOST_DRAWS)]
    mean = comparison.aligned["coefficients"].mean(("chain", "draw")).to_numpy()[..., outcome]
    outline = [withStroke(linewidth=4.5, foreground=SURFACE)]
    for k, grid in enumerate(grids):
        color = class_color(k + 1)
        lower, upper = np.quantile(draws[:, k] @ grid.covariates.T, [0.025, 0.975], axis=0)
        ax.fill_between(grid.x, lower, upper, color=color, alpha=0.28, lw=0, zorder=3)
        ax.plot(
            grid.x, grid.covariates @ em[k], color=color, lw=2.6, zorder=4, path_effects=outline
        )
        # Dark, or the dashes would not show on top of EM's line of the same colour.
        ax.plot(
            grid.x, grid.covariates @ mean[k], color=INK, lw=1.2, ls=LINES["posterior"], zorder=5
        )


def _legend(figure: Figure, n_components: int) -> None:
    classes = [Patch(color=class_color(k), label=f"class {k}") for k in range(1, n_components + 1)]
    lines = [
        Line2D([], [], color=MUTED, lw=2.6, ls="-", label=f"{NAMES['maximum']} mean"),
        Line2D(
            [], [], color=INK, lw=1.2, ls=LINES["posterior"], label=f"{NAMES['posterior']} mean"
        ),
        Patch(color=MUTED, alpha=0.4, label="posterior 95 % band"),
    ]
    figure.legend(
        handles=[*classes, *lines], loc="outside upper center", ncols=min(6, n_components + 3)
    )


def _fitted_against_observed(comparison: Comparison, panel: Panel) -> Drawing:
    outcomes = within_cells(panel.outcomes, panel.cell)
    covariates = within_cells(panel.covariates, panel.cell)
    row_class = comparison.em.responsibilities.to_numpy().argmax(axis=1)[panel.unit]
    rows = np.unique(np.linspace(0, panel.n_rows - 1, _MOST_POINTS).astype(np.intp))
    k, m = comparison.em.spec.n_components, len(panel.outcome_names)
    columns = min(k, 4)
    lines = -(-k // columns)
    figure = Figure(figsize=(9.4, m * lines * (2.9 if columns > 1 else 4.5)), layout="constrained")
    axes = figure.subplots(m * lines, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for j, name in enumerate(panel.outcome_names):
        for component in range(k):
            ax = axes[j * lines + component // columns, component % columns]
            ax.set_visible(True)
            of_class = rows[row_class[rows] == component]
            _agreement_panel(ax, comparison, component, j, outcomes[of_class], covariates[of_class])
            ax.set_ylabel(f"{name} observed" if component % columns == 0 else "")
    figure.supxlabel("fitted mean of the unit's class" + _within(panel), fontsize=10)
    figure.legend(
        handles=[
            Line2D([], [], color=MUTED, marker="o", ls="", ms=4, label=NAMES["maximum"]),
            Line2D(
                [], [], color=MUTED, marker="+", ls="", ms=6, label=f"{NAMES['posterior']} mean"
            ),
        ],
        loc="outside upper center",
        ncols=2,
    )
    return draw(
        figure,
        "class-means",
        "Fitted against observed, by class",
        "Rows of units whose most probable class by EM is the panel's; dots are fitted by EM, "
        "crosses by the posterior mean. Points should scatter evenly about the diagonal; a bend "
        "means that the class's regression misses something."
        + shown_note(len(rows), panel.n_rows, "rows")
        + (" Both axes are without the absorbed effects." * (panel.cell is not None)),
        "Observed outcomes against fitted means of the unit's own class, one panel per class. "
        + finding(comparison, "model fit"),
    )


def _within(panel: Panel) -> str:
    return ", less its cell's mean" if panel.cell is not None else ""


def _agreement_panel(
    ax: Axes,
    comparison: Comparison,
    component: int,
    outcome: int,
    observed: FloatArray,
    covariates: FloatArray,
) -> None:
    color = class_color(component + 1)
    em = covariates @ comparison.em.coefficients.to_numpy()[component, :, outcome]
    mean = comparison.aligned["coefficients"].mean(("chain", "draw")).to_numpy()
    posterior = covariates @ mean[component, :, outcome]
    y = observed[:, outcome]
    ax.plot(em, y, "o", color=color, ms=2.6, alpha=0.55, mew=0, rasterized=True)
    ax.plot(posterior, y, "+", color=color, ms=4, alpha=0.55, mew=0.6, rasterized=True)
    if len(y):
        ends = [float(min(em.min(), y.min())), float(max(em.max(), y.max()))]
        ax.plot(ends, ends, color=MUTED, lw=1)
    ax.set_title(f"class {component + 1}", color=color)
