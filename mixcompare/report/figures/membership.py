"""Class probabilities of the units by both backends, side by side."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import evenly_spaced
from mixcompare.comparison import Comparison
from mixcompare.pages.palette import NAMES, SURFACE
from mixcompare.pages.panels import color_ticks, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.figures.units import by_class, shown_note
from mixcompare.report.wording import finding

_MOST_UNITS = 1000
_NAMED_UNITS = 40


def responsibilities(comparison: Comparison) -> Drawing:
    """Heat map of units by classes for EM and the posterior mean, and their difference."""
    em = comparison.em.responsibilities.to_numpy()
    posterior = comparison.posterior_responsibilities.to_numpy()
    units = comparison.em.responsibilities["unit"].to_numpy()
    difference = np.abs(posterior - em)
    drawn = by_class(em)[evenly_spaced(len(em), _MOST_UNITS)]
    named = len(drawn) <= _NAMED_UNITS
    height = 0.21 * len(drawn) + 1.4 if named else 4.8
    figure, (axes,) = panels(3, 3, 9.4, height, sharey=True)
    maps = (
        (NAMES["maximum"], em, "cividis", 1.0),
        (f"{NAMES['posterior']} mean", posterior, "cividis", 1.0),
        ("absolute difference", difference, "magma", max(0.05, float(difference.max()))),
    )
    k = em.shape[1]
    for ax, (title, values, colors, top) in zip(axes, maps, strict=True):
        image = ax.imshow(
            values[drawn], aspect="auto", cmap=colors, vmin=0, vmax=top, interpolation="nearest"
        )
        ax.set_title(title)
        ax.grid(False)
        ax.set_xticks(range(k), [f"class {c}" if k <= 4 else str(c) for c in range(1, k + 1)])
        color_ticks(ax.get_xticklabels(), range(1, k + 1))
        for before in np.flatnonzero(np.diff(em[drawn].argmax(axis=1))):
            ax.axhline(before + 0.5, color=SURFACE, lw=0.8)
        if title != "EM":
            label = "class probability" if colors == "cividis" else "difference"
            figure.colorbar(image, ax=ax, shrink=0.9, label=label)
    if named:
        axes[0].set_yticks(range(len(drawn)), [_short(str(u)) for u in units[drawn]])
    else:
        axes[0].set_yticks([])
        axes[0].set_ylabel("units, sorted by EM's class and its probability")
    return draw(
        figure,
        "responsibilities",
        "Class probabilities of the units",
        "One line per unit, in the same order in all panels. Sharp blocks mean that units are "
        "classified with certainty, intermediate shades that classes overlap; light lines in the "
        "right panel, which has its own scale, are units on which the backends differ."
        + shown_note(len(drawn), len(em), "units"),
        "Heat maps of the units' class probabilities by EM and by the posterior mean, sorted by "
        "EM's class, with their absolute difference. " + finding(comparison, "class membership"),
    )


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17]}…"
