"""``mixcompare predict``: predictions from the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from mixcompare.base.files.ownership import not_ours
from mixcompare.base.files.staging import write_whole
from mixcompare.cli.arguments import Data, Force, Missing, SavedFit, Trust


def predict_command(
    fit: SavedFit,
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT.csv", help="File to write; without it, the screen."
        ),
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            help="outcomes: what they say of the classes; prior: leave outcomes aside, without a "
            "warning where there are none."
        ),
    ] = "outcomes",
    units: Annotated[
        str,
        typer.Option(help="new: units not seen before; known: further rows of the fitted units."),
    ] = "new",
    draws: Annotated[
        int | None, typer.Option(help="How many of a posterior's draws to use; without it, all.")
    ] = None,
    missing: Missing = "error",
    force: Force = False,
    trust: Trust = False,
) -> None:
    """Predict for new rows: class probabilities and fitted values, a line for each row.

    Rows may lack outcomes: they are predicted, and say nothing of their unit's class. If all do,
    class probabilities are prior ones, which is said.
    """
    from mixcompare.base.files.csv_text import csv_text
    from mixcompare.fits.fit import load
    from mixcompare.prediction import predict, prediction_table

    predicted = predict(
        load(fit, trust=trust),
        data,
        classes=classes,  # type: ignore[arg-type]  # checked by predict
        units=units,  # type: ignore[arg-type]  # checked by predict
        draws=draws,
        missing=missing,  # type: ignore[arg-type]  # checked by predict
    )
    table = prediction_table(predicted)
    text = csv_text(table)
    if output is None:
        sys.stdout.write(text)
        return
    if output.exists() and not force and not _same_rows(output, text):
        raise not_ours(output)
    write_whole(output, text.encode())
    typer.echo(f"{len(table)} rows: {output}")


def _same_rows(path: Path, text: str) -> bool:
    """Whether a file holds predictions of the same rows of the same units as a new one."""
    import pandas as pd

    files = (path, io.StringIO(text))
    try:
        earlier, later = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in files)
    except (OSError, ValueError):
        return False
    same = list(earlier.columns) == list(later.columns)
    return same and earlier[["row", "unit"]].equals(later[["row", "unit"]])
