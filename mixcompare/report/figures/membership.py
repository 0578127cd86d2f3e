"""Class probabilities of the units by both backends, side by side."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.comparison import Comparison
from mixcompare.pages.palette import NAMES, SURFACE, class_color
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

_MOST_UNITS = 1000
_NAMED_UNITS = 40


def responsibilities(comparison: Comparison) -> Drawing:
    """Heat map of units by classes for EM and the posterior mean, and their difference."""
    em = comparison.em.responsibilities.to_numpy()
    posterior = comparison.posterior_responsibilities.to_numpy()
    units = comparison.em.responsibilities["unit"].to_numpy()
    difference = np.abs(posterior - em)
    order = _order(em)
    drawn = order[np.unique(np.linspace(0, len(order) - 1, _MOST_UNITS).astype(int))]
    named = len(drawn) <= _NAMED_UNITS
    height = 0.21 * len(drawn) + 1.4 if named else 4.8
    figure = Figure(figsize=(9.4, height), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    panels = (
        (f"{NAMES['maximum']}", em, "cividis", 1.0),
        (f"{NAMES['posterior']} mean", posterior, "cividis", 1.0),
        ("absolute difference", difference, "magma", max(0.05, float(difference.max()))),
    )
    k = em.shape[1]
    for ax, (title, values, colors, top) in zip(axes, panels, strict=True):
        image = ax.imshow(
            values[drawn], aspect="auto", cmap=colors, vmin=0, vmax=top, interpolation="nearest"
        )
        ax.set_title(title)
        ax.grid(False)
        ax.set_xticks(range(k), [f"class {c}" if k <= 4 else str(c) for c in range(1, k + 1)])
        for tick, component in zip(ax.get_xticklabels(), range(1, k + 1), strict=True):
            tick.set_color(class_color(component))
            tick.set_fontweight("bold")
        for boundary in _boundaries(em[drawn]):
            ax.axhline(boundary, color=SURFACE, lw=0.8)
        if title != "EM":
            figure.colorbar(
                image,
                ax=ax,
                shrink=0.9,
                label="class probability" if colors == "cividis" else "difference",
            )
    if named:
        axes[0].set_yticks(range(len(drawn)), [_short(str(u)) for u in units[drawn]])
    else:
        axes[0].set_yticks([])
        axes[0].set_ylabel("units, sorted by EM's class and its probability")
    thinned = f" {len(drawn)} of {len(em)} units are shown, evenly spaced." * (len(drawn) < len(em))
    return draw(
        figure,
        "responsibilities",
        "Class probabilities of the units",
        "One line per unit, in the same order in all panels. Sharp blocks mean that units are "
        "classified with certainty, intermediate shades that classes overlap; light lines in the "
        f"right panel, which has its own scale, are units on which the backends differ.{thinned}",
        "Heat maps of the units' class probabilities by EM and by the posterior mean, sorted by "
        "EM's class, with their absolute difference. " + finding(comparison, "class membership"),
    )


def _order(em: FloatArray) -> IntArray:
    """Units by EM's class, the most certain first."""
    return np.lexsort((-em.max(axis=1), em.argmax(axis=1)))


def _boundaries(em: FloatArray) -> FloatArray:
    return np.asarray(np.flatnonzero(np.diff(em.argmax(axis=1))) + 0.5, dtype=np.float64)


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17]}…"
