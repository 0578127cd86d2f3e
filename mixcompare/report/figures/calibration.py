"""The figure of a calibration: how far ranks are from uniform, quantity by quantity."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mixcompare.checking.simulation_based import Calibration
from mixcompare.pages.palette import COLORS, MUTED, SURFACE, style
from mixcompare.pages.panels import panels

_OUTSIDE = "#c4455c"
_COLUMNS = 4


def plot_calibration(calibration: Calibration) -> Figure:
    """Distribution functions of the ranks less the uniform one, within their 95 % bands.

    A line above zero on the left and below on the right: ranks too far out, so the
    posterior is too narrow; the reverse: too wide; above everywhere: too high.
    """
    uniformity, names = calibration.uniformity(), list(calibration.ranks.columns)
    x = np.concatenate([[0.0], uniformity.points, [1.0]])
    lower, upper = (
        np.concatenate([[0.0], band - uniformity.points, [0.0]])
        for band in (uniformity.lower, uniformity.upper)
    )
    with style():
        shared = {"sharex": True, "sharey": True}
        figure, (axes,) = panels(len(names), _COLUMNS, 10.5, 1.9, more=0.5, **shared)
        figure.set_facecolor(SURFACE)
        for ax, name, values, p in zip(
            axes, names, uniformity.distribution, uniformity.p, strict=True
        ):
            ax.fill_between(x, lower, upper, step="post", color=MUTED, alpha=0.3, lw=0)
            line = np.concatenate([[0.0], values - uniformity.points, [0.0]])
            color = _OUTSIDE if p < 0.05 else COLORS["posterior"]
            ax.step(x, line, where="post", color=color, lw=1.1)
            ax.set_title(f"{name}\np = {p:.2g}", fontsize=7.5, fontweight="normal")
        figure.supxlabel("rank of the truth among the draws, as a fraction", fontsize=9)
        figure.supylabel("share of ranks up to it, less the fraction", fontsize=9)
        figure.suptitle(f"{len(calibration.ranks)} replicates, 95 % simultaneous bands")
    return figure
