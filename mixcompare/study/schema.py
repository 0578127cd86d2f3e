"""The tables of a study file, checked as a whole before anything is fitted."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mixcompare import datasets
from mixcompare.suggest import did_you_mean


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError(
            "must be lower-case letters, digits, '-' and '_', since it names files and folders"
        )
    return value


def _panel_name(value: str | None) -> str | None:
    if value is not None and value not in datasets.names():
        hint = did_you_mean(value, datasets.names())
        raise ValueError(f"must be one of {', '.join(datasets.names())}{hint}")
    return value


def _weights(value: list[float]) -> list[float]:
    if not value or min(value) <= 0 or abs(sum(value) - 1) > 1e-9:
        raise ValueError(f"must be positive numbers that sum to 1, not to {sum(value):g}")
    return value


def _periods(value: Any) -> Any:
    whole = [value] if isinstance(value, int) else value
    if (
        not isinstance(whole, list)
        or len(whole) > 2
        or not all(type(n) is int and n >= 1 for n in whole)
        or whole != sorted(whole)
    ):
        raise ValueError("must be a whole number of rows, or [fewest, most] for unbalanced units")
    return value


def _function(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError("must be 'package.module:function', a function that gives a table")
    return value


# The truth of a mechanism, which the report needs whoever makes the data.
_STATED = ("weights", "coefficients", "covariance")


Slug = Annotated[str, AfterValidator(_slug)]
Weights = Annotated[list[float], AfterValidator(_weights)]
Periods = Annotated[Any, AfterValidator(_periods)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    # Strict, because a quoted number or a `true` for a count is a slip, not a choice.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _OpenTable(BaseModel):
    """A table whose further keys somebody else checks."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @property
    def further(self) -> dict[str, Any]:
        """The keys that are not declared."""
        return dict(self.model_extra or {})


class StudyTable(_Table):
    """``[study]``: what it is called; the name is also the report's folder."""

    name: Slug
    title: str = ""


class AimsTable(_Table):
    """``[aims]``: why the study is done, in words."""

    text: str = ""


class DataTable(_Table):
    """``[data]``: a panel by name, a file relative to the study file, or a loader."""

    panel: Annotated[str | None, AfterValidator(_panel_name)] = None
    file: str | None = None
    loader: Annotated[str | None, AfterValidator(_function)] = None
    missing: Literal["error", "drop"] = "error"
    resample: Literal["no", "units"] = "no"

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        if sum(source is not None for source in (self.panel, self.file, self.loader)) != 1:
            raise ValueError(
                "must name exactly one source: panel, one of "
                f"{', '.join(datasets.names())}, file, the path of a CSV or Parquet file, or "
                "loader, a function of an installed package"
            )
        return self


class CovariateTable(_Table):
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


class HeteroscedasticTable(_Table):
    """``[simulate.heteroscedastic]``: sd times exp(strength z), z the covariate standardised.

    Scaled so that the mean square of the factor over the rows is 1.
    """

    covariate: str
    strength: float


class CellEffectTable(_Table):
    """``[simulate.cell_effect]``: normal with this sd, plus slope times the cell's mean.

    The mean is that of `covariate`, so that the effect is correlated with it.
    """

    sd: Annotated[float, Field(ge=0)] = 0.0
    covariate: str | None = None
    slope: float = 0.0


class SimulateTable(_Table):
    """``[simulate]``: the data-generating mechanism and its true parameters.

    Parameters
    ----------
    generator, arguments
        A function of the user's own in place of all else but the truth, and its further
        keywords, see `mixcompare.study.custom.mechanism`.
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

    generator: Annotated[str | None, AfterValidator(_function)] = None
    arguments: dict[str, Any] = {}
    units: Count | None = None
    cells: Count = 1
    periods: Periods = 1
    weights: Weights | None = None
    coefficients: dict[str, list[Any]] = {}
    covariance: Any = None
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
        own = "weights or membership, coefficients and covariance"
        if self.truth == "fit" and (any(stated) or self.design == "generated"):
            raise ValueError(
                f"truth = 'fit' takes {own} from a fit to [data]: leave them out, and set design "
                "to 'given' or 'resampled'"
            )
        if self.truth == "prior" and any(stated):
            raise ValueError(f"truth = 'prior' draws {own} itself")
        if self.truth == "given" and not all(stated):
            raise ValueError(f"needs {own}, the true parameters")
        return self

    def _check_generator(self) -> None:
        given = self.model_fields_set - {"generator", "arguments", *_STATED}
        if given:
            raise ValueError(
                f"the generator makes the data: {', '.join(sorted(given))} cannot be given beside "
                "it; name them among its arguments"
            )


class GridTable(_Table):
    """``[grid]``: factors by dotted key, as in ``"simulate.units"``.

    ``[grid.crossed]`` has lists of levels, all combined; each ``[[grid.listed]]`` is one
    combination; with both, every listed one is crossed with the rest.
    """

    crossed: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    listed: list[dict[str, Any]] = []


class ModelTable(_OpenTable):
    """``[model]``: the arguments of `MixtureSpec`, which checks their values."""

    formula: str
    unit: str | None = None
    n_components: int


class BootstrapTable(_Table):
    """``bootstrap`` of a method: standard errors and percentile intervals from replicates."""

    replicates: Annotated[int, Field(ge=2)]
    kind: Literal["units", "parametric"] = "units"


class MethodTable(_OpenTable):
    """``[methods.NAME]``: a backend, its options, and what it changes in the model.

    Parameters
    ----------
    replicates
        Number of replicates, in place of the run's.
    transform
        ``"within"``: subtract cell means and fit the rest as if nothing had been absorbed.
    bootstrap
        Intervals and standard errors by the bootstrap (EM).
    choose_components
        Numbers of classes of which the one with the smallest BIC is kept (EM).
    """

    backend: str
    replicates: Count | None = None
    transform: Literal["none", "within"] = "none"
    bootstrap: BootstrapTable | None = None
    choose_components: Annotated[list[Count], Field(min_length=2)] | None = None


class EstimandsTable(_Table):
    """``[estimands]``: which parameters, and the null value that intervals are tested against.

    A parameter is named by itself (``coefficients[1, x]``), its array (``weights``) or its
    covariate (``x``); all by default.
    """

    parameters: list[str] = []
    null: float = 0.0


class SelectTable(_OpenTable):
    """``[select]``: how many classes? On a real panel, beside the comparison of EM and PyMC.

    Further keys are EM's options in place of those of the study's EM method.

    Parameters
    ----------
    n_components
        The numbers of classes.
    replicates, replicate_starts, posterior, sampling
        See `mixcompare.select`.
    """

    n_components: Annotated[list[Count], Field(min_length=1)]
    replicates: Annotated[int, Field(ge=0)] = 0
    replicate_starts: Count = 10
    posterior: list[Literal["loo", "bridge", "smc"]] = []
    sampling: dict[str, Any] = {}


class RunTable(_Table):
    """``[run]``: how the methods are run."""

    seed: Annotated[int, Field(ge=0)] = 0
    replicates: Count = 1
    workers: Annotated[int, Field(ge=0)] | None = None
    seconds_per_fit: Positive | None = None
    keep_fits: bool = False


class ReportTable(_Table):
    """``[report]``: where it goes, relative to the current folder, and what it shows.

    Parameters
    ----------
    baseline
        Method that the others are compared with; the first by default.
    focus
        Estimand of the plots that show one; the first by default.
    """

    output: str | None = None
    baseline: str | None = None
    focus: str | None = None


class StudyTables(_Table):
    """All tables of a study file."""

    study: StudyTable
    aims: AimsTable = AimsTable()
    data: DataTable | None = None
    simulate: SimulateTable | None = None
    model: ModelTable
    grid: GridTable = GridTable()
    methods: Annotated[dict[Slug, MethodTable], Field(min_length=1)]
    estimands: EstimandsTable = EstimandsTable()
    select: SelectTable | None = None
    run: RunTable = RunTable()
    report: ReportTable = ReportTable()
    checklist: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_mechanism(self) -> StudyTables:
        if self.data is None and self.simulate is None:
            raise ValueError("needs a table [data] for a real panel, or [simulate]")
        if self.simulate is None or self.simulate.design != "generated":
            if self.data is None:
                raise ValueError("[simulate] design needs a table [data] to take it from")
            if self.simulate is not None and self.data.resample != "no":
                raise ValueError("[data] resample and [simulate] exclude each other")
        elif self.data is not None:
            raise ValueError("[data] and [simulate] together need simulate.design to be set")
        return self
