"""``[simulate]`` of a study file: the data-generating mechanism."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mixcompare.study.file.values import (
    Count,
    Finite,
    Function,
    Periods,
    Positive,
    Share,
    Table,
    Weights,
)

# The truth of a mechanism, which the report needs whoever makes the data.
_STATED = ("weights", "coefficients", "covariance")


class CovariateTable(Table):
    """``[simulate.covariates.NAME]``: the distribution of a covariate.

    ``normal`` with mean and sd, of whose variance the share `between` lies between units;
    ``uniform`` from low to high; ``bernoulli`` with its probability; ``time``: the row's
    number within its cell, centred, times `scale`. ``level = "unit"`` gives every row of a
    unit the same value.
    """

    distribution: Literal["normal", "uniform", "bernoulli", "time"]
    mean: float = 0.0
    sd: Positive = 1.0
    between: Annotated[float, Field(ge=0, le=1)] = 0.0
    low: float = 0.0
    high: float = 1.0
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.5
    scale: float = 1.0
    level: Literal["row", "unit"] = "row"

    @model_validator(mode="after")
    def _ordered(self) -> CovariateTable:
        if self.distribution == "uniform" and not 0 < self.high - self.low < math.inf:
            raise ValueError(
                f"low = {self.low:g} must be below high = {self.high:g}, and the range between "
                "them a finite number"
            )
        return self


class HeteroscedasticTable(Table):
    """``[simulate.heteroscedastic]``: sd times exp(strength z), z the covariate standardised.

    Scaled so that the mean square of the factor over the rows is 1.
    """

    covariate: str
    strength: float


class CellEffectTable(Table):
    """``[simulate.cell_effect]``: normal with this sd, plus slope times the cell's mean.

    The mean is that of `covariate`, so that the effect is correlated with it.
    """

    sd: Annotated[float, Field(ge=0)] = 0.0
    covariate: str | None = None
    slope: float = 0.0


class SimulateTable(Table):
    """``[simulate]``: the data-generating mechanism and its true parameters.

    Parameters
    ----------
    generator, arguments
        A function of the user's own in place of all else but the truth, and its further
        keywords, see `mixcompare.study.file.custom.mechanism`.
    units, cells, periods
        Number of units, cells in a unit and rows in a cell.
    weights, coefficients, covariance
        The truth. Coefficients by name of the design column, a value per class (a list per
        class for several outcomes); covariance: a variance, a variance per class, a matrix,
        or a matrix per class.
    membership
        In place of weights, where the model has membership covariates: by name of the
        membership's design column, log-odds per class. Only their differences between classes
        count; estimands are against the first.
    separation
        Factor on the classes' coefficients' deviations from their weighted mean.
    formula
        The mechanism's, if it is not the model's; same outcomes.
    errors, degrees_of_freedom
        ``"t"`` errors are scaled to have the covariance stated.
    autocorrelation
        Of the errors within a cell from row to row, AR(1) with the variance stated.
    missing_rows
        Share of rows lost completely at random; every unit keeps one.
    design
        ``"given"``: the covariates of [data] as they are, ``"resampled"``: of units drawn from
        them with replacement.
    truth
        ``"fit"``: the parameters are those of an EM fit to [data]; ``"prior"``: drawn from the
        model's prior in every replicate, for simulation-based calibration.
    """

    generator: Function = None
    arguments: dict[str, Any] = {}
    units: Count | None = None
    cells: Count = 1
    periods: Periods = 1
    weights: Weights | None = None
    coefficients: dict[str, Annotated[list[Any], Finite]] = {}
    covariance: Annotated[Any, Finite] = None
    membership: dict[str, list[float]] = {}
    separation: Annotated[float, Field(ge=0)] = 1.0
    covariates: dict[str, CovariateTable] = {}
    formula: str | None = None
    errors: Literal["normal", "t"] = "normal"
    degrees_of_freedom: Annotated[float, Field(gt=2)] = 5.0
    autocorrelation: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    heteroscedastic: HeteroscedasticTable | None = None
    cell_effect: CellEffectTable | None = None
    missing_rows: Share = 0.0
    design: Literal["generated", "given", "resampled"] = "generated"
    truth: Literal["given", "fit", "prior"] = "given"

    @model_validator(mode="after")
    def _complete(self) -> SimulateTable:
        if self.generator is not None:
            self._check_generator()
        elif self.arguments:
            raise ValueError("arguments belong to a generator, which is missing")
        elif self.design == "generated" and self.units is None:
            raise ValueError("units is missing: say how many, or take the design from [data]")
        if self.weights is not None and self.membership:
            raise ValueError("weights and membership exclude each other: both give classes")
        shares = self.weights is not None or bool(self.membership)
        stated = [shares, bool(self.coefficients), self.covariance is not None]
        parameters = "weights or membership, coefficients and covariance"
        if self.truth == "fit" and (any(stated) or self.design == "generated"):
            raise ValueError(
                f"truth = 'fit' takes {parameters} from a fit to [data]: leave them out, and set "
                "design to 'given' or 'resampled'"
            )
        if self.truth == "prior" and any(stated):
            raise ValueError(f"truth = 'prior' draws {parameters} itself")
        if self.truth == "given" and not all(stated):
            raise ValueError(f"needs {parameters}, the true parameters")
        return self

    def _check_generator(self) -> None:
        given = self.model_fields_set - {"generator", "arguments", *_STATED}
        if given:
            raise ValueError(
                f"the generator makes the data: {', '.join(sorted(given))} cannot be given beside "
                "it; name them among its arguments"
            )
