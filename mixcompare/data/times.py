"""The column that orders a unit's rows, as numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.data.places import place
from mixcompare.model.spec import MixtureSpec

_EPOCH: Final = pd.Timestamp("1970-01-01", tz="UTC")
_DAY: Final = pd.Timedelta(days=1)
_NO_NUMBERS: Final = (bool, np.bool_, pd.Timestamp)
_NO_DATES: Final = (bool, int, float, np.number, np.bool_)


def time_columns(spec: MixtureSpec) -> list[str]:
    """The column of the order within units, if there is one."""
    return [] if spec.time is None else [spec.time]


def times(spec: MixtureSpec, frame: pd.DataFrame) -> FloatArray | None:
    """(N,) when each row was: numbers as they are, dates in days since 1970; None without.

    Raises
    ------
    DataError
        If the column has neither finite numbers nor dates; a value that is neither is named.
    """
    names = time_columns(spec)
    if not names:
        return None
    column = frame[names[0]]
    values = _numbers(column)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        row = int(wrong[0])
        unit = "" if spec.unit is None else f" of the unit {frame[spec.unit].iloc[row]!s}"
        raise DataError(
            f"time {names[0]!r} is {column.iloc[row]!r} in {place(frame.index, frame.index[row])}"
            f"{unit}, which is neither a finite number nor a date. Give numbers, or dates like "
            "2024-05-31."
        )
    return values


def _numbers(column: pd.Series) -> FloatArray:
    """Values that can be sorted, NaN where one is neither a number nor a date."""
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    values = column.map(lambda x: None if isinstance(x, _NO_NUMBERS) else x)
    numbers = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    if np.isfinite(numbers).all():
        return numbers
    values = column.map(lambda x: None if isinstance(x, _NO_DATES) else x)
    dates = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    days = np.asarray((dates - _EPOCH) / _DAY, dtype=np.float64)
    return numbers if np.isfinite(numbers).sum() >= np.isfinite(days).sum() else days


def check_times_differ(
    spec: MixtureSpec, frame: pd.DataFrame, time: FloatArray, group: IntArray, order: IntArray
) -> None:
    """Refuse rows of one unit and cell that have the same time.

    Parameters
    ----------
    time, group
        (N,) times, and numbers of the rows' units and cells.
    order
        (N,) rows sorted by group and time.

    Raises
    ------
    DataError
        It names the unit, the time and the rows.
    """
    same = (np.diff(group[order]) == 0) & (np.diff(time[order]) == 0)
    twice = np.flatnonzero(same)
    if not twice.size:
        return
    first, second = (int(row) for row in order[twice[0] : twice[0] + 2])
    (name,) = time_columns(spec)
    where = [place(frame.index, frame.index[row]) for row in (first, second)]
    keys = [column for column in (spec.unit, *(spec.absorb or ())) if column is not None]
    of = ", ".join(f"{key}={frame[key].iloc[first]!s}" for key in dict.fromkeys(keys))
    raise DataError(
        f"time {name!r} is {frame[name].iloc[first]!s} in {where[0]} and in {where[1]}, both of "
        f"{of}: rows of a unit{' and cell' if spec.absorb else ''} are ordered by it and must "
        "differ. Give each row a time of its own, or leave time out."
    )
