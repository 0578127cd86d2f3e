"""The tables of a study file, checked as a whole before anything is fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mixcompare import datasets
from mixcompare.study.file.simulate_table import SimulateTable
from mixcompare.study.file.values import (
    Count,
    Function,
    OpenTable,
    PanelName,
    Seconds,
    Seed,
    Slug,
    Table,
)


class StudyTable(Table):
    """``[study]``: what it is called; the name is also the report's folder."""

    name: Slug
    title: str = ""


class AimsTable(Table):
    """``[aims]``: why the study is done, in words."""

    text: str = ""


class DataTable(Table):
    """``[data]``: a panel by name, a file relative to the study file, or a loader."""

    panel: PanelName = None
    file: str | None = None
    loader: Function = None
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


class GridTable(Table):
    """``[grid]``: factors by dotted key, as in ``"simulate.units"``.

    ``[grid.crossed]`` has lists of levels, all combined; each ``[[grid.listed]]`` is one
    combination, which a ``label`` may name; with both, every listed one is crossed with the rest.
    """

    crossed: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    listed: list[dict[str, Any]] = []


class ModelTable(OpenTable):
    """``[model]``: the arguments of `MixtureSpec`, which checks their values."""

    formula: str
    unit: str | None = None
    n_components: int


class BootstrapTable(Table):
    """``bootstrap`` of a method: standard errors and percentile intervals from replicates."""

    replicates: Annotated[int, Field(ge=2)]
    kind: Literal["units", "parametric"] = "units"


class MethodTable(OpenTable):
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


class EstimandsTable(Table):
    """``[estimands]``: which parameters, and the null value that intervals are tested against.

    A parameter is named by itself (``coefficients[1, x]``), its array (``weights``) or its
    covariate (``x``); all by default.
    """

    parameters: list[str] = []
    null: float = 0.0


class SelectTable(OpenTable):
    """``[select]``: how many classes? On a real panel, beside the comparison of EM and PyMC.

    Further keys are EM's options in place of those of the study's EM method.

    Parameters
    ----------
    n_components
        The numbers of classes.
    replicates, replicate_starts, workers, posterior, sampling
        See `mixcompare.select`.
    """

    n_components: Annotated[list[Count], Field(min_length=1)]
    replicates: Annotated[int, Field(ge=0)] = 0
    replicate_starts: Count = 10
    workers: Count = 1
    posterior: list[Literal["loo", "bridge", "smc"]] = []
    sampling: dict[str, Any] = {}


class RunTable(Table):
    """``[run]``: how the methods are run."""

    seed: Seed = 0
    replicates: Count = 1
    workers: Annotated[int, Field(ge=0)] | None = None
    seconds_per_fit: Seconds | None = None
    keep_fits: bool = False


class ReportTable(Table):
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


class StudyTables(Table):
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
