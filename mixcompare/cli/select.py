"""``mixcompare select``: a range of K from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from mixcompare.selection import Selection

_COLUMNS = (
    *("log_likelihood", "n_parameters", "aic", "bic", "icl", "entropy_r2", "smallest_class"),
    *("starts_at_best", "starts", "notes"),
)
_SAMPLED = ("posterior_", "smc_", "elpd_", "high_", "log_evidence_", "evidence_")


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
    _show(result)
    if output is not None:
        from mixcompare.report.write_selection import write_selection  # matplotlib is slow

        typer.echo(f"Tables, figure and fits: {write_selection(result, output, overwrite=force)}")


def _show(result: Selection) -> None:
    import pandas as pd

    from mixcompare.selection.criteria_table import UNRANKED

    columns = [name for name in _COLUMNS if name in result.table]
    typer.echo(result.table[columns].to_string(float_format="{:.4f}".format))
    names = result.table.columns.astype(str)
    reasons = [name for name in names if name.endswith(UNRANKED)]
    sampled = [name for name in names if name.startswith(_SAMPLED) and name not in reasons]
    if sampled:
        typer.echo(result.table[sampled].to_string(float_format="{:.2f}".format))
    for name, count, note in result.choices.itertuples():
        typer.echo(f"{name}: {'none' if pd.isna(count) else count}{f' ({note})' if note else ''}")
    for column in reasons:
        sampler = "SMC" if column.startswith("smc") else "NUTS"
        for count, text in result.table[column].items():
            if text:
                typer.echo(f"{count} classes, not ranked by {sampler}: {text}")
    if result.tests is not None:
        typer.echo(result.tests.to_string(index=False, float_format="{:.4g}".format))
    for count, row in result.table[result.table["falls"]].iterrows():
        typer.echo(f"{count} classes: the maximum was missed ({row['message']}); use more starts.")
    for count, text in result.table["cautions"].items():
        if text:
            typer.echo(f"{count} classes: {text}")
