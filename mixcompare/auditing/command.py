"""``mixcompare audit``: the audit from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixcompare.errors import OptionError


def audit_command(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="CSV, TSV or Parquet file.")],
    trace: Annotated[
        Path,
        typer.Argument(
            metavar="TRACE.csv",
            help="Its parameters by iteration, a long table: iteration, parameter, component, "
            "covariate, outcome, outcome_bis, value.",
        ),
    ],
    formula: Annotated[str, typer.Option(help="Outcomes and covariates, as in 'y ~ x'.")],
    components: Annotated[int, typer.Option(help="Number of latent classes.")],
    unit: Annotated[
        str | None, typer.Option(help="Column whose rows share one class; else each row does.")
    ] = None,
    absorb: Annotated[
        str | None, typer.Option(help="Columns of the fixed effects removed, crossed by ':'.")
    ] = None,
    covariance: Annotated[str, typer.Option(help="full, diagonal or spherical.")] = "full",
    covariance_by: Annotated[
        str, typer.Option(help="component: one per class; shared: one for all.")
    ] = "component",
    counts: Annotated[
        str,
        typer.Option(help="contrasts: a cell's rows less one; rows: all transformed rows count."),
    ] = "contrasts",
    tolerance: Annotated[
        float | None,
        typer.Option(help="Difference up to which two steps are the same; else by the digits."),
    ] = None,
    missing: Annotated[
        str, typer.Option(help="error: refuse missing values; drop: drop such rows.")
    ] = "error",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for tables and figure."),
    ] = None,
) -> None:
    """Audit somebody else's EM: which of its steps are wrong, in which part, and why."""
    from mixcompare.auditing import audit
    from mixcompare.spec import MixtureSpec

    spec = MixtureSpec(
        formula,
        unit=unit,
        absorb=absorb,
        n_components=components,
        covariance=covariance,  # type: ignore[arg-type]  # checked by the specification
        covariance_by=covariance_by,  # type: ignore[arg-type]
    )
    result = audit(
        spec,
        data,
        trace,
        counts=counts,  # type: ignore[arg-type]  # checked by the audit
        tolerance=tolerance,
        missing=missing,  # type: ignore[arg-type]  # checked when the panel is built
    )
    typer.echo(result.finding)
    for row in result.findings.itertuples():
        typer.echo(f"\n{row.kind}: {row.cause}\n  {row.evidence}")
    if output is None:
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        result.iterations.to_csv(output / "iterations.csv", index=False)
        result.findings.to_csv(output / "findings.csv", index=False)
        result.plot().savefig(output / "audit.svg")
    except OSError as error:
        raise OptionError(f"{output} cannot be written: {error}.") from error
    typer.echo(f"\nTables and figure: {output}")
