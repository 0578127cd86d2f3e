"""What the classes mean: fitted classes over the data, in the view that the model allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from mixcompare.base.arrays import FloatArray, IntArray, evenly_spaced
from mixcompare.comparison import Comparison
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_cells
from mixcompare.pages.palette import INK, LINES, MUTED, NAMES, SURFACE, class_color
from mixcompare.pages.panels import class_keys, key, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.mixture import gaussian_mixture
from mixcompare.report.figures.units import less_cells, likeliest, shown_note, unit_paths
from mixcompare.report.wording import finding

_MOST_PATHS: Final = 300
# Where more units are drawn, their paths are a picture.
_MOST_VECTORS: Final = 150
_MOST_POINTS: Final = 3000
_MOST_DRAWS: Final = 500
# Of the points of a curve, which is smooth.
_MOST_PLACES: Final = 400


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
    places = evenly_spaced(len(x), _MOST_PLACES)
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
    em_class = likeliest(comparison.em)
    drawn = evenly_spaced(panel.n_units, _MOST_PATHS)
    k, m = comparison.em.spec.n_components, len(panel.outcome_names)
    grids = class_grids(panel, variable, em_class, k)
    figure, (axes,) = panels(m, 2, 9.4 if m > 1 else 8.2, 3.9 if m > 1 else 4.9)
    for j, (ax, name) in enumerate(zip(axes, panel.outcome_names, strict=True)):
        for component in range(k):
            units = drawn[em_class[drawn] == component]
            _paths(ax, panel, unit_paths(panel, variable, outcomes[:, j], units), component)
        for component, grid in enumerate(grids):
            _class_curves(ax, comparison, grid, component, j)
        ax.set_ylim(*data_limits(outcomes[:, j]))
        ax.set(xlabel=variable, ylabel=name + less_cells(panel))
        ax.set_title(f"{name} by {variable}, units and class means")
    legend_above(
        figure,
        *class_keys(k),
        key(f"{NAMES['maximum']} mean", color=MUTED, lw=2.6, ls="-"),
        key(f"{NAMES['posterior']} mean", color=INK, lw=1.2, ls=LINES["posterior"]),
        Patch(color=MUTED, alpha=0.4, label="posterior 95 % band"),
    )
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


def posterior_curves(
    comparison: Comparison, grid: CurveGrid, component: int, outcome: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and 95 % band (V,) of a class's mean curve over the draws."""
    draws = comparison.aligned["coefficients"].to_numpy()[:, :, component, :, outcome]
    draws = draws.reshape(-1, draws.shape[-1])
    curves = draws[:: max(1, len(draws) // _MOST_DRAWS)] @ grid.covariates.T
    lower, upper = np.quantile(curves, [0.025, 0.975], axis=0)
    return grid.covariates @ draws.mean(axis=0), lower, upper


def _paths(ax: Axes, panel: Panel, paths: list[FloatArray], component: int) -> None:
    if not paths:
        return
    color, several = class_color(component + 1), panel.n_rows > 1.5 * panel.n_units
    if several:
        many = panel.n_units > _MOST_VECTORS
        ax.add_collection(LineCollection(paths, colors=color, lw=0.7, alpha=0.4, rasterized=many))
    size, alpha = (0, 0) if several else (3, 0.6)
    ax.plot(*np.concatenate(paths).T, "o", color=color, ms=size, alpha=alpha, rasterized=True)


def _class_curves(
    ax: Axes, comparison: Comparison, grid: CurveGrid, component: int, outcome: int
) -> None:
    color, coefficients = class_color(component + 1), comparison.em.coefficients.to_numpy()
    mean, lower, upper = posterior_curves(comparison, grid, component, outcome)
    ax.fill_between(grid.x, lower, upper, color=color, alpha=0.28, lw=0, zorder=3)
    outline = [withStroke(linewidth=4.5, foreground=SURFACE)]
    by_em = grid.covariates @ coefficients[component, :, outcome]
    ax.plot(grid.x, by_em, color=color, lw=2.6, zorder=4, path_effects=outline)
    # Dark, or the dashes would not show on top of EM's line of the same colour.
    ax.plot(grid.x, mean, color=INK, lw=1.2, ls=LINES["posterior"], zorder=5)


def _fitted_against_observed(comparison: Comparison, panel: Panel) -> Drawing:
    outcomes = within_cells(panel.outcomes, panel.cell)
    covariates = within_cells(panel.covariates, panel.cell)
    row_class = likeliest(comparison.em)[panel.unit]
    rows = evenly_spaced(panel.n_rows, _MOST_POINTS)
    k, m = comparison.em.spec.n_components, len(panel.outcome_names)
    figure, axes = panels(k, 4, 9.4, 2.9 if k > 1 else 4.5, groups=m)
    for j, name in enumerate(panel.outcome_names):
        for component, ax in enumerate(axes[j]):
            of_class = rows[row_class[rows] == component]
            _agreement_panel(ax, comparison, component, j, outcomes[of_class], covariates[of_class])
            ax.set_ylabel(f"{name} observed" if component % 4 == 0 else "")
    figure.supxlabel("fitted mean of the unit's class" + less_cells(panel), fontsize=10)
    legend_above(
        figure,
        key(NAMES["maximum"], color=MUTED, marker="o", ls="", ms=4),
        key(f"{NAMES['posterior']} mean", color=MUTED, marker="+", ls="", ms=6),
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
