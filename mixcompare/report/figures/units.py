"""Units and rows in figures: their classes and paths, and which of them are shown."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit


def likeliest(fit: Fit) -> IntArray:
    """(G,) most probable classes of the units, from 0."""
    return np.asarray(fit.responsibilities.to_numpy().argmax(axis=1))


def by_class(responsibilities: FloatArray) -> IntArray:
    """(G,) units by their most probable class, the most certain first."""
    return np.lexsort((-responsibilities.max(axis=1), responsibilities.argmax(axis=1)))


def unit_paths(panel: Panel, variable: str, y: FloatArray, units: IntArray) -> list[FloatArray]:
    """For each unit its rows (r, 2) of the variable and of `y` (N,), in the variable's order."""
    x, paths = panel.variables[variable], []
    for unit in units:
        rows = np.flatnonzero(panel.unit == unit)
        rows = rows[np.argsort(x[rows], kind="stable")]
        paths.append(np.column_stack([x[rows], y[rows]]))
    return paths


def shown_note(drawn: int, total: int, what: str) -> str:
    """A sentence for a caption, if not everything is shown."""
    return f" {drawn:,} of {total:,} {what} are shown, evenly spaced." if drawn < total else ""


def less_cells(panel: Panel) -> str:
    """What an axis of outcomes says where effects of cells are absorbed."""
    return ", less its cell's mean" if panel.cell is not None else ""
