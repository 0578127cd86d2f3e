"""``mixcompare reproduce``: make a report's numbers again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from mixcompare.cli.arguments import Trust

if TYPE_CHECKING:
    import pandas as pd

# 1 and 2 are bad input and wrong usage.
DIFFERS: Final = 3


def reproduce_command(
    report: Annotated[Path, typer.Argument(metavar="REPORT.html", help="The report.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The data that were fitted; not needed for panels that ship with mixcompare.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share the tests of a choice of K.")
    ] = 1,
    all_numbers: Annotated[
        bool, typer.Option("--all", help="List the numbers that agree as well.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Fit again what a report shows, its choice of K too, and say number by number if it agrees.

    EM must agree to 1e-8; draws must be the same to the bit with the same versions and kind
    of processor, and within Monte Carlo error otherwise. Ends with status 0 if everything
    agrees, 3 if a number differs or the page was changed since it was written, 1 if it cannot
    be tried.
    """
    from mixcompare.cli.study_output import console, say
    from mixcompare.reproduction.refit import reproduce

    reproduced = reproduce(report, data, workers=workers, trust=trust)
    listed = (
        reproduced.numbers if all_numbers else reproduced.numbers[~reproduced.numbers["agrees"]]
    )
    if len(listed):
        console().print(_table(listed, "Numbers" if all_numbers else "Numbers that differ"))
    for sentence in reproduced.sentences:
        say(sentence)
    say("The report is reproduced." if reproduced.agrees else "The report is NOT reproduced.")
    if not reproduced.agrees:
        raise typer.Exit(DIFFERS)


def _table(numbers: pd.DataFrame, title: str) -> Table:
    numbers = numbers.drop(columns="backend")
    table = Table(title=title, title_justify="left")
    for name in numbers.columns:
        words = name in ("source", "quantity")
        table.add_column("" if name == "agrees" else name, justify="left" if words else "right")
    for row in numbers.to_dict("records"):
        table.add_row(
            escape(str(row["source"])),
            escape(str(row["quantity"])),
            *(f"{row[name]:.10g}" for name in ("reported", "again")),
            *(f"{row[name]:.2g}" for name in ("difference", "allowed")),
            "agrees" if row["agrees"] else "differs",
        )
    return table
