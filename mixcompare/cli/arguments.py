"""Command-line arguments that describe data and model, the same for every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
