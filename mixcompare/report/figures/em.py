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
from mixcompare.pages.formatting import counted
from mixcompare.pages.palette import class_color, optimum_color
from mixcompare.pages.panels import panels, plain_numbers
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

_NAMED_OPTIMA = 3
_MOST_CLASSES = 9
# Stands for the numbers of all spurious optima.
_SPURIOUS = 10**6


def ascent(comparison: Comparison) -> Drawing:
    """Log-likelihood by iteration for all starts, whole and near the end."""
    history, optimum = _histories(comparison.em, comparison.em.search.log_likelihood_history)
    figure, ((whole, near),) = panels(2, 2, 9.4, 3.7)
    for ax in (whole, near):
        _lines(ax, history, optimum)
    whole.set(title="All starts", ylabel="log-likelihood")
    near.set(title="Near the optima", ylim=_zoom(history, optimum))
    _legend(figure, whole)
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
    figure, (axes,) = panels(drawn, 3, 9.4, 2.3, more=0.9, sharex=True, sharey=True)
    for component, ax in enumerate(axes):
        _lines(ax, history[..., component], optimum)
        ax.set_title(f"class {component + 1}", color=class_color(component + 1))
        ax.set_ylabel("weight" if component % 3 == 0 else "")
    _legend(figure, axes[0])
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


def _legend(figure: Figure, ax: Axes) -> None:
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=4)


def _lines(ax: Axes, history: FloatArray, optimum: NDArray[np.intp]) -> None:
    # The best start is drawn last, on top of the others.
    order = np.argsort(np.where(optimum < 0, np.inf, optimum), kind="stable")[::-1]
    labelled: set[str] = set()
    for i in order:
        values = history[i][np.isfinite(history[i])]
        if not values.size:
            continue
        group = optimum[i] if optimum[i] == _SPURIOUS else np.clip(optimum[i], -1, _NAMED_OPTIMA)
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
    plain_numbers(ax, "x", "log")
    ax.set_xlabel("iteration (log scale)" if ax.get_subplotspec().is_last_row() else "")  # type: ignore[union-attr]


def _label(group: int, optimum: NDArray[np.intp]) -> str:
    names = {-1: "unusable", 0: "best optimum", _SPURIOUS: "spurious maxima"}
    name, members = names.get(group, f"optimum {group + 1}"), optimum == group
    if group < 0:
        members = optimum < 0
    elif group == _NAMED_OPTIMA:
        name, members = "worse optima", (optimum >= group) & (optimum != _SPURIOUS)
    return f"{name} ({counted(members.sum(), 'start')})"


def _zoom(history: FloatArray, optimum: NDArray[np.intp]) -> tuple[float, float]:
    known = np.isfinite(history)
    ended = zip(history, known, optimum, strict=True)
    final = [h[n][-1] for h, n, o in ended if o >= 0 and n.any()]
    best, worst = float(max(final)), float(min(final))
    spread = max(best - worst, 1e-3 * abs(best), 1e-6)
    return worst - 0.25 * spread, best + 0.1 * spread
