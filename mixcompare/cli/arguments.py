"""Command-line arguments that describe data and model, the same for every command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from mixcompare.model.spec import MixtureSpec

Data = Annotated[Path, typer.Argument(metavar="DATA.csv", help="CSV, TSV or Parquet file.")]
FormulaText = Annotated[
    str,
    typer.Option(
        help="Outcomes and covariates, as in 'y1 + y2 ~ x + I(x**2)'; names with spaces go "
        "between backticks."
    ),
]
Components = Annotated[int, typer.Option(help="Number of latent classes.")]
Unit = Annotated[
    str | None,
    typer.Option(help="Column whose rows share one class; without it each row is a unit."),
]
Time = Annotated[str | None, typer.Option(help="Column of the order of a unit's rows.")]
Absorb = Annotated[
    str | None, typer.Option(help="Columns of the fixed effects to remove, crossed by ':'.")
]
Common = Annotated[
    str | None,
    typer.Option(help="Terms whose coefficients are the same in all classes, as in '~ x1'."),
]
Membership = Annotated[
    str | None,
    typer.Option(help="Unit covariates of the class membership, as in '~ income'."),
]
UnitWeights = Annotated[str | None, typer.Option(help="Column of the units' weights.")]
Covariance = Annotated[str, typer.Option(help="full, diagonal or spherical.")]
CovarianceBy = Annotated[str, typer.Option(help="component: one per class; shared: one for all.")]
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

# Called the same in the commands and in the specification, which checks them.
_OF_THE_MODEL: Final = (
    *("formula", "unit", "time", "absorb", "common", "membership", "unit_weights"),
    *("covariance", "covariance_by", "trust"),
)


def given_spec(arguments: Mapping[str, Any], n_components: int) -> MixtureSpec:
    """The specification that a command's arguments describe.

    Parameters
    ----------
    arguments
        All of them by name; those that do not describe the model are left aside.
    n_components
        Number of classes.

    Raises
    ------
    SpecificationError
        If one is not valid.
    """
    from mixcompare.model.spec import MixtureSpec  # formulaic is slow to import

    named = {name: arguments[name] for name in _OF_THE_MODEL if name in arguments}
    return MixtureSpec(**named, n_components=n_components)
