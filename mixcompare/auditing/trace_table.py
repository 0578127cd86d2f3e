"""The long table of a trace: one row per number.

Columns: ``iteration``; ``parameter`` (weights, coefficients, covariance, responsibilities or
log_likelihood); ``component``, or ``mixture_component`` as in the tree of a fit (1..K, empty for a
shared covariance and the log-likelihood);
``covariate`` (as the formula names it); ``outcome`` and ``outcome_bis`` (may be empty with one
outcome); ``unit`` (only for responsibilities); ``value``. Further columns are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixcompare.auditing.trace_format import AXES, NEEDED, TraceError
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.suggest import did_you_mean
from mixcompare.data.panel import Panel
from mixcompare.data.tables import read_table
from mixcompare.model.layout import COMPONENT
from mixcompare.model.spec import MixtureSpec


def read_long(spec: MixtureSpec, panel: Panel, table: Any) -> dict[str, Any]:
    """Arrays of a long table, or of the CSV, TSV or Parquet file that holds one.

    Raises
    ------
    TraceError
        Naming the first row (counted from 0, without the header) that is at fault, or the
        first number that is missing.
    """
    texts = panel.unit_labels.dtype == object
    frame = read_table(table, {"unit"} if texts else ())
    if "component" not in frame.columns:  # as in the tree of a fit
        frame = frame.rename(columns={COMPONENT: "component"})
    absent = [c for c in ("iteration", "parameter", "value") if c not in frame.columns]
    if absent:
        raise TraceError(
            f"the trace's table has no column {', '.join(map(repr, absent))}; it has "
            f"{', '.join(map(str, frame.columns))}. A trace is a long table with the columns "
            "iteration, parameter, component, covariate, outcome, outcome_bis, value."
        )
    names = frame["parameter"].astype(str)
    _refuse(names, ~names.isin([*AXES]), "parameter", [*AXES])
    iteration = _numbers(frame, "iteration")
    _refuse(frame["iteration"], iteration % 1 != 0, "iteration", ["whole numbers"])
    values = _numbers(frame, "value")
    numbers = np.unique(iteration).astype(np.int64)
    step = np.searchsorted(numbers, iteration)
    arrays: dict[str, Any] = {"iteration": numbers}
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        labels = {axis: _labels(spec, panel, axis) for axis in AXES[name]}
        if name == "covariance" and _is_empty(frame, "component", rows).all():
            labels["component"] = ["shared"]
        index = [_positions(frame, rows, axis, known) for axis, known in labels.items()]
        array = _fill(name, numbers, rows, [step[rows], *index], labels, values[rows])
        arrays[name] = array[:, 0] if labels.get("component") == ["shared"] else array
    return arrays


def _labels(spec: MixtureSpec, panel: Panel, axis: str) -> list[str]:
    if axis == "component":
        return [str(k + 1) for k in range(spec.n_components)]
    if axis == "unit":
        return [str(label) for label in panel.unit_labels]
    return list(panel.covariate_names if axis == "covariate" else panel.outcome_names)


def _fill(
    name: str,
    numbers: IntArray,
    rows: IntArray,
    index: list[IntArray],
    labels: dict[str, list[str]],
    values: FloatArray,
) -> FloatArray:
    shape = (len(numbers), *(len(known) for known in labels.values()))
    flat = np.ravel_multi_index(tuple(index), shape) if index else np.arange(0)
    repeated = pd.Series(flat).duplicated().to_numpy()
    if repeated.any():
        raise TraceError(
            f"row {rows[repeated][0]} of the trace gives {name} a second time for the same "
            "iteration and place. Keep one of the two."
        )
    array = np.full(shape, np.nan)
    array.flat[flat] = values
    # The values themselves are numbers: `_numbers` has refused others.
    if name in NEEDED and np.isnan(array).any():
        place = np.argwhere(np.isnan(array))[0]
        where = ", ".join(
            f"{axis} {known[i]}" for (axis, known), i in zip(labels.items(), place[1:], strict=True)
        )
        raise TraceError(
            f"{name} at iteration {numbers[place[0]]} lack {where}. Every iterate needs all of its "
            "numbers: add the row, or remove the iteration."
        )
    return array


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    _refuse(frame[column], pd.Series(np.isnan(numbers)), column, ["numbers"])
    return numbers


def _is_empty(frame: pd.DataFrame, column: str, rows: IntArray) -> pd.Series:
    if column not in frame.columns:
        return pd.Series(True, index=frame.index[rows])
    cells = frame[column].iloc[rows]
    return cells.isna() | (cells.astype(str).str.strip() == "")


def _positions(frame: pd.DataFrame, rows: IntArray, axis: str, known: list[str]) -> IntArray:
    """Position of each row on an axis; an axis of length one may be left empty."""
    empty = _is_empty(frame, axis, rows).to_numpy()
    if len(known) == 1 and empty.all():
        return np.zeros(len(rows), dtype=np.intp)
    column = frame[axis] if axis in frame.columns else pd.Series("", index=frame.index)
    positions = pd.Index(known).get_indexer(pd.Index(column.iloc[rows].map(_text)))
    _refuse(column.iloc[rows], positions < 0, axis, known)
    return np.asarray(positions, dtype=np.intp)


def _text(value: Any) -> str:
    """Label as text; a column with gaps turns 1 into 1.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if pd.isna(value) else str(value).strip()


def _refuse(column: pd.Series, wrong: Any, name: str, allowed: Sequence[str]) -> None:
    wrong = np.asarray(wrong)
    if not wrong.any():
        return
    row = int(column.index[wrong][0])
    value = column.loc[row]
    listed = ", ".join(allowed[:12]) + (", ..." if len(allowed) > 12 else "")
    raise TraceError(
        f"row {row} of the trace (counted from 0) has {name} {value!r}"
        f"{did_you_mean(str(value), allowed)}; allowed: {listed}. Correct the row or leave it out."
    )
