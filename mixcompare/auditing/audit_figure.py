"""The audit's figure."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.figure import Figure

from mixcompare.auditing.audit_result import Audit
from mixcompare.pages import palette
from mixcompare.pages.formatting import power_of_ten

_PARTS: Final = {
    "responsibilities_error": ("class probabilities", "o"),
    "weights_error": ("weights", "s"),
    "coefficients_error": ("coefficients (residual sd)", "^"),
    "variance_error": ("variance (log ratio)", "D"),
}
# Where a difference is drawn that is zero or rounding.
FLOOR: Final = 1e-12
# Those of chains: a part of a step is no class.
_COLORS: Final = palette.chain_colors(len(_PARTS))


def plot_audit(audit: Audit) -> Figure:
    """Log-likelihood by iteration with falls marked; the parts' errors beneath."""
    with palette.style():
        figure = Figure(figsize=(8.2, 6.2), layout="constrained", facecolor=palette.SURFACE)
        top, bottom = figure.subplots(2, 1, sharex=True)
        table = audit.iterations
        x, y = table["iteration"], table["log_likelihood"]
        top.plot(x, y, color=palette.COLORS["maximum"], marker=".")
        falls = table[table["falls"]]
        if len(falls):
            top.plot(
                falls["iteration"],
                falls["log_likelihood"],
                linestyle="none",
                marker="v",
                color="#c4455c",
                label="fall",
            )
            top.legend()
        top.set_ylabel("exact log-likelihood")
        top.set_title(f"The foreign EM's iterates: {len(falls)} of {len(table) - 1} steps fall")
        for color, (column, (label, marker)) in zip(_COLORS, _PARTS.items(), strict=True):
            if column in table:
                errors = np.maximum(table[column], FLOOR)
                bottom.plot(x, errors, marker=marker, markersize=4, color=color, label=label)
        bottom.axhline(audit.tolerance, color=palette.MUTED, linestyle="--", label="tolerance")
        bottom.set_yscale("log")
        bottom.yaxis.set_major_formatter(power_of_ten)
        bottom.set_xlabel("iteration")
        bottom.set_ylabel("difference from the exact step")
        bottom.set_title("Parts of each step; rounding lies at the bottom")
        figure.legend(handles=bottom.get_lines(), loc="outside lower center", ncols=5)
    return figure
