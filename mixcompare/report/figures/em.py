"""EM's starts: log-likelihood and weights by iteration, coloured by the optimum reached."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray
from mixcompare.comparison import Comparison
from mixcompare.comparison.modes import spurious_starts
from mixcompare.fits.fit import Fit
from mixcompare.pages.palette import class_color, optimum_color
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

_NAMED_OPTIMA = 3
_MOST_CLASSES = 9
# Stands for the numbers of all spurious optima.
_SPURIOUS = 10**6


def ascent(comparison: Comparison) -> Drawing:
    """Log-likelihood by iteration for all starts, whole and near the end."""
    history, optimum = _histories(comparison.em, comparison.em.search.log_likelihood_history)
    figure = Figure(figsize=(9.4, 3.7), layout="constrained")
    whole, near = figure.subplots(1, 2)
    for ax in (whole, near):
        _lines(ax, history, optimum)
        _by_iteration(ax)
    whole.set_ylabel("log-likelihood")
    whole.set_title("All starts")
    near.set_title("Near the optima")
    near.set_ylim(*_zoom(history, optimum))
    handles, labels = whole.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4)
    return draw(
        figure,
        "em-log-likelihood",
        "EM's log-likelihood by iteration",
        "Each line is one start whose path was kept. No line may ever fall. Lines that end below "
        "the best optimum are local optima; the more starts share the best one, the less likely a "
        "better one was missed.",
        f"Log-likelihood against iteration for {len(history)} EM starts, coloured by the optimum "
        "they reached; the right panel enlarges the range of the final values. "
        + finding(comparison, "EM optimum"),
    )


def weights_by_iteration(comparison: Comparison) -> Drawing | None:
    """Class weights by iteration for all starts, a panel per class."""
    history, optimum = _histories(comparison.em, comparison.em.search.weights_history)
    k = history.shape[-1]
    if k == 1:
        return None
    drawn = min(k, _MOST_CLASSES)
    columns = min(drawn, 3)
    rows = -(-drawn // columns)
    figure = Figure(figsize=(9.4, 0.9 + 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[drawn:]:
        ax.set_visible(False)
    for component, ax in enumerate(axes.flat[:drawn]):
        _lines(ax, history[..., component], optimum)
        _by_iteration(ax)
        ax.set_title(f"class {component + 1}", color=class_color(component + 1))
        ax.set_ylabel("weight" if component % columns == 0 else "")
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=4)
    clipped = f" The first {drawn} of {k} classes are shown." * (k > drawn)
    return draw(
        figure,
        "em-weights",
        "EM's class weights by iteration",
        "Each line is one start, its classes numbered as in the estimate. Lines that go flat "
        "early have settled; a weight that creeps towards zero is a class that empties, and "
        f"starts that end at other weights have found other optima.{clipped}",
        f"Weight of each class against iteration for {len(history)} EM starts, coloured by the "
        "optimum they reached. " + finding(comparison, "EM optimum"),
    )


def _histories(em: Fit, history: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """What was kept of the starts' paths, and the optimum of each, spurious ones by themselves."""
    optimum = em.search.ends["optimum"]
    optimum = np.where(spurious_starts(em) & (optimum > 0), _SPURIOUS, optimum)
    kept = np.isfinite(history).reshape(len(history), -1).any(axis=1) | (optimum < 0)
    return history[kept], optimum[kept]


def _by_iteration(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("iteration (log scale)" if ax.get_subplotspec().is_last_row() else "")  # type: ignore[union-attr]


def _lines(ax: Axes, history: FloatArray, optimum: NDArray[np.intp]) -> None:
    # The best start is drawn last, on top of the others.
    order = np.argsort(np.where(optimum < 0, np.inf, optimum), kind="stable")[::-1]
    labelled: set[str] = set()
    for i in order:
        values = history[i][np.isfinite(history[i])]
        if not values.size:
            continue
        group = int(optimum[i])
        group = group if group == _SPURIOUS else min(group, _NAMED_OPTIMA)
        name = _label(group, optimum)
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            color=optimum_color(group),
            alpha=0.9 if group == 0 else 0.75,
            lw=1.6 if group == 0 else 1.1,
            ls="-" if group >= 0 else ":",
            marker="o",
            markevery=[len(values) - 1],
            ms=3.5,
            label="_" if name in labelled else name,
        )
        labelled.add(name)


def _label(group: int, optimum: NDArray[np.intp]) -> str:
    if group < 0:
        return f"unusable ({_count(optimum < 0)})"
    if group == _SPURIOUS:
        return f"spurious maxima ({_count(optimum == group)})"
    if group == _NAMED_OPTIMA:
        worse = (optimum >= _NAMED_OPTIMA) & (optimum != _SPURIOUS)
        return f"worse optima ({_count(worse)})"
    name = "best optimum" if group == 0 else f"optimum {group + 1}"
    return f"{name} ({_count(optimum == group)})"


def _count(mask: NDArray[np.bool_]) -> str:
    n = int(mask.sum())
    return f"{n} start" if n == 1 else f"{n} starts"


def _zoom(history: FloatArray, optimum: NDArray[np.intp]) -> tuple[float, float]:
    known = np.isfinite(history)
    final = np.array(
        [h[n][-1] for h, n, o in zip(history, known, optimum, strict=True) if o >= 0 and n.any()]
    )
    best, worst = float(final.max()), float(final.min())
    spread = max(best - worst, 1e-3 * abs(best), 1e-6)
    return worst - 0.25 * spread, best + 0.1 * spread
