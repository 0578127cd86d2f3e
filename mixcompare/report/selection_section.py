"""The section on the choice of K, from a selection that was made beside the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare import labels
from mixcompare.base.errors import DataError
from mixcompare.comparison import Comparison
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import Column, Formatter, Table, count, fixed, table
from mixcompare.pages.palette import INK, class_color, style
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.pages.shell import Section
from mixcompare.report.figures.data import CurveGrid, class_grids, only_variable
from mixcompare.report.figures.selection import plot_selection
from mixcompare.selection import Selection
from mixcompare.selection.criteria_table import APART, CRITERIA

ANCHOR: Final = "selection"
TRAJECTORIES: Final = "trajectories-by-k"
_INTRO: Final = (
    "The same model by EM with other numbers of classes. Criteria rank them; they do not show that "
    "classes exist, and they disagree for good reasons: AIC and often BIC count the classes of an "
    "approximation, ICL those that are told apart."
)


def choice_of_k(comparison: Comparison, selection: Selection) -> Section:
    """Criteria, class sizes and trajectories of every number of classes.

    Raises
    ------
    DataError
        If the selection is of another model or of other data.
    """
    _check(comparison, selection)
    with style():
        drawings = [_criteria(selection), _trajectories(comparison, selection)]
    tables = [_table(selection), _posterior(selection), _sizes(selection), _tests(selection)]
    return Section(
        ANCHOR,
        "Choice of the number of classes",
        (
            _INTRO,
            *_cautions(selection),
            f"{_best(selection)} This report is on K = {comparison.em.spec.n_components}.",
        ),
        tuple(drawing for drawing in drawings if drawing is not None),
        tuple(made for made in tables if made is not None),
    )


def _best(selection: Selection) -> str:
    said = (f"{CRITERIA[str(name)].title}: {k}" for name, k in selection.choices.items())
    return f"Best by {'; '.join(said)}."


def _check(comparison: Comparison, selection: Selection) -> None:
    reference, reason = comparison.em, ""
    for k, fit in selection.fits.items():
        plain = reference.spec.to_dict() | {"n_components": k}
        if fit.spec.to_dict() != plain:
            reason = "it has another model than the comparison"
        elif fit.fingerprint != reference.fingerprint:
            reason = "it was made on other data than the comparison"
    if reason:
        raise DataError(f"the selection does not belong to the report: {reason}.")


def _criteria(selection: Selection) -> Drawing:
    tested = "; p is a bootstrap test's, of one class more" if selection.tests is not None else ""
    below = ""
    if any(c.known(selection.table) for c in CRITERIA.values() if c.value is None):
        below = (
            "Below: how much worse than the best other numbers of classes predict a unit that was "
            "left out, and the log marginal likelihood under the priors of the model. "
        )
    return draw(
        plot_selection(selection),
        "criteria-by-k",
        "Fit, criteria and certainty by number of classes",
        f"Left: the maximum of the log-likelihood, which can only rise{tested}. Middle: criteria "
        "above their least value, which a ring marks. Right: how certain the classification is, "
        f"and the size of the smallest class. {below}Look for a rise that levels off, and for "
        "classes too small to mean anything.",
        "Log-likelihood, information criteria and relative entropy against the number of classes"
        f"{', and below them criteria of the posterior' if below else ''}. {_best(selection)}",
    )


def _trajectories(comparison: Comparison, selection: Selection) -> Drawing | None:
    """Mean curves of every model, a panel each."""
    panel = comparison.em.panel
    variable = only_variable(panel)
    if variable is None or comparison.em.spec.unit is None:
        return None
    fits = list(selection.fits.items())
    columns = min(len(fits), 3)
    rows = -(-len(fits) // columns)
    figure = Figure(figsize=(9.4, 0.4 + 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(fits) :]:
        ax.set_visible(False)
    for number, (ax, (k, fit)) in enumerate(zip(axes.flat, fits, strict=False)):
        unit_class = fit.responsibilities.to_numpy().argmax(axis=1)
        _curves(ax, fit, class_grids(panel, variable, unit_class, k))
        ax.set_title(f"K = {k}", color=INK)
        ax.set_xlabel(variable)
        ax.set_ylabel(panel.outcome_names[0] if number % columns == 0 else "")
    others = ", ".join(panel.outcome_names[1:])
    return draw(
        figure,
        TRAJECTORIES,
        "Class means of every model",
        "EM's mean curves, thicker for larger classes, labelled with the number of units. Look "
        "for curves that only split another one in two as K grows."
        + (f" Not shown: {others}." if others else ""),
        "Mean curves of the classes in one panel for each number of classes. " + _best(selection),
    )


def _curves(ax: Axes, fit: Fit, grids: Sequence[CurveGrid]) -> None:
    weights = fit.weights.to_numpy()
    sizes = _assigned(fit)
    for k, coefficients in enumerate(fit.coefficients.to_numpy()[..., 0]):
        grid = grids[k]
        mean = grid.covariates @ coefficients
        ax.plot(grid.x, mean, color=class_color(k + 1), lw=1 + 4 * weights[k])
        ax.annotate(
            f"{sizes[k]:,}",
            (grid.x[-1], mean[-1]),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=class_color(k + 1),
        )


def _assigned(fit: Fit) -> labels.IntArray:
    tau = fit.responsibilities.to_numpy()
    return np.bincount(tau.argmax(axis=1), minlength=tau.shape[1])


def _table(selection: Selection) -> Table:
    frame = selection.table
    names = {"log_likelihood": "log-likelihood", "n_parameters": "parameters"}
    names |= {name: c.title for name, c in CRITERIA.items() if c.value is not None}
    names |= {"entropy_r2": "relative entropy", "smallest_class": "smallest class"}
    formats = {"n_parameters": count, "entropy_r2": fixed(3), "smallest_class": fixed(1)}
    return table(
        "selection",
        "Criteria by number of classes",
        [
            (Column("K"), frame.index, str),
            *(
                (Column(title), frame[name], formats.get(name, fixed(2)))
                for name, title in names.items()
                if name in frame
            ),
            (Column("notes", numeric=False), frame["notes"], str),
        ],
    )


def _posterior(selection: Selection) -> Table | None:
    frame = selection.table
    if not any(c.known(frame) for c in CRITERIA.values() if c.value is None):
        return None
    columns: dict[str, tuple[Column, Formatter]] = {
        "posterior_status": (Column("posterior", numeric=False), str),
        "elpd_loo": (Column("elpd", "expected log predictive density by PSIS-LOO"), fixed(2)),
        "elpd_difference": (Column("difference", "of elpd from the best"), fixed(2)),
        "elpd_difference_se": (Column("its s.e.", "by the units' differences"), fixed(2)),
        "high_pareto_k": (Column("high Pareto k", "units with k above 0.7"), count),
        "log_evidence_bridge": (Column("log evidence, bridge", "bridge sampling"), fixed(2)),
        "log_evidence_bridge_error": (Column("error (bridge)", "relative, as of logs"), fixed(3)),
        "log_evidence_smc": (Column("log evidence, SMC", "sequential Monte Carlo"), fixed(2)),
        "log_evidence_smc_error": (
            Column("error (SMC)", "by the runs' spread, or by their own"),
            fixed(3),
        ),
        "evidence_apart": (
            Column("the two estimates", numeric=False),
            lambda apart: "contradict each other" if apart else "agree",
        ),
    }
    return table(
        "selection-posterior",
        "Criteria of the posterior by number of classes",
        [
            (Column("K"), frame.index, str),
            *(
                (heading, frame[name], how)
                for name, (heading, how) in columns.items()
                if name in frame
            ),
        ],
    )


def _cautions(selection: Selection) -> list[str]:
    """What keeps the criteria from being relied on."""
    frame = selection.table
    said = [f"With {k} classes: {text}" for k, text in frame["cautions"].items() if text]
    if "posterior_status" in frame:
        bad = frame.index[frame["posterior_status"] != "converged"]
        if len(bad):
            said.append(
                f"The chains have not converged with {_listed(bad)} classes: cross-validation and "
                "bridge sampling there rest on draws that may miss a mode."
            )
    if "evidence_apart" in frame:
        apart = frame.index[frame["evidence_apart"].astype(bool)]
        if len(apart):
            said.append(
                "Bridge sampling and sequential Monte Carlo are further apart than "
                f"{APART:g} standard errors of their difference with {_listed(apart)} classes: "
                "one of them has missed a mode, or its error is larger than stated. Use more "
                "draws before relying on either."
            )
    return said


def _listed(counts: pd.Index) -> str:
    *first, last = map(str, counts)
    return f"{', '.join(first)} and {last}" if first else last


def _sizes(selection: Selection) -> Table:
    sizes = {k: sorted(_assigned(fit), reverse=True) for k, fit in selection.fits.items()}
    return table(
        "selection-sizes",
        "Units by class of every model, assigned to their most probable class",
        [
            (Column("K"), list(sizes), str),
            (
                Column("units", numeric=False),
                [", ".join(f"{n:,}" for n in of_count) for of_count in sizes.values()],
                str,
            ),
        ],
    )


def _tests(selection: Selection) -> Table | None:
    if selection.tests is None:
        return None
    columns = {
        "null": Column("K"),
        "alternative": Column("against"),
        "statistic": Column("statistic", "twice the gain of the log-likelihood"),
        "p_value": Column("p", "share of simulated data sets with as much"),
        "p_value_se": Column("its s.e.", "by the number of data sets"),
        "critical": Column("critical", "95 % quantile if there are only K classes"),
        "replicates": Column("data sets", "simulated with K classes"),
        "failures": Column("failures", "data sets that could not be fitted"),
    }
    return table(
        "selection-tests",
        "Bootstrap likelihood-ratio tests of each number of classes against the next",
        [
            (column, selection.tests[name], lambda value: f"{value:.4g}")
            for name, column in columns.items()
        ],
    )
