"""A table and a specification become design arrays, sorted by unit and cell."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.checks import check_choice
from mixcompare.base.errors import DataError
from mixcompare.base.suggest import did_you_mean
from mixcompare.data.design import Design, build_design, required_columns, sides, unit_side
from mixcompare.data.identifiers import number_cells, number_units
from mixcompare.data.numeric_texts import Meant, settle_numbers
from mixcompare.data.places import place
from mixcompare.data.raw_columns import categorical, looked_up, term_columns
from mixcompare.data.tables import read_table
from mixcompare.data.times import check_times_differ, time_columns, times
from mixcompare.data.unit_data import build_unit_data, unit_columns
from mixcompare.data.wide_factors import check_width
from mixcompare.model.spec import MixtureSpec, check_spec

Missing = Literal["error", "drop"]

# With more sizes of blocks than this one sort of all rows is faster.
_BLOCK_SIZES: Final = 64


_MANY_VALUES = 1_000_000
_LABELS_AT_A_TIME = 8192
# Fields of a panel that have something for each row, and for each unit.
_BY_ROW: Final = ("outcomes", "covariates", "unit", "cell", "row", "variables", "columns", "time")
_BY_UNIT: Final = ("unit_labels", "concomitants", "unit_weights", "unit_columns")


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """What ``missing="drop"`` removed: rows, whole units, missing values by column."""

    rows: int = 0
    units: int = 0
    by_column: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Design arrays of a panel; rows are sorted by unit, cell and then time or value.

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
        What it was built with, if any, see `design_source`.
    common_names
        Covariates whose coefficients all classes share.
    concomitants
        (G, c) unit covariates of the class membership, the constant among them; None where
        membership does not depend on any.
    unit_weights
        (G,) replication weights; None where every unit counts once.
    time
        (N,) when the row was, as a number, in days since 1970 for dates; rising within unit and
        cell. None where no time is named.
    columns, unit_columns
        Raw columns behind covariates, transformed outcomes and class membership, N and G
        rows, from which the formulas can be evaluated on other data; None where the panel
        was not built from a table.
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
    source: str | None = None
    common_names: tuple[str, ...] = ()
    concomitants: FloatArray | None = None
    concomitant_names: tuple[str, ...] = ()
    unit_weights: FloatArray | None = None
    columns: pd.DataFrame | None = None
    unit_columns: pd.DataFrame | None = None
    time: FloatArray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, N."""
        return len(self.unit)

    @property
    def n_units(self) -> int:
        """Number of units, G."""
        return len(self.unit_labels)

    @property
    def degrees_of_freedom(self) -> IntArray:
        """(G,) rows of each unit that are left after absorption: rows minus cells."""
        rows = np.bincount(self.unit, minlength=self.n_units)
        if self.cell is None:
            return rows
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        return rows - np.bincount(self.unit[starts], minlength=self.n_units)

    def only_unit(self, unit: int) -> Panel:
        """The rows of one unit."""
        kept = slice(unit, unit + 1)
        by_unit = {name: taken(getattr(self, name), kept) for name in _BY_UNIT}
        alone = replace(self.of_rows(self.unit == unit), **by_unit)
        return replace(alone, unit=np.zeros_like(alone.unit))

    def of_rows(self, rows: IntArray | NDArray[np.bool_]) -> Panel:
        """Some of the rows, or all in another order, with all units."""
        changes = {name: taken(getattr(self, name), rows) for name in _BY_ROW}
        if changes["cell"] is not None:
            changes["cell"] = renumber(changes["cell"])
        return replace(self, **changes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a fit can depend on."""
        digest = hashlib.sha256()
        names = self.outcome_names, self.covariate_names, self.common_names, self.concomitant_names
        digest.update(repr(names).encode())
        for i in range(0, self.n_units, _LABELS_AT_A_TIME):
            labels = map(str, self.unit_labels[i : i + _LABELS_AT_A_TIME])
            digest.update(("\0" * (i > 0) + "\0".join(labels)).encode())
        optional = self.cell, self.concomitants, self.unit_weights
        given = [np.empty(0) if array is None else array for array in optional]
        if self.time is not None:  # panels without keep the fingerprint that they had
            given.append(self.time)
        for array in (self.outcomes, self.covariates, self.unit, *given):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        return digest.hexdigest()


def build_panel(spec: MixtureSpec, data: Any, *, missing: Missing = "error") -> Panel:
    """Evaluate a specification on a table.

    Parameters
    ----------
    spec
        The model.
    data
        Any table that `mixcompare.data.tables.read_table` takes. Rows may be in any order
        and units may have any hashable labels and any number of rows.
    missing
        ``"error"`` refuses missing values in the columns used, ``"drop"`` drops the
        rows that have any. In columns of numbers texts that mean a missing value, such as
        ``.``, ``-``, ``?`` and ``N/A``, are then missing values.

    Raises
    ------
    DataError
        If a column is unknown, a value is missing or infinite, an outcome is not
        numeric, a column of numbers has a text in it, a cell spans two units, two rows of a
        unit and cell have one time, there are no
        rows left, a formula fails, what is read once per unit differs within one, or nothing
        tells one class from another, or categories have too many levels for any memory.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> panel = mc.build_panel(spec, load("gapminder"))
    >>> panel.n_units, panel.n_rows, panel.covariate_names
    (142, 1704, ('Intercept', 't'))
    """
    check_spec(spec, "build_panel")
    check_choice("missing", missing, get_args(Missing), error=DataError)
    frame = read_table(data, identifiers(spec))
    used = [*required_columns(spec), *key_columns(spec), *time_columns(spec), *unit_columns(spec)]
    check_columns(used, frame)
    frame = settle_numbers(frame, _meant(spec), missing)
    complete, dropped = handle_missing(frame, used, missing, spec.unit)
    check_width(spec, complete)
    design = build_design(spec, complete)
    unit, unit_labels = number_units(spec, complete)
    cell = number_cells(spec, complete, unit, unit_labels)
    time = times(spec, complete)
    by_unit = build_unit_data(spec, complete, unit, unit_labels)
    _check_classes_differ(spec, design)
    group = unit if cell is None else unit * (cell.max() + 1) + cell
    if time is None:
        order = _canonical_order(design, group)
    else:
        order = np.lexsort((time, group))
        check_times_differ(spec, complete, time, group, order)
    if design.outcomes.size > _MANY_VALUES:
        # formulaic's objects refer to one another, and would keep a copy of the table for long.
        gc.collect()
    built = {f.name: getattr(part, f.name) for part in (design, by_unit) for f in fields(part)}
    row = complete.index.to_numpy().astype(np.intp)
    keys: dict[str, Any] = {"unit": unit, "unit_labels": unit_labels, "cell": cell}
    panel = Panel(**built, **keys, row=row, time=time, dropped=dropped, source=design_source(spec))
    return panel.of_rows(order)


def design_source(spec: MixtureSpec) -> str:
    """All of a specification that shapes a panel, as JSON."""
    shaping = ("formula", "unit", "absorb", "common", "membership", "unit_weights", "time")
    return json.dumps({name: getattr(spec, name) for name in shaping if getattr(spec, name)})


def _check_classes_differ(spec: MixtureSpec, design: Design) -> None:
    alike = spec.covariance_by == "shared" and spec.n_components > 1
    if alike and set(design.common_names) == set(design.covariate_names):
        raise DataError(
            f"all coefficients are common ({', '.join(design.common_names)}) and the covariance is "
            "shared, so that nothing tells one class from another. Leave a term out of common, or "
            "write covariance_by='component'."
        )


def _canonical_order(design: Design, group: IntArray) -> IntArray:
    """Sort by unit, cell and then every column, so that no result depends on row order."""
    in_order = (np.diff(group) >= 0).all()
    order = np.arange(len(group)) if in_order else np.argsort(group, kind="stable")
    block = np.cumsum(np.diff(group[order], prepend=group[order[0]]) != 0)
    columns = (*design.covariates.T, *design.outcomes.T)
    for column in (column for column in columns if column.min() < column.max()):
        size = np.bincount(block)
        if size.max() == 1:
            break
        # Only rows that are equal so far are looked at again, which soon are few.
        tied = np.flatnonzero(size[block] > 1)
        order[tied] = order[tied][_argsort_within(column[order[tied]], block[tied])]
        changes = np.diff(column[order], prepend=column[order[0]]) != 0
        block = np.cumsum(changes | (np.diff(block, prepend=0) != 0))
    return order.astype(np.intp)


def _argsort_within(values: FloatArray, block: IntArray) -> IntArray:
    """Stable order of values within blocks of successive rows, which stay in their order."""
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    sizes = np.diff(starts, append=len(block))
    different = np.unique(sizes)
    if len(different) > _BLOCK_SIZES:
        return np.lexsort((values, block)).astype(np.intp)
    order = np.empty(len(block), dtype=np.intp)
    for size in different:
        # Blocks of one size are rows of a matrix, which is sorted in the cache.
        rows = starts[sizes == size][:, None] + np.arange(size)
        order[rows] = np.take_along_axis(
            rows, np.argsort(values[rows], axis=1, kind="stable"), axis=1
        )
    return order


def key_columns(spec: MixtureSpec) -> list[str]:
    """Columns that name units and absorbed cells."""
    return [*([spec.unit] if spec.unit else []), *(spec.absorb or ())]


def identifiers(spec: MixtureSpec) -> set[str]:
    """Columns that name units and cells and are not read as numbers besides."""
    return set(key_columns(spec)) - set(_meant(spec))


def _meant(spec: MixtureSpec) -> dict[str, Meant]:
    """What the columns are that the formulas read, but for those inside C(...)."""
    left, right = sides(spec)
    by_unit = () if spec.membership is None else unit_side(spec)
    meant: dict[str, Meant] = {}
    for side in (by_unit, right, left):
        meant |= dict.fromkeys(sorted(term_columns(side) - categorical(side)), "covariate")
    if spec.unit_weights is not None:
        meant[spec.unit_weights] = "unit_weights"
    return meant | dict.fromkeys(sorted(looked_up(left)), "outcome")


def check_columns(named: Iterable[str], frame: pd.DataFrame) -> None:
    """Refuse columns that a table does not have.

    Raises
    ------
    DataError
        It names the columns and the nearest that there are.
    """
    unknown = [name for name in dict.fromkeys(named) if name not in frame.columns]
    if unknown:
        hints = [f"{name!r}{did_you_mean(name, frame.columns)}" for name in unknown]
        raise DataError(
            f"unknown column {', '.join(hints)}; the data have: "
            f"{', '.join(map(str, frame.columns[:30]))}{', ...' if frame.shape[1] > 30 else ''}."
        )


def handle_missing(
    frame: pd.DataFrame, used: Iterable[str], missing: Missing, unit: str | None
) -> tuple[pd.DataFrame, Dropped]:
    """Rows that are complete in the columns used, and what was dropped to get them.

    Raises
    ------
    DataError
        If values are missing and are not to be dropped, or no row is complete.
    """
    absent = pd.DataFrame({name: is_missing(frame[name]) for name in dict.fromkeys(used)})
    counts = tuple((str(name), int(n)) for name, n in absent.sum().items() if n)
    if not counts:
        return frame, Dropped()
    listing = ", ".join(f"{name}: {n}" for name, n in counts)
    if missing == "error":
        where = place(frame.index, frame.index[absent.any(axis=1)][0])
        raise DataError(
            f"missing values ({listing}; first in {where}). Complete the data, or drop "
            "these rows with missing='drop' (on the command line --missing drop)."
        )
    keep = ~absent.any(axis=1)
    complete = frame[keep]
    if complete.empty:
        raise DataError(f"no complete row is left after dropping missing values ({listing}).")
    units = 0
    if unit is not None:
        units = frame[unit].nunique(dropna=True) - complete[unit].nunique()
    return complete, Dropped(int((~keep).sum()), int(units), counts)


def is_missing(column: pd.Series) -> pd.Series:
    """Whether each value is missing, NaN among them."""
    missing = column.isna()
    if pd.api.types.is_float_dtype(column):  # Arrow's floats tell NaN from null
        missing |= np.isnan(column.to_numpy(np.float64, na_value=np.nan))
    return missing


def taken(values: Any, rows: Any) -> Any:
    """Rows of an array, of a mapping of arrays or of a table, numbered from 0; None stays None."""
    if values is None:
        return None
    if isinstance(values, pd.DataFrame):
        return values.iloc[rows].reset_index(drop=True)
    if isinstance(values, dict):
        return {name: array[rows] for name, array in values.items()}
    return values[rows]


def renumber(cell: IntArray) -> IntArray:
    """Number cells 0, 1, ... in the order of the sorted rows."""
    return np.concatenate(([0], np.cumsum(np.diff(cell) != 0))).astype(np.intp)
