"""What a specification reads once per unit: membership covariates and replication weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.errors import DataError
from mixcompare.data.design import build_unit_design, unit_side
from mixcompare.data.places import place
from mixcompare.data.raw_columns import term_columns
from mixcompare.model.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class UnitData:
    """Membership covariates (G, c) with their names, and replication weights (G,).

    ``unit_columns`` are the raw columns behind the covariates, one row per unit.
    """

    concomitants: NDArray[np.float64] | None = None
    concomitant_names: tuple[str, ...] = ()
    unit_weights: NDArray[np.float64] | None = None
    unit_columns: pd.DataFrame | None = None


def unit_columns(spec: MixtureSpec) -> list[str]:
    """Columns that are read once per unit."""
    named = [] if spec.unit_weights is None else [spec.unit_weights]
    return [*membership_columns(spec), *named]


def membership_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the class membership reads, sorted."""
    return sorted(term_columns(unit_side(spec)))


def build_unit_data(
    spec: MixtureSpec, frame: pd.DataFrame, unit: NDArray[np.intp], labels: NDArray[Any]
) -> UnitData:
    """Evaluate membership covariates and replication weights.

    Parameters
    ----------
    frame
        Complete rows.
    unit, labels
        (N,) number of each row's unit and (G,) labels of the units.

    Raises
    ------
    DataError
        If a value differs between the rows of a unit, a weight is not positive and
        finite, or the membership formula fails.
    """
    names = unit_columns(spec)
    if not names:
        return UnitData()
    rows = one_row_per_unit(frame[names], unit, labels)
    weights = None
    if spec.unit_weights is not None:
        weights = _weights(spec.unit_weights, rows[spec.unit_weights], labels)
    if spec.membership is None:
        return UnitData(unit_weights=weights)
    concomitants, concomitant_names, columns = build_unit_design(spec, rows)
    columns = columns.reset_index(drop=True)
    return UnitData(concomitants, concomitant_names, weights, columns)


def one_row_per_unit(
    frame: pd.DataFrame, unit: NDArray[np.intp], labels: NDArray[Any]
) -> pd.DataFrame:
    """Every unit's first row, once its other rows are seen to be the same.

    Raises
    ------
    DataError
        If a value differs between the rows of a unit.
    """
    _, first = np.unique(unit, return_index=True)
    for name in frame.columns:
        _check_constant(name, frame[name], first[unit], unit, labels)
    return frame.iloc[first]


def _check_constant(
    name: str,
    column: pd.Series,
    first: NDArray[np.intp],
    unit: NDArray[np.intp],
    labels: NDArray[Any],
) -> None:
    differs = column.to_numpy() != column.to_numpy()[first]
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise DataError(
            f"{name!r} is read once per unit, but is {column.iloc[first[row]]!s} in "
            f"{place(column.index, column.index[first[row]])} and {column.iloc[row]!s} in "
            f"{place(column.index, column.index[row])} of the unit {labels[unit[row]]!s}. Give "
            "every row of a unit the same value."
        )


def _weights(name: str, column: pd.Series, labels: NDArray[Any]) -> NDArray[np.float64]:
    try:
        weights = column.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"unit_weights {name!r} is of type {column.dtype}. Give positive numbers."
        ) from error
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if bad.size:
        raise DataError(
            f"unit_weights {name!r} is {weights[bad[0]]} for the unit {labels[bad[0]]!s}. Weights "
            "must be positive and finite; leave out units that are not to count."
        )
    return weights
