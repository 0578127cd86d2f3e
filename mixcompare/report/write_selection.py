"""A selection's files: tables, fits and the figure."""

from __future__ import annotations

import io
from pathlib import Path

from mixcompare.report.figures.selection import plot_selection
from mixcompare.selection import Selection


def write_selection(
    selection: Selection, directory: str | Path, *, overwrite: bool = False
) -> Path:
    """Write what `mixcompare.selection.Selection.save` does, and ``selection.svg``.

    Parameters
    ----------
    selection, directory, overwrite
        See there.

    Returns
    -------
    The folder.

    Raises
    ------
    OptionError
        If the folder cannot be written or holds what may not be replaced.
    """
    drawing = io.BytesIO()
    plot_selection(selection).savefig(drawing, format="svg")
    figure = {"selection.svg": drawing.getvalue()}
    return selection.save(directory, overwrite=overwrite, beside=figure)
