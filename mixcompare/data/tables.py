"""Tables of any kind, in memory or in a file, as a pandas data frame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, cast

import narwhals as nw
import numpy as np
import pandas as pd

from mixcompare.base.errors import DataError
from mixcompare.data.delimited import check_distinct, read_delimited
from mixcompare.data.places import FileRows

_READERS: dict[str, Callable[[Path, Collection[str]], pd.DataFrame]] = {
    ".csv": lambda path, identifiers: read_delimited(path, ",", identifiers),
    ".tsv": lambda path, identifiers: read_delimited(path, "\t", identifiers),
    ".parquet": lambda path, _: _read_parquet(path),
    ".pq": lambda path, _: _read_parquet(path),
}
# Above this a double cannot tell neighbouring integers apart.
_EXACT: Final = 2**53


_COMPRESSED: frozenset[str] = frozenset({".gz", ".bz2", ".xz", ".zst"})


def table_name(path: Path) -> str:
    """A file's name without the suffixes that say how it is read: ``a.v1`` of ``a.v1.csv.gz``."""
    name = path.name
    for suffixes in (_COMPRESSED, _READERS.keys()):
        stem, suffix = Path(name).stem, Path(name).suffix.lower()
        name = stem if suffix in suffixes and stem.strip(".") else name
    return name


def read_table(data: Any, identifiers: Collection[str] = ()) -> pd.DataFrame:
    """Turn a table into a pandas data frame, without changing the original.

    Parameters
    ----------
    data
        A pandas, polars or pyarrow table (anything narwhals knows), a mapping from
        column names to sequences, or the path of a CSV, TSV or Parquet file.
    identifiers
        Columns that name something and are read from a text file as they are written there:
        as integers if each is one as a program writes it, else as texts.

    Returns
    -------
    Rows numbered from 0. The index of what was read from a text file is named by a
    `mixcompare.data.places.FileRows`, with which errors say the line.

    Raises
    ------
    DataError
        If the file does not exist or cannot be read, the kind of table is unknown,
        column names repeat, or there are no rows.
    """
    is_file = isinstance(data, (str, Path))
    frame = _read_file(Path(data), identifiers) if is_file else _convert(data)
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    check_distinct(frame.columns)
    if len(frame) == 0:
        raise DataError("the data have no rows.")
    whole_file = isinstance(frame.index.name, FileRows) and frame.index.equals(
        pd.RangeIndex(len(frame))
    )
    return frame if whole_file else frame.reset_index(drop=True)


def _read_file(path: Path, identifiers: Collection[str]) -> pd.DataFrame:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in _COMPRESSED]
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None:
        raise DataError(
            f"{path}: unknown kind of file; give one that ends in {', '.join(_READERS)}."
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        return reader(path, identifiers)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    return _convert(parquet.ParquetFile(path).read())


def _convert(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame({name: _exact(values) for name, values in data.items()})
        except ValueError as error:
            raise DataError(f"the mapping of columns is not a table: {error}.") from error
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise DataError(
            f"data of type {type(data).__name__} are not a table; give a pandas, polars or "
            "pyarrow table, a mapping of columns, or a path."
        ) from error
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    converted = cast("pd.DataFrame", eager.to_pandas())
    for name in eager.columns:
        column = eager[name]
        whole = column.dtype.is_integer()
        if whole and column.null_count() and name in converted.columns:
            converted[name] = _exact(column.to_list())
    return converted


def _exact(values: Any) -> Any:
    """Values whose large integers pandas would make doubles because some are missing."""
    if isinstance(values, (list, tuple)) and any(
        isinstance(value, (int, np.integer)) and abs(int(value)) > _EXACT for value in values
    ):
        return pd.array(values, dtype=object)
    return values
