"""Units' paths class by class, with the class's mean curve and its uncertainty."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch

from mixcompare.base.arrays import FloatArray, evenly_spaced
from mixcompare.comparison import Comparison
from mixcompare.data.within import within_cells
from mixcompare.fits.summary import Z
from mixcompare.pages.formatting import counted
from mixcompare.pages.palette import INK, LINES, MUTED, NAMES, class_color
from mixcompare.pages.panels import key, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.data import (
    CurveGrid,
    class_grids,
    data_limits,
    only_variable,
    posterior_curves,
)
from mixcompare.report.figures.units import less_cells, likeliest, shown_note, unit_paths
from mixcompare.report.wording import finding

_MOST_PATHS = 120
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
    figure, axes = panels(k, 3, 9.4, 2.9, more=0.6, groups=m, sharex=True, sharey="row")
    em_class = likeliest(comparison.em)
    outcomes = within_cells(panel.outcomes, panel.cell)
    grids = class_grids(panel, variable, em_class, comparison.em.spec.n_components)
    members = [np.flatnonzero(em_class == component) for component in range(k)]
    drawn = [units[evenly_spaced(len(units), _MOST_PATHS)] for units in members]
    for j in range(m):
        for component, ax in enumerate(axes[j]):
            color, grid = class_color(component + 1), grids[component]
            lines = unit_paths(panel, variable, outcomes[:, j], drawn[component])
            ax.add_collection(LineCollection(lines, colors=color, lw=0.7, alpha=0.45))
            ax.autoscale_view()
            _mean_of_em(ax, comparison, grid, component, j)
            mean, lower, upper = posterior_curves(comparison, grid, component, j)
            ax.fill_between(grid.x, lower, upper, color=color, alpha=0.45, lw=0, zorder=1.8)
            ax.plot(grid.x, mean, color=INK, lw=1.1, ls=LINES["posterior"])
            ax.set_ylim(*data_limits(outcomes[:, j]))
            units = counted(len(members[component]), "unit")
            ax.set_title(f"class {component + 1}: {units}", color=color)
            ax.set_xlabel(variable)
            name = panel.outcome_names[j] + less_cells(panel)
            ax.set_ylabel(name if component % 3 == 0 else "")
    legend_above(
        figure,
        key(f"{NAMES['maximum']} mean", color=INK, lw=1.8),
        key(f"{NAMES['maximum']} 95 % interval", color=INK, lw=0.6),
        key(f"{NAMES['posterior']} mean", color=INK, lw=1.1, ls=LINES["posterior"]),
        Patch(color=MUTED, alpha=0.45, label=f"{NAMES['posterior']} 95 % band"),
    )
    return draw(
        figure,
        "class-paths",
        "Units' paths and class means, class by class",
        "Thin: units whose most probable class by EM is the panel's. Solid: EM's mean, between "
        "thin lines that bound its 95 % interval. Dashed: posterior mean in its 95 % band. The "
        "intervals are of the mean, not of the units: units scatter more widely. Look for paths "
        "that bend where the mean does not."
        + shown_note(sum(map(len, drawn)), sum(map(len, members)), "units"),
        f"Paths of the units along {variable} in one panel per class with the class's mean curve "
        "and its uncertainty by EM and by the posterior. " + finding(comparison, "model fit"),
    )


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
