"""Ranks of the truth among posterior draws, against the uniform distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import binom

from mixcompare.pages.palette import MUTED
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.study.mechanism.prior_truths import DRAWS
from mixcompare.study.report.performance_figures import legend, method_style, panels

_BINS: Final = 10
_BAND: Final = (0.005, 0.995)


def rank_histograms(ranks: pd.DataFrame, methods: Sequence[str]) -> Drawing:
    """A histogram of ranks by quantity, one line per method.

    Parameters
    ----------
    ranks
        method, name, value; ranks from 0 to `DRAWS`.
    """
    names = list(dict.fromkeys(ranks["name"]))
    figure, axes = panels(len(names), 3.2, 2.3)
    edges = np.linspace(-0.5, DRAWS + 0.5, _BINS + 1)
    style = method_style(methods)
    for ax, name in zip(axes, names, strict=True):
        for method in methods:
            of_method = ranks.loc[(ranks["name"] == name) & (ranks["method"] == method), "value"]
            if len(of_method):
                counts, _ = np.histogram(of_method, edges)
                ax.stairs(counts, edges, color=style[method]["color"], lw=1.6, label=method)
                low, high = (float(binom.ppf(q, len(of_method), 1 / _BINS)) for q in _BAND)
                ax.axhspan(low, high, color=MUTED, alpha=0.2, lw=0)
        ax.set_title(name.removeprefix("rank_").replace("_", " "))
        ax.set_xlabel("rank of the truth")
        ax.set_ylim(bottom=0)
    axes[0].set_ylabel("replicates")
    legend(figure, axes[0])
    return draw(
        figure,
        "ranks-of-truth",
        "Simulation-based calibration",
        "Ranks of the truth among posterior draws. In a sampler without fault they are uniform, "
        "and a bin leaves the grey band once in a hundred. A hump says that the posterior is too "
        "wide, a trough that it is too narrow, a slope that it is biased.",
        f"Histograms of ranks of {', '.join(names)} for the methods {', '.join(methods)}.",
    )
