"""The section on other models of the same data, from fits that were made beside the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixcompare.base.arrays import IntArray
from mixcompare.comparison import Comparison
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import Table, count, fixed, frame_table, numbers, present, words
from mixcompare.pages.palette import COLORS, MARKERS, MUTED, style
from mixcompare.pages.panels import panels, plain_numbers
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.pages.shell import Section
from mixcompare.selection.criteria_table import CRITERIA, DEFAULT
from mixcompare.selection.models import arrange_models, models_table

ANCHOR: Final = "models"
_BACKENDS: Final = {"em": "EM", "pymc": "PyMC"}
_INTRO: Final = (
    "The same rows under other specifications. Criteria weigh the maximum of the likelihood "
    "against the number of parameters; the expected log predictive density (elpd) is how well "
    "each unit is predicted from the others. A difference of less than about two of its standard "
    "errors, or of less than 4, decides nothing."
)


def named_fits(fits: Sequence[Fit]) -> dict[str, Fit]:
    """Fits of other models by a name of their own."""
    return {
        f"model {i}, {_BACKENDS.get(fit.backend, fit.backend)}": fit
        for i, fit in enumerate(fits, 1)
    }


def other_models(comparison: Comparison, fits: Sequence[Fit]) -> Section:
    """Criteria and prediction of every model, the comparison's own first.

    Parameters
    ----------
    fits
        Of other specifications, by any backend.

    Raises
    ------
    DataError
        If they are not of the same units, outcomes and rows.
    """
    models = arrange_models([comparison.em, comparison.posterior_fit, *fits])
    frame = models_table(models)
    reported = next(iter(models))
    with style():
        drawing = _figure(frame)
    said = [f"This report is on the model {reported}.", *_choices(frame)]
    return Section(ANCHOR, "Other models", (_INTRO, " ".join(said)), (drawing,), (_table(frame),))


def _choices(frame: pd.DataFrame) -> list[str]:
    by_count: dict[str, list[str]] = {}
    for key, title in _titles(frame).items():
        by_count.setdefault(str(frame[key].idxmin()), []).append(title)
    said = [f"{name}: least by {'; '.join(titles)}." for name, titles in by_count.items()]
    if "elpd" in frame and frame["elpd"].notna().any():
        said.append(f"Predicted best: {frame['elpd'].idxmax()}.")
    unranked = frame.index[frame["unranked"] != ""]
    if len(unranked):
        said.append(f"Not ranked by prediction, since draws tell nothing: {'; '.join(unranked)}.")
    return said


def _titles(frame: pd.DataFrame) -> Mapping[str, str]:
    return {k: c.title for k, c in CRITERIA.items() if k in frame and frame[k].notna().any()}


def _figure(frame: pd.DataFrame) -> Drawing:
    figure, ((left, right),) = panels(2, 2, 9.4, 1.6 + 0.42 * len(frame), sharey=True)
    place = np.arange(len(frame))
    if DEFAULT in frame:
        above = frame[DEFAULT] - frame[DEFAULT].min()
        left.plot(above, place, MARKERS["maximum"], color=COLORS["maximum"], ms=7)
    # Small differences decide, and large ones must be shown all the same.
    plain_numbers(left, "x", "symlog", linthresh=10)
    left.set(title="Criterion (EM)", xlabel=f"{CRITERIA[DEFAULT].title}, above the least")
    left.set_yticks(place, [str(name) for name in frame.index])
    left.invert_yaxis()
    if "elpd" in frame:
        _differences(right, frame, place)
    right.set(title="Prediction (posterior)", xlabel="elpd less the best model's, with 2 s.e.")
    return draw(
        figure,
        "models",
        "Models of the same data",
        "Left: what the criterion says against each model. Right: how much worse its posterior "
        "predicts units that were left out. Bars that reach zero belong to models that predict as "
        "well as the best. Both scales are logarithmic beyond 10.",
        "Criterion above its least value and difference of the expected log predictive density "
        f"for each model. {' '.join(_choices(frame))}",
    )


def _differences(ax: Axes, frame: pd.DataFrame, place: IntArray) -> None:
    ax.axvline(0, color=MUTED, lw=1, ls=":")
    ax.errorbar(
        frame["elpd_difference"],
        place,
        xerr=2 * frame["elpd_difference_se"],
        fmt=MARKERS["posterior"],
        color=COLORS["posterior"],
        ms=6,
        capsize=3,
    )
    plain_numbers(ax, "x", "symlog", linthresh=10)


def _table(frame: pd.DataFrame) -> Table:
    optional = present(
        frame,
        numbers(fixed(2), log_likelihood="log-likelihood: EM's maximum", **_titles(frame)),
        numbers(
            fixed(2),
            elpd="elpd: by leaving out units",
            elpd_difference="difference: from the best elpd",
            elpd_difference_se="its s.e.",
        ),
        numbers(fixed(1), p="effective parameters"),
        numbers(count, high_pareto_k="Pareto k above 0.7: units"),
        words(unranked="why not ranked by prediction") if frame["unranked"].any() else [],
    )
    return frame_table(
        "models",
        "Models of the same data by criteria and by prediction",
        frame.rename_axis("model"),
        words("model"),
        numbers(count, n_parameters="parameters"),
        optional,
    )
