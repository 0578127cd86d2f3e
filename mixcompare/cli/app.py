"""The command line: run a study, compare on a table, choose K, audit, show a saved fit."""

from __future__ import annotations

import errno
import importlib.metadata
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mixcompare.base.errors import MixCompareError
from mixcompare.base.machine import describe
from mixcompare.cli.arguments import (
    Components,
    Data,
    Force,
    Missing,
    Model,
    SavedFit,
    Seed,
    Starts,
    Trust,
    folder_option,
    of_model,
)
from mixcompare.cli.audit import audit_command
from mixcompare.cli.predict import predict_command
from mixcompare.cli.reproduce import reproduce_command
from mixcompare.cli.select import select_command
from mixcompare.cli.study import Quick, register

if TYPE_CHECKING:
    import pandas as pd

    from mixcompare.fits.fit import Fit

_OF_THE_DISK: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)

app = typer.Typer(
    name="mixcompare",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Fit one finite-mixture model by EM and by MCMC (PyMC) and report whether they agree.",
    epilog="Examples: [cyan]mixcompare run studies/gapminder.toml --quick[/cyan]; "
    "[cyan]mixcompare show reports/gapminder/em.nc[/cyan]. "
    "Each command has its own [cyan]--help[/cyan].",
)

_Output = Annotated[
    Path | None,
    folder_option(
        help="Folder of the report. An earlier report of the same data and model is replaced "
        "after everything has succeeded; other files stay.",
    ),
]


def main() -> None:
    """Run the command line; bad input ends with status 1 and one paragraph on stderr."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # takes what it is given
    try:
        app()
    except MixCompareError as error:
        typer.echo(f"mixcompare: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:
        # The disk's, not the program's: nothing that a traceback would explain.
        if error.errno not in _OF_THE_DISK and "temporary directory" not in str(error):
            raise
        typer.echo(f"mixcompare: {_disk(error)}", err=True)
        sys.exit(1)
    except MemoryError as error:
        said = " ".join(describe(error).split())
        typer.echo(f"mixcompare: {said}. Ask for less, or run it on another machine.", err=True)
        sys.exit(1)


def _disk(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"{error.strerror or error}{where}. Free some space there or get the right to write; "
        "temporary files go to the folder that the environment variable TMPDIR names."
    )


def _show_warning(message: Warning | str, *_: Any) -> None:
    typer.echo(f"mixcompare: warning: {' '.join(str(message).split())}", err=True)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mixcompare {importlib.metadata.version('mixcompare')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


register(app)


@app.command(
    epilog="Example: [cyan]mixcompare compare panel.csv --formula 'y ~ x' --unit id "
    "--components 3[/cyan]"
)
@of_model()
def compare(
    data: Data,
    components: Components,
    model: Model,
    missing: Missing = "error",
    starts: Starts = None,
    draws: Annotated[int | None, typer.Option(help="PyMC: draws per chain.")] = None,
    tune: Annotated[int | None, typer.Option(help="PyMC: tuning draws per chain.")] = None,
    chains: Annotated[int | None, typer.Option(help="PyMC: number of chains.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="PyMC: nutpie, or smc, which crosses between modes.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="PyMC: where chains start: search, overdispersed, prior, or em, near EM's fit."
        ),
    ] = None,
    climbs: Annotated[
        int | None, typer.Option(help="PyMC: points that the search before the chains climbs from.")
    ] = None,
    target_accept: Annotated[
        float | None, typer.Option(help="PyMC: acceptance rate; nearer 1, steps are smaller.")
    ] = None,
    seed: Seed = 0,
    output: _Output = None,
    force: Force = False,
    quick: Quick = False,
) -> None:
    """Fit a table by EM and by PyMC, compare them, write the report.

    The report goes to reports/ and the data file's name without its suffix, unless --output
    says otherwise.
    """
    from mixcompare.base.files.ownership import place_of
    from mixcompare.base.files.staging import check_folder_name
    from mixcompare.cli.study_output import print_finished
    from mixcompare.data.tables import table_name
    from mixcompare.reproduction.origin import Origin
    from mixcompare.study.file.methods import Method
    from mixcompare.study.run.pair import fit_and_report

    of_chains = _given(
        draws=draws,
        tune=tune,
        chains=chains,
        sampler=sampler,
        init=init,
        climbs=climbs,
        target_accept=target_accept,
    )
    methods = {
        "em": Method("em", _given(starts=starts)),
        "pymc": Method("pymc", of_chains),
    }
    folder = Path("reports", table_name(data)) if output is None else output
    if output is not None:
        check_folder_name(output)
    print_finished(
        fit_and_report(
            model(components),
            data,
            methods,
            folder,
            seed=seed,
            missing=missing,  # type: ignore[arg-type]  # checked when the panel is built
            quick=quick,
            origin=Origin(file=data.name, place=place_of(data)),
            overwrite=force,
        ),
        data,
    )


@app.command(epilog="Example: [cyan]mixcompare show reports/gapminder/em.nc[/cyan]")
def show(
    fit: SavedFit,
    trust: Trust = False,
) -> None:
    """Show a saved fit: model, status, log-likelihood, parameters."""
    from mixcompare.fits.fit import load

    _print_fit(load(fit, trust=trust))


app.command(
    "audit",
    epilog="Example: [cyan]mixcompare audit panel.csv trace.csv --formula 'y ~ x' --unit id "
    "--components 3[/cyan]",
)(audit_command)
app.command(
    "predict",
    epilog="Example: [cyan]mixcompare predict reports/gapminder/em.nc new.csv -o predicted.csv"
    "[/cyan]",
)(predict_command)


app.command(
    "select",
    epilog="Example: [cyan]mixcompare select panel.csv --formula 'y ~ x' --unit id --to 6[/cyan]",
)(select_command)
app.command(
    "reproduce", epilog="Example: [cyan]mixcompare reproduce reports/gapminder/report.html[/cyan]"
)(reproduce_command)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _print_fit(fit: Fit) -> None:
    from mixcompare.cli.study_output import as_table, console, facts_table

    out = console()
    spec = fit.spec
    extent = "one for all" if spec.covariance_by == "shared" else "one for each"
    at = "at the maximum" if fit.is_optimum else "at the highest draw"
    facts = {
        "backend": f"{fit.backend}, seed {fit.seed}, {fit.seconds:.1f} s",
        "formula": spec.formula,
        "unit": spec.unit or "every row",
        "absorbed": ":".join(spec.absorb) if spec.absorb else "nothing",
        "components": f"{spec.n_components}; {spec.covariance} covariance, {extent}",
        "data": f"{fit.panel.n_rows} rows, {fit.panel.n_units} units",
        "status": f"{fit.status}: {fit.message}",
        "log-likelihood": f"{fit.log_likelihood:.6f} {at}, {fit.n_parameters} parameters",
        **_withheld(fit),
    }
    cautions = (("caution", caution) for caution in fit.cautions)
    out.print(facts_table([*facts.items(), *cautions]))
    out.print(as_table(fit.summary().reset_index(), "Parameters"))
    optima = _optima(fit)
    if optima is not None:
        out.print(as_table(optima, "Distinct optima of EM"))


def _withheld(fit: Fit) -> dict[str, str]:
    """Why EM has no standard errors, or not all, if it has not."""
    if not fit.is_optimum:
        return {}
    reason = fit.errors.reason
    extent = "some withheld" if fit.summary()["se"].notna().any() else "none"
    return {"standard errors": f"{extent}: {reason}"} if reason else {}


def _optima(fit: Fit) -> pd.DataFrame | None:
    """EM's ten best optima."""
    if not fit.is_optimum:
        return None
    from mixcompare.comparison.optima import optima_table

    table = optima_table(fit).head(10)
    return table.assign(log_likelihood=table["log_likelihood"].map("{:.6f}".format))


if __name__ == "__main__":
    main()
