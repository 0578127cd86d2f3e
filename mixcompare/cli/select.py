"""``mixcompare select``: a range of K from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixcompare.cli.arguments import (
    Data,
    Force,
    Missing,
    Model,
    Seed,
    Starts,
    folder_option,
    of_model,
)

_COLUMNS = (
    *("log_likelihood", "n_parameters", "aic", "bic", "icl", "entropy_r2", "smallest_class"),
    *("starts_at_best", "starts", "notes"),
)
_SAMPLED = ("posterior_", "elpd_", "high_", "log_evidence_", "evidence_")


@of_model()
def select_command(
    data: Data,
    model: Model,
    most: Annotated[int, typer.Option("--to", min=1, help="Largest number of classes.")] = 5,
    least: Annotated[int, typer.Option("--from", min=1, help="Smallest number of classes.")] = 1,
    missing: Missing = "error",
    starts: Starts = None,
    replicates: Annotated[
        int,
        typer.Option(
            min=0, help="Simulated data sets for each bootstrap likelihood-ratio test; 0: no tests."
        ),
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share the simulated data sets.")
    ] = 1,
    posterior: Annotated[
        list[str] | None,
        typer.Option(
            help="Criterion of the posterior by PyMC: loo, or the log marginal likelihood by "
            "bridge or smc; may be repeated."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="PyMC: draws of each chain.")] = 1000,
    seed: Seed = 0,
    output: Annotated[
        Path | None, folder_option(help="Folder for tables, figure and fits.")
    ] = None,
    force: Force = False,
) -> None:
    """Fit a table with several numbers of classes and show what criteria say."""
    from mixcompare.data.panel import build_panel
    from mixcompare.selection import select
    from mixcompare.selection.selection import check_selection_folder

    spec = model(most)
    panel = build_panel(spec, data, missing=missing)  # type: ignore[arg-type]  # checked there
    if output is not None:
        check_selection_folder(output, spec, panel.fingerprint, overwrite=force)
    result = select(
        spec,
        panel,
        n_components=range(least, most + 1),
        seed=seed,
        replicates=replicates,
        workers=workers,
        posterior=tuple(posterior or ()),  # type: ignore[arg-type]  # checked by select
        sampling={"draws": draws} if posterior else None,
        starts=starts,
    )
    columns = [name for name in _COLUMNS if name in result.table]
    typer.echo(result.table[columns].to_string(float_format="{:.4f}".format))
    sampled = [name for name in result.table if str(name).startswith(_SAMPLED)]
    if sampled:
        typer.echo(result.table[sampled].to_string(float_format="{:.2f}".format))
    for name, count in result.choices.items():
        note = result.notes[count]
        typer.echo(f"{name}: {count}{f' ({note})' if note else ''}")
    if result.tests is not None:
        typer.echo(result.tests.to_string(index=False, float_format="{:.4g}".format))
    for count, row in result.table[result.table["falls"]].iterrows():
        typer.echo(f"{count} classes: the maximum was missed ({row['message']}); use more starts.")
    for count, text in result.table["cautions"].items():
        if text:
            typer.echo(f"{count} classes: {text}")
    if output is not None:
        from mixcompare.report.write_selection import write_selection  # matplotlib is slow

        typer.echo(f"Tables, figure and fits: {write_selection(result, output, overwrite=force)}")
