"""Figures of label switching: which label stood for which class, and what labels cannot change."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from mixcompare import labels
from mixcompare.base.arrays import FloatArray, evenly_spaced
from mixcompare.comparison import Comparison
from mixcompare.labels import IntArray
from mixcompare.pages.palette import SURFACE, class_color
from mixcompare.pages.panels import color_ticks, key, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.units import by_class, shown_note
from mixcompare.report.wording import finding

_MOST_DRAWS = 1000
_MOST_UNITS = 300
_NAMED_UNITS = 40
_MOST_VALUES = 20_000_000
# Of a class's name, as a share of the heat map.
_NAME_WIDTH = 0.13


def permutations(comparison: Comparison) -> Drawing | None:
    """By draw and label as sampled, the class that the label stands for."""
    chains, available, k = comparison.permutation.shape
    if k == 1:
        return None
    step = max(1, -(-available // _MOST_DRAWS))
    meaning = labels.invert(comparison.permutation)[:, ::step]
    figure, (axes,) = panels(chains, 1, 9.4, 0.24 * k + 0.3, more=0.9, sharex=True)
    colors = ListedColormap([class_color(c) for c in range(1, k + 1)])
    for chain, ax in enumerate(axes):
        ax.imshow(
            meaning[chain].T,
            aspect="auto",
            cmap=colors,
            vmin=-0.5,
            vmax=k - 0.5,
            interpolation="nearest",
            extent=(-0.5, available - 0.5, k + 0.5, 0.5),
        )
        ax.grid(False)
        ax.set_yticks(range(1, k + 1))
        for boundary in range(1, k):
            ax.axhline(boundary + 0.5, color=SURFACE, lw=1.5)
        ax.set_ylabel(f"chain {chain + 1}")  # in ink: the chains' colours are near the classes'
    axes[-1].set_xlabel("draw")
    squares = {"marker": "s", "ls": "", "ms": 7}
    handles = [key(f"class {c}", color=class_color(c), **squares) for c in range(1, k + 1)]
    legend_above(figure, *handles, most=8)
    thinned = f" Every {step}th draw is shown." if step > 1 else ""
    return draw(
        figure,
        "permutations",
        "Labels by draw",
        "One strip per label as sampled, coloured by the class of EM's estimate that it stands "
        "for. Strips of one colour throughout: the chain keeps its labels. Colours that change "
        "within a strip are label switches; strips that differ between chains only mean that the "
        f"chains number the classes differently, which is harmless.{thinned}",
        f"For each of {chains} chains, {k} strips along the draws, coloured by the class that each "
        "label stands for. " + finding(comparison, "label switching"),
    )


def co_clustering(comparison: Comparison) -> Drawing | None:
    """Heat map of the posterior probabilities that two units are together."""
    if comparison.em.spec.n_components == 1:
        return None
    em = comparison.em.responsibilities.to_numpy()
    units = comparison.em.responsibilities["unit"].to_numpy()
    places = by_class(em)[evenly_spaced(len(em), _MOST_UNITS)]
    drawn = comparison.posterior_fit.draws.occupancy[:, :, places]
    step = max(1, -(-drawn.size // _MOST_VALUES))
    matrix = labels.co_clustering(drawn[:, ::step])
    figure, ((ax,),) = panels(1, 1, 7.2, 6.0)
    image = ax.imshow(matrix, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=ax, shrink=0.85, label="probability of being together")
    ax.grid(False)
    classes = em[places].argmax(axis=1)
    present, first, sizes = np.unique(classes, return_index=True, return_counts=True)
    for boundary in first[1:] - 0.5:
        ax.axhline(boundary, color=SURFACE, lw=1)
        ax.axvline(boundary, color=SURFACE, lw=1)
    _name_classes(ax, first + sizes / 2 - 0.5, present, len(places))
    if len(places) <= _NAMED_UNITS:
        ax.set_yticks(range(len(places)), [str(u)[:18] for u in units[places]])
    else:
        ax.set_yticks([])
        ax.set_ylabel("units, sorted by EM's class and its probability")
    return draw(
        figure,
        "co-clustering",
        "Which units are together",
        "Posterior probability that two units are in the same class, whatever its label; this "
        "needs no relabelling. Bright blocks on the diagonal and darkness elsewhere mean that the "
        "draws agree on who belongs together; a shade off the diagonal means that two classes "
        "share units, a stripe that a unit goes with none for certain."
        + shown_note(len(places), len(em), "units"),
        "Heat map of the posterior probabilities that two units are in the same class, units "
        "sorted by EM's class. " + finding(comparison, "class membership"),
    )


def _name_classes(ax: Axes, middles: FloatArray, present: IntArray, units: int) -> None:
    """Names below their blocks, those that would touch the one before a line further down."""
    names, before, line = [], -np.inf, 0
    for middle, component in zip(middles, present, strict=True):
        line = line + 1 if middle - before < _NAME_WIDTH * units else 0
        before = middle
        names.append("\n" * line + f"class {component + 1}")
    ax.set_xticks(middles, names)
    color_ticks(ax.get_xticklabels(), (present + 1).tolist())
