"""Command-line arguments that several commands have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from mixcompare.model.spec import MixtureSpec

Data = Annotated[Path, typer.Argument(metavar="DATA.csv", help="CSV, TSV or Parquet file.")]
SavedFit = Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit that was saved.")]
Components = Annotated[int, typer.Option(help="Number of latent classes.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Formulas may hold any Python, and functions that a study file names may run: only "
        "for what you have written or whose author you trust.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace results of another input or model, or files that are not ours."
    ),
]
Missing = Annotated[str, typer.Option(help="error: refuse missing values; drop: drop such rows.")]
Starts = Annotated[
    int | None,
    typer.Option(
        help="EM: number of starts; by default as many as it takes to find the best optimum again."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Root of the random numbers.")]

# The option of a command that writes a folder; it takes its help.
folder_option: Final = functools.partial(typer.Option, "--output", "-o", metavar="DIR")

# A command's argument for what the options of `of_model` say: the specification with K classes.
type Model = Callable[[int], MixtureSpec]


def _model(
    formula: Annotated[
        str,
        typer.Option(
            help="Outcomes and covariates, as in 'y1 + y2 ~ x + I(x**2)'; names with spaces go "
            "between backticks."
        ),
    ],
    unit: Annotated[
        str | None,
        typer.Option(help="Column whose rows share one class; without it each row is a unit."),
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of the order of a unit's rows.")] = None,
    absorb: Annotated[
        str | None, typer.Option(help="Columns of the fixed effects to remove, crossed by ':'.")
    ] = None,
    common: Annotated[
        str | None,
        typer.Option(help="Terms whose coefficients are the same in all classes, as in '~ x1'."),
    ] = None,
    membership: Annotated[
        str | None,
        typer.Option(help="Unit covariates of the class membership, as in '~ income'."),
    ] = None,
    unit_weights: Annotated[str | None, typer.Option(help="Column of the units' weights.")] = None,
    covariance: Annotated[str, typer.Option(help="full, diagonal or spherical.")] = "full",
    covariance_by: Annotated[
        str, typer.Option(help="component: one per class; shared: one for all.")
    ] = "component",
    trust: Trust = False,
) -> None:
    """Called the same in the commands and in the specification, which checks them."""


_OPTIONS: Final = inspect.signature(_model, eval_str=True).parameters


def of_model(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that describe a model, in place of its argument `model`.

    Parameters
    ----------
    left_out
        Options that it does not have.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        options = {name: option for name, option in _OPTIONS.items() if name not in left_out}

        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            described = {name: arguments.pop(name) for name in options}

            def model(n_components: int) -> MixtureSpec:
                from mixcompare.model.spec import MixtureSpec  # formulaic is slow to import

                return MixtureSpec(**described, n_components=n_components)

            command(**arguments, model=model)

        listed = [
            parameter
            for name, argument in signature.parameters.items()
            for parameter in (options.values() if name == "model" else [argument])
        ]
        by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in listed]
        run.__signature__ = signature.replace(parameters=by_name)  # type: ignore[attr-defined]
        return run

    return decorate
