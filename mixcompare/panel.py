"""A table and a specification become design arrays, sorted by unit and cell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.design import Design, build_design, required_columns
from mixcompare.errors import DataError
from mixcompare.spec import MixtureSpec
from mixcompare.suggest import did_you_mean
from mixcompare.tables import read_table

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]

Missing = Literal["error", "drop"]


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """What ``missing="drop"`` removed: rows, whole units, missing values by column."""

    rows: int = 0
    units: int = 0
    by_column: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Design arrays of a panel; rows are sorted by unit, cell and then value.

    Attributes
    ----------
    outcomes
        (N, m) values of the outcomes.
    covariates
        (N, p) values of the design columns.
    unit
        (N,) number of the row's unit, 0..G-1, never falling.
    unit_labels
        (G,) labels of the units: integers, or strings that are distinct.
    cell
        (N,) number of the row's absorbed cell, never falling; None without absorption.
    row
        (N,) the row's number in the table that was given, counted from 0.
    variables
        Raw numeric columns behind the covariates, (N,) each, for plots.
    dropped
        What ``missing="drop"`` removed.
    source
        Formula, unit and absorbed columns that it was built with, if any.
    """

    outcomes: FloatArray
    covariates: FloatArray
    unit: IntArray
    unit_labels: NDArray[Any]
    cell: IntArray | None
    row: IntArray
    outcome_names: tuple[str, ...]
    covariate_names: tuple[str, ...]
    variables: dict[str, FloatArray]
    dropped: Dropped = Dropped()
    source: tuple[str, str | None, tuple[str, ...] | None] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, N."""
        return len(self.unit)

    @property
    def n_units(self) -> int:
        """Number of units, G."""
        return len(self.unit_labels)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a fit can depend on."""
        digest = hashlib.sha256()
        digest.update(repr((self.outcome_names, self.covariate_names)).encode())
        digest.update("\0".join(map(str, self.unit_labels)).encode())
        cell = np.empty(0, np.intp) if self.cell is None else self.cell
        for array in (self.outcomes, self.covariates, self.unit, cell):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def build_panel(spec: MixtureSpec, data: Any, *, missing: Missing = "error") -> Panel:
    """Evaluate a specification on a table.

    Parameters
    ----------
    spec
        The model.
    data
        Any table that `mixcompare.tables.read_table` takes. Rows may be in any order
        and units may have any hashable labels and any number of rows.
    missing
        ``"error"`` refuses missing values in the columns used, ``"drop"`` drops the
        rows that have any.

    Raises
    ------
    DataError
        If a column is unknown, a value is missing or infinite, an outcome is not
        numeric, a cell spans two units, there are no rows left, or a formula fails.
    """
    if missing not in ("error", "drop"):
        raise DataError(f"missing must be 'error' or 'drop', not {missing!r}.")
    frame = read_table(data)
    used = _used_columns(spec, frame)
    complete, dropped = _handle_missing(frame, used, missing, spec.unit)
    design = build_design(spec, complete)
    unit, unit_labels = _units(spec, complete)
    cell = _cells(spec, complete, unit, unit_labels)
    order = _canonical_order(design, unit, cell)
    panel = _sorted_panel(design, unit, unit_labels, cell, complete.index.to_numpy(), order)
    return replace(panel, dropped=dropped, source=design_source(spec))


def design_source(spec: MixtureSpec) -> tuple[str, str | None, tuple[str, ...] | None]:
    """Formula, unit and absorbed columns: all of a specification that shapes a panel."""
    return spec.formula, spec.unit, None if spec.absorb is None else tuple(spec.absorb)


def _canonical_order(design: Design, unit: IntArray, cell: IntArray | None) -> IntArray:
    """Sort by unit, cell and then every column, so that no result depends on row order."""
    columns = (*design.covariates.T, *design.outcomes.T)
    varying = [column for column in columns if column.size and column.min() < column.max()]
    # lexsort's last key is its first: outcomes break ties between equal covariates.
    keys = (*reversed(varying), *(() if cell is None else (cell,)), unit)
    return np.lexsort(keys).astype(np.intp)


def _sorted_panel(
    design: Design,
    unit: IntArray,
    unit_labels: NDArray[Any],
    cell: IntArray | None,
    row: IntArray,
    order: IntArray,
) -> Panel:
    return Panel(
        outcomes=design.outcomes[order],
        covariates=design.covariates[order],
        unit=unit[order],
        unit_labels=unit_labels,
        cell=None if cell is None else _renumber(cell[order]),
        row=row[order].astype(np.intp),
        outcome_names=design.outcome_names,
        covariate_names=design.covariate_names,
        variables={name: values[order] for name, values in design.variables.items()},
    )


def _used_columns(spec: MixtureSpec, frame: pd.DataFrame) -> list[str]:
    named = [*required_columns(spec), *([spec.unit] if spec.unit else []), *(spec.absorb or ())]
    unknown = [name for name in dict.fromkeys(named) if name not in frame.columns]
    if unknown:
        hints = [f"{name!r}{did_you_mean(name, frame.columns)}" for name in unknown]
        raise DataError(
            f"unknown column {', '.join(hints)}; the data have: "
            f"{', '.join(map(str, frame.columns[:30]))}{', ...' if frame.shape[1] > 30 else ''}."
        )
    return list(dict.fromkeys(named))


def _handle_missing(
    frame: pd.DataFrame, used: list[str], missing: Missing, unit: str | None
) -> tuple[pd.DataFrame, Dropped]:
    absent = pd.DataFrame({name: _is_missing(frame[name]) for name in used})
    counts = tuple((name, int(absent[name].sum())) for name in used if absent[name].any())
    if not counts:
        return frame, Dropped()
    listing = ", ".join(f"{name}: {n}" for name, n in counts)
    if missing == "error":
        raise DataError(
            f"missing values ({listing}; first in row {frame.index[absent.any(axis=1)][0]}, "
            "counted from 0). Complete the data, or drop these rows with missing='drop'."
        )
    keep = ~absent.any(axis=1)
    complete = frame[keep]
    if complete.empty:
        raise DataError(f"no complete row is left after dropping missing values ({listing}).")
    units = 0
    if unit is not None:
        units = frame[unit].nunique(dropna=True) - complete[unit].nunique()
    return complete, Dropped(int((~keep).sum()), int(units), counts)


def _is_missing(column: pd.Series) -> pd.Series:
    missing = column.isna()
    if pd.api.types.is_float_dtype(column):  # Arrow's floats tell NaN from null
        missing |= np.isnan(column.to_numpy(np.float64, na_value=np.nan))
    return missing


def _units(spec: MixtureSpec, frame: pd.DataFrame) -> tuple[IntArray, NDArray[Any]]:
    if spec.unit is None:
        return np.arange(len(frame), dtype=np.intp), frame.index.to_numpy(dtype=np.int64)
    _check_hashable(frame, (spec.unit,))
    codes, labels = _factorize(frame[spec.unit])
    return codes, _storable_labels(labels)


def _check_hashable(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    for name in columns:
        if frame[name].dtype != object:
            continue
        for row, label in frame[name].items():
            try:
                hash(label)
            except TypeError as error:
                raise DataError(
                    f"{name!r} is {label!r} in row {row} (counted from 0), which cannot name a "
                    "unit or cell. Give numbers, texts or tuples."
                ) from error


def _factorize(column: pd.Series) -> tuple[IntArray, NDArray[Any]]:
    """Codes and distinct labels, sorted where the labels can be compared."""
    try:
        codes, labels = pd.factorize(column, sort=True)
    except TypeError:
        codes, labels = pd.factorize(column)
    return codes.astype(np.intp), np.asarray(labels, dtype=object)


def _storable_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Integers stay, everything else becomes text, made distinct where two texts agree."""
    if all(
        isinstance(x, (int, np.integer)) and not isinstance(x, bool) and -(2**63) <= x < 2**63
        for x in labels
    ):
        return labels.astype(np.int64)
    texts = [str(label) for label in labels]
    if len(set(texts)) < len(texts) or any("\0" in text for text in texts):
        texts = [repr(label) for label in labels]  # netCDF's texts cannot hold a NUL either
    if len(set(texts)) < len(texts):
        texts = [f"{text} #{i}" for i, text in enumerate(texts)]
    return np.asarray(texts, dtype=object)


def _cells(
    spec: MixtureSpec, frame: pd.DataFrame, unit: IntArray, unit_labels: NDArray[Any]
) -> IntArray | None:
    if spec.absorb is None:
        return None
    _check_hashable(frame, spec.absorb)
    cell = frame.groupby(list(spec.absorb), observed=True, sort=False).ngroup().to_numpy()
    first = np.full(cell.max() + 1, -1)
    first[cell[::-1]] = unit[::-1]
    spanning = np.flatnonzero(first[cell] != unit)
    if spanning.size:
        row = int(spanning[0])
        labels = [frame[column].iloc[row] for column in spec.absorb]
        remedy = ":".join((str(spec.unit), *(c for c in spec.absorb if c != spec.unit)))
        named = ", ".join(f"{c}={v}" for c, v in zip(spec.absorb, labels, strict=True))
        raise DataError(
            f"the absorbed cell {named} "
            f"spans two units, {spec.unit}={unit_labels[first[cell[row]]]} and "
            f"{unit_labels[unit[row]]}. Absorbed effects must be nested in the unit: for one "
            f"effect per unit and cell write absorb={remedy!r}."
        )
    return cell.astype(np.intp)


def _renumber(cell: IntArray) -> IntArray:
    """Number cells 0, 1, ... in the order of the sorted rows."""
    return np.concatenate(([0], np.cumsum(np.diff(cell) != 0))).astype(np.intp)
