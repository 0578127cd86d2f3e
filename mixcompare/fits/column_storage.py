"""Raw columns in a netCDF dataset: numbers as they are, labels as codes and levels.

Levels are kept as JSON, which tells the number 1 from the text "1". Labels of other types
(dates, intervals, tuples) become texts in the order that they had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray

_JSON_TYPES = (str, int, float, bool)


def encode_columns(
    frame: pd.DataFrame | None, dim: str, variables: Mapping[str, FloatArray]
) -> tuple[dict[str, Any], str]:
    """Variables of a dataset, and what an attribute must say of them.

    Parameters
    ----------
    frame
        Complete columns as `mixcompare.data.raw_columns.plain_columns` gives them, or None.
    dim
        Name of the rows' dimension.
    variables
        Numeric columns that the dataset holds already.
    """
    if frame is None:
        return {}, ""
    stored: dict[str, Any] = {}
    kinds: dict[str, list[str]] = {}
    for name, column in frame.items():
        known = variables.get(str(name))
        values = np.asarray(column)
        if known is not None and values.dtype == float and np.array_equal(values, known):
            kinds[str(name)] = ["variable"]
            continue
        encoded, kinds[str(name)] = _encode(column, dim, f"{dim} column: {escaped(str(name))}")
        stored |= encoded
    return stored, json.dumps(kinds)


def decode_columns(
    dataset: xr.Dataset, description: str, dim: str, variables: Mapping[str, FloatArray]
) -> pd.DataFrame | None:
    """The inverse of `encode_columns`."""
    if not description:
        return None
    columns = {}
    for name, kind in json.loads(description).items():
        stored = f"{dim} column: {escaped(name)}"
        columns[name] = variables[name] if kind == ["variable"] else _decode(dataset, stored, kind)
    return pd.DataFrame(columns, index=pd.RangeIndex(dataset.sizes[dim]))


def escaped(name: str) -> str:
    """A column's name without slashes, which would make a path in the tree."""
    return name.replace("%", "%25").replace("/", "%2F")


def unescaped(stored: str) -> str:
    """The inverse of `escaped`."""
    return stored.replace("%2F", "/").replace("%25", "%")


def _encode(column: pd.Series, dim: str, stored: str) -> tuple[dict[str, Any], list[str]]:
    values = np.asarray(column)
    if not isinstance(column.dtype, pd.CategoricalDtype) and values.dtype.kind in "biufmM":
        as_number = {"b": np.int8, "m": np.int64, "M": np.int64}.get(values.dtype.kind)
        numbers = values if as_number is None else values.astype(as_number)
        return {stored: ((dim,), numbers)}, ["numbers", str(values.dtype)]
    labels = pd.Categorical(column)
    levels = labels.categories.tolist()
    as_they_are = all(type(level) in _JSON_TYPES for level in levels)
    texts = levels if as_they_are else [str(level) for level in levels]
    codes = labels.codes.astype(np.min_scalar_type(len(levels)))
    encoded = {
        stored: ((dim,), codes),
        f"levels of {stored}": (
            (f"level of {stored}",),
            np.array([json.dumps(level) for level in texts], dtype=object),
        ),
    }
    if column.dtype == object and as_they_are:
        return encoded, ["objects"]
    return encoded, ["categories", "ordered" if labels.ordered else "unordered"]


def _decode(dataset: xr.Dataset, stored: str, kind: list[str]) -> Any:
    values = dataset[stored].to_numpy()
    if kind[0] == "numbers":
        return values.astype(np.dtype(kind[1]))
    levels: list[Any] = [json.loads(text) for text in dataset[f"levels of {stored}"].to_numpy()]
    if kind[0] == "objects":
        labels = np.empty(len(levels), dtype=object)
        labels[:] = levels
        return pd.Series(labels[values], dtype=object)  # pandas would make texts of another type
    dtype = pd.CategoricalDtype(levels, ordered=kind[1] == "ordered")
    return pd.Categorical.from_codes(values.astype(np.intp), dtype=dtype)
