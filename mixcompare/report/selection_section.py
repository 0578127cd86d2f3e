"""The section on the choice of K, from a selection that was made beside the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixcompare.base.arrays import IntArray
from mixcompare.base.errors import DataError
from mixcompare.base.words import listing
from mixcompare.comparison import Comparison
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import (
    Table,
    count,
    fixed,
    frame_table,
    numbers,
    present,
    words,
)
from mixcompare.pages.palette import INK, class_color, style
from mixcompare.pages.panels import note, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.pages.shell import Section, known
from mixcompare.report.figures.data import CurveGrid, class_grids, only_variable
from mixcompare.report.figures.selection import plot_selection
from mixcompare.report.figures.units import likeliest
from mixcompare.selection import Selection
from mixcompare.selection.criteria_table import APART, CRITERIA, UNRANKED

ANCHOR: Final = "selection"
_K: Final = numbers(str, "K")
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
    tables = [make(selection) for make in (_table, _posterior, _sizes, _tests)]
    best = f"{_best(selection)} This report is on K = {comparison.em.spec.n_components}."
    intro, title = (_INTRO, *_cautions(selection), best), "Choice of the number of classes"
    return Section(ANCHOR, title, intro, known(drawings), known(tables))


def _best(selection: Selection) -> str:
    counts = selection.choices["n_components"].dropna().items()
    return f"Best by {'; '.join(f'{CRITERIA[str(name)].title}: {k}' for name, k in counts)}."


def _check(comparison: Comparison, selection: Selection) -> None:
    for k, fit in selection.fits.items():
        if fit.spec.to_dict() != comparison.em.spec.to_dict() | {"n_components": k}:
            reason = "it has another model than the comparison"
        elif fit.fingerprint != comparison.em.fingerprint:
            reason = "it was made on other data than the comparison"
        else:
            continue
        raise DataError(f"the selection does not belong to the report: {reason}.")


def _criteria(selection: Selection) -> Drawing:
    tested = "; p is a bootstrap test's, of one class more" if selection.tests is not None else ""
    below = ""
    if any(c.known(selection.table) for c in CRITERIA.values() if c.value is None):
        below = (
            "Below: how much worse than the best other numbers of classes predict a unit that was "
            "left out, and the log marginal likelihood under the priors of the model. A cross "
            "marks a posterior that cannot be relied on and is not ranked. "
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
    figure, (axes,) = panels(len(fits), 3, 9.4, 2.6, more=0.4, sharex=True, sharey=True)
    for number, (ax, (k, fit)) in enumerate(zip(axes, fits, strict=True)):
        _curves(ax, fit, class_grids(panel, variable, likeliest(fit), k))
        ax.set_title(f"K = {k}", color=INK)
        ax.set(xlabel=variable, ylabel=panel.outcome_names[0] if number % 3 == 0 else "")
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
        grid, color = grids[k], class_color(k + 1)
        mean = grid.covariates @ coefficients
        ax.plot(grid.x, mean, color=color, lw=1 + 4 * weights[k])
        note(ax, f"{sizes[k]:,}", (grid.x[-1], mean[-1]), (3, 0), va="center", color=color)


def _assigned(fit: Fit) -> IntArray:
    return np.bincount(likeliest(fit), minlength=fit.spec.n_components)


def _table(selection: Selection) -> Table:
    frame = selection.table
    names = {"log_likelihood": "log-likelihood", "n_parameters": "parameters"}
    names |= {name: c.title for name, c in CRITERIA.items() if c.value is not None}
    names |= {"entropy_r2": "relative entropy", "smallest_class": "smallest class"}
    formats = {"n_parameters": count, "entropy_r2": fixed(3), "smallest_class": fixed(1)}
    listed = [numbers(formats.get(key, fixed(2)), **{key: names[key]}) for key in names]
    return frame_table(
        "selection",
        "Criteria by number of classes",
        frame.rename_axis("K"),
        _K,
        present(frame, *listed),
        words("notes"),
    )


def _posterior(selection: Selection) -> Table | None:
    frame = selection.table
    if not any(c.known(frame) for c in CRITERIA.values() if c.value is None):
        return None
    smc_error = "error (SMC): by the runs' spread, or by their own"
    fields = present(
        frame,
        words(posterior_status="posterior"),
        words(show=_ranked, posterior_unranked="ranked"),
        numbers(count, posterior_restarts="restarts: sampled again with another seed"),
        numbers(
            fixed(2),
            elpd_loo="elpd: expected log predictive density by PSIS-LOO",
            elpd_difference="difference: of elpd from the best",
            elpd_difference_se="its s.e.: by the units' differences",
        ),
        numbers(count, high_pareto_k="high Pareto k: units with k above 0.7"),
        numbers(fixed(2), log_evidence_bridge="log evidence, bridge: bridge sampling"),
        numbers(fixed(3), log_evidence_bridge_error="error (bridge): relative, as of logs"),
        numbers(fixed(2), log_evidence_smc="log evidence, SMC: sequential Monte Carlo"),
        numbers(fixed(3), log_evidence_smc_error=smc_error),
        words(smc_status="SMC's particles"),
        words(show=_ranked, smc_unranked="ranked (SMC)"),
        numbers(count, smc_restarts="restarts (SMC): run again with another seed"),
        words(
            show=lambda apart: "contradict each other" if apart else "agree",
            evidence_apart="the two estimates",
        ),
    )
    caption = "Criteria of the posterior by number of classes"
    return frame_table("selection-posterior", caption, frame.rename_axis("K"), _K, fields)


def _cautions(selection: Selection) -> list[str]:
    """What keeps the criteria from being relied on."""
    frame = selection.table
    said = [f"With {k} classes: {text}" for k, text in frame["cautions"].items() if text]
    for of, criteria in (
        ("posterior", "cross-validation and bridge sampling"),
        ("smc", "the estimates of sequential Monte Carlo"),
    ):
        reasons = frame.get(f"{of}{UNRANKED}", pd.Series(dtype=str))
        said += [
            f"With {k} classes {criteria} cannot be relied on and are left out of the choice: "
            f"{reason}"
            for k, reason in reasons[reasons != ""].items()
        ]
    apart = [str(k) for k, bad in frame.get("evidence_apart", pd.Series()).items() if bad]
    if apart:
        said.append(
            "Bridge sampling and sequential Monte Carlo are further apart than "
            f"{APART:g} standard errors of their difference with {listing(apart)} classes: one of "
            "them has missed a mode, or its error is larger than stated. Use more draws before "
            "relying on either."
        )
    return said


def _ranked(reason: str) -> str:
    return "no" if reason else "yes"


def _sizes(selection: Selection) -> Table:
    sizes = {k: sorted(_assigned(fit), reverse=True) for k, fit in selection.fits.items()}
    units = [", ".join(f"{n:,}" for n in of_count) for of_count in sizes.values()]
    frame = pd.DataFrame({"K": list(sizes), "units": units})
    caption = "Units by class of every model, assigned to their most probable class"
    return frame_table("selection-sizes", caption, frame, _K, words("units"))


def _tests(selection: Selection) -> Table | None:
    if selection.tests is None:
        return None
    return frame_table(
        "selection-tests",
        "Bootstrap likelihood-ratio tests of each number of classes against the next",
        selection.tests,
        numbers(
            lambda value: f"{value:.4g}",
            null="K",
            alternative="against",
            statistic="statistic: twice the gain of the log-likelihood",
            p_value="p: share of simulated data sets with as much",
            p_value_se="its s.e.: by the number of data sets",
            critical="critical: 95 % quantile if there are only K classes",
            replicates="data sets: simulated with K classes",
            failures="failures: data sets that could not be fitted",
        ),
    )
