"""Units and absorbed cells as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.arrays import IntArray
from mixcompare.base.errors import DataError
from mixcompare.data.places import place
from mixcompare.model.spec import MixtureSpec


def number_units(spec: MixtureSpec, frame: pd.DataFrame) -> tuple[IntArray, NDArray[Any]]:
    """Number every row's unit, 0..G-1, and give the units' labels, distinct and storable.

    Raises
    ------
    DataError
        If a label cannot be hashed, or is a double that may stand for several integers.
    """
    if spec.unit is None:
        return np.arange(len(frame), dtype=np.intp), frame.index.to_numpy(dtype=np.int64)
    _check_labels(frame, (spec.unit,))
    codes, labels = _factorize(frame[spec.unit])
    return codes, _storable_labels(labels)


def _check_labels(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    for name in columns:
        if frame[name].dtype == object:
            _check_hashable(name, frame[name])
        elif pd.api.types.is_float_dtype(frame[name]):
            _check_exact(name, frame[name])


def _check_hashable(name: str, column: pd.Series) -> None:
    try:
        pd.unique(column)
    except TypeError:
        pass
    else:
        return
    for row, label in column.items():
        try:
            hash(label)
        except TypeError as error:
            raise DataError(
                f"{name!r} is {label!r} in {place(column.index, row)}, which cannot name a "
                "unit or cell. Give numbers, texts or tuples."
            ) from error


def _check_exact(name: str, column: pd.Series) -> None:
    large = np.flatnonzero(column.abs().to_numpy(np.float64) >= 2**53)
    if large.size:
        where = place(column.index, column.index[large[0]])
        raise DataError(
            f"{name!r} is {column.iloc[large[0]]:.17g} in {where}, a floating-point "
            "number that may stand for several integers, so that units or cells may have become "
            "one. Read the column as text, or as integers that may be missing "
            "(pandas' Int64)."
        )


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


def number_cells(
    spec: MixtureSpec, frame: pd.DataFrame, unit: IntArray, unit_labels: NDArray[Any]
) -> IntArray | None:
    """Number every row's absorbed cell; None without absorption.

    Raises
    ------
    DataError
        If a label cannot be hashed or is a double that may stand for several integers, or a
        cell spans two units.
    """
    if spec.absorb is None:
        return None
    _check_labels(frame, spec.absorb)
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
