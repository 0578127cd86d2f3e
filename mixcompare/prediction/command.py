"""``mixcompare predict``: predictions from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mixcompare.arguments import Data, Missing, Trust
from mixcompare.staging import staged


def predict_command(
    fit: Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit that was saved.")],
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT.csv", help="File to write; without it, the screen."
        ),
    ] = None,
    units: Annotated[
        str,
        typer.Option(help="new: units not seen before; known: further rows of the fitted units."),
    ] = "new",
    draws: Annotated[
        int | None, typer.Option(help="How many of a posterior's draws to use; without it, all.")
    ] = None,
    missing: Missing = "error",
    trust: Trust = False,
) -> None:
    """Predict for new rows: class probabilities and fitted values, a line for each row.

    Rows may lack outcomes: they are predicted, and say nothing of their unit's class.
    """
    from mixcompare.fit import load
    from mixcompare.prediction import predict, prediction_table

    predicted = predict(
        load(fit, trust=trust),
        data,
        units=units,  # type: ignore[arg-type]  # checked by predict
        draws=draws,
        missing=missing,  # type: ignore[arg-type]  # checked by predict
    )
    table = prediction_table(predicted)
    if output is None:
        table.to_csv(sys.stdout, index=False)
        return
    with staged(output.parent, last=output.name) as folder:
        table.to_csv(folder / output.name, index=False)
    typer.echo(f"{len(table)} rows: {output}")
