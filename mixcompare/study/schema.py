"""The study file: TOML tables, checked as a whole before anything is fitted."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from mixcompare import datasets
from mixcompare.backends import get_backend
from mixcompare.errors import MixCompareError, OptionError
from mixcompare.reproduction.origin import Origin
from mixcompare.spec import MixtureSpec, Priors
from mixcompare.suggest import did_you_mean
from mixcompare.tables import read_table


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


Slug = Annotated[str, AfterValidator(_slug)]


class _Table(BaseModel):
    # Strict, because a quoted number or a `true` for a count is a slip, not a choice.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StudyTable(_Table):
    """``[study]``: what it is called; the name is also the report's folder."""

    name: Slug
    title: str = ""


class AimsTable(_Table):
    """``[aims]``: why the study is done, in words."""

    text: str = ""


class DataTable(_Table):
    """``[data]``: a panel by name or a file, relative to the study file."""

    panel: Annotated[str | None, AfterValidator(_panel_name)] = None
    file: str | None = None
    missing: Literal["error", "drop"] = "error"

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        if (self.panel is None) == (self.file is None):
            raise ValueError(
                "must name exactly one source: panel, one of "
                f"{', '.join(datasets.names())}, or file, the path of a CSV or Parquet file"
            )
        return self


class ModelTable(_Table):
    """``[model]``: the arguments of `MixtureSpec`, which checks their values."""

    formula: str
    unit: str | None = None
    absorb: Any = None
    n_components: int
    covariance: str = "full"
    covariance_by: str = "component"
    priors: dict[str, Any] = {}


class MethodTable(_Table):
    """``[methods.NAME]``: a backend and its options, which the backend checks."""

    model_config = ConfigDict(extra="allow")

    backend: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the backend's name."""
        return dict(self.model_extra or {})


class RunTable(_Table):
    """``[run]``: how the methods are run."""

    seed: Annotated[int, Field(ge=0)] = 0


class ReportTable(_Table):
    """``[report]``: where the report goes, relative to the current folder."""

    output: str | None = None


class StudyTables(_Table):
    """All tables of a study file."""

    study: StudyTable
    aims: AimsTable = AimsTable()
    data: DataTable
    model: ModelTable
    methods: Annotated[dict[Slug, MethodTable], Field(min_length=1)]
    run: RunTable = RunTable()
    report: ReportTable = ReportTable()
    checklist: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Study:
    """A study file that has been read and checked.

    Attributes
    ----------
    path
        The file.
    text
        Its content as it was read, for the copy beside the report.
    tables
        The checked tables.
    spec
        The model.
    """

    path: Path
    text: str
    tables: StudyTables
    spec: MixtureSpec

    @property
    def output(self) -> Path:
        """Folder of the report: ``[report] output``, or ``reports/`` and the study's name."""
        given = self.tables.report.output
        return Path("reports", self.tables.study.name) if given is None else Path(given)

    @property
    def origin(self) -> Origin:
        """What its report carries, so that it can be made again."""
        source = self.tables.data
        return Origin(self.text, source.panel, source.file and Path(source.file).name)

    def read_data(self) -> pd.DataFrame:
        """Load the panel or read the file.

        Raises
        ------
        DataError
            If the file cannot be read or the panel's package is not installed.
        """
        source = self.tables.data
        if source.panel is not None:
            return datasets.load(source.panel)
        return read_table(self.path.parent / str(source.file))


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    OptionError
        If the file cannot be read, is not TOML, or holds an unknown key or a value that
        is not allowed; the message names the file, the key, the value and what is allowed.
    """
    path = Path(path)
    text, content = _read(path)
    try:
        tables = StudyTables.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(detail) for detail in error.errors())
        raise OptionError(f"{path}: {problems}.") from error
    spec = _spec(path, tables.model)
    for name, method in tables.methods.items():
        _check_method(path, name, method)
    return Study(path, text, tables, spec)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(f"study file {path} cannot be read: {reason}.") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"study file {path} is not valid TOML: {error}.") from error


def _spec(path: Path, model: ModelTable) -> MixtureSpec:
    allowed = [field.name for field in dataclasses.fields(Priors)]
    _check_keys(path, "[model.priors]", model.priors, allowed)
    try:
        return MixtureSpec.from_dict(model.model_dump())
    except MixCompareError as error:
        raise OptionError(f"{path}: [model] {error}") from error


def _check_method(path: Path, name: str, method: MethodTable) -> None:
    table = f"[methods.{name}]"
    try:
        options_type = get_backend(method.backend).Options
    except OptionError as error:
        raise OptionError(f"{path}: {table} backend: {error}") from error
    allowed = [field.name for field in dataclasses.fields(options_type)]
    _check_keys(path, table, method.options, ["backend", *allowed])
    try:
        options_type(**method.options)
    except (MixCompareError, TypeError) as error:
        raise OptionError(f"{path}: {table} {error}") from error


def _check_keys(path: Path, table: str, given: Iterable[str], allowed: list[str]) -> None:
    unknown = [_unknown_key(table, key, allowed) for key in given if key not in allowed]
    if unknown:
        raise OptionError(f"{path}: {'; '.join(unknown)}.")


def _unknown_key(table: str, key: str, allowed: list[str]) -> str:
    where = f"{table} has an unknown key" if table else "unknown table"
    return f"{where} {key!r}{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"


# Pydantic's words for these speak of Python's types, not of a file's.
_REASONS = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
}


def _explain(detail: ErrorDetails) -> str:
    """One of pydantic's complaints in the words of a study file."""
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(_table(location[:-1]), location[-1], _allowed_keys(location[:-1]))
    if kind == "missing":
        return f"{_key(location)} is missing"
    if kind == "too_short":
        return "[methods] has no method; add a table [methods.NAME] with its backend"
    reason = _REASONS.get(kind) or detail["msg"].removeprefix("Value error, ")
    reason = reason.replace("Input should be", "must be")
    scalar = isinstance(detail["input"], (str, int, float, bool))
    value = f" = {detail['input']!r}" if scalar and location[-1] != detail["input"] else ""
    return f"{_key(location)}{value}: {reason}"


def _table(location: list[str]) -> str:
    return f"[{'.'.join(location)}]" if location else ""


def _key(location: list[str]) -> str:
    """``[table] key``, or ``[table]`` for a whole table."""
    is_table = len(location) == 1 or (len(location) == 2 and location[0] == "methods")
    return _table(location) if is_table else f"{_table(location[:-1])} {location[-1]}"


def _allowed_keys(location: list[str]) -> list[str]:
    model: Any = StudyTables
    for part in location:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
