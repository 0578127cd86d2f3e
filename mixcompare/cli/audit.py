"""``mixcompare audit``: the audit from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from mixcompare.cli.arguments import (
    Components,
    Data,
    Force,
    Missing,
    Model,
    folder_option,
    of_model,
)

# 1 and 2 are bad input and wrong usage.
FAULTY: Final = 3


@of_model("common", "membership", "unit_weights")
def audit_command(
    data: Data,
    trace: Annotated[
        Path,
        typer.Argument(
            metavar="TRACE.csv",
            help="Its parameters by iteration, a long table: iteration, parameter, component, "
            "covariate, outcome, outcome_bis, value.",
        ),
    ],
    components: Components,
    model: Model,
    counts: Annotated[
        str,
        typer.Option(help="contrasts: a cell's rows less one; rows: all transformed rows count."),
    ] = "contrasts",
    tolerance: Annotated[
        float | None,
        typer.Option(help="Difference up to which two steps are the same; else by the digits."),
    ] = None,
    missing: Missing = "error",
    output: Annotated[
        Path | None, folder_option(help="Folder for report, tables and figure.")
    ] = None,
    force: Force = False,
) -> None:
    """Audit somebody else's EM: which of its steps are wrong, in which part, and why.

    Ends with status 0 if there is no fault (notes do not count), 3 if there is one, 1 if the
    audit cannot be tried.
    """
    from mixcompare.auditing import audit

    result = audit(
        model(components),
        data,
        trace,
        counts=counts,  # type: ignore[arg-type]  # checked by the audit
        tolerance=tolerance,
        missing=missing,  # type: ignore[arg-type]  # checked when the panel is built
    )
    typer.echo(result.finding)
    for row in result.findings.itertuples():
        typer.echo(f"\n{row.kind}: {row.cause}\n  {row.evidence}")
    if output is not None:
        from mixcompare.auditing.audit_page import write_audit  # matplotlib is slow to import

        typer.echo(f"\nReport: {write_audit(result, output, file=trace, overwrite=force)}")
    if not result.passed:
        raise typer.Exit(FAULTY)
