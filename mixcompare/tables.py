"""Tables of any kind, in memory or in a file, as a pandas data frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import narwhals as nw
import pandas as pd

from mixcompare.errors import DataError

_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: _read_delimited(path, ","),
    ".tsv": lambda path: _read_delimited(path, "\t"),
    ".parquet": pd.read_parquet,
    ".pq": pd.read_parquet,
}


_COMPRESSED: frozenset[str] = frozenset({".gz", ".bz2", ".xz", ".zst"})


def table_name(path: Path) -> str:
    """A file's name without the suffixes that say how it is read: ``a.v1`` of ``a.v1.csv.gz``."""
    name = path.name
    for suffixes in (_COMPRESSED, _READERS.keys()):
        stem, suffix = Path(name).stem, Path(name).suffix.lower()
        name = stem if suffix in suffixes and stem.strip(".") else name
    return name


def read_table(data: Any) -> pd.DataFrame:
    """Turn a table into a pandas data frame, without changing the original.

    Parameters
    ----------
    data
        A pandas, polars or pyarrow table (anything narwhals knows), a mapping from
        column names to sequences, or the path of a CSV, TSV or Parquet file.

    Raises
    ------
    DataError
        If the file does not exist or cannot be read, the kind of table is unknown,
        column names repeat, or there are no rows.
    """
    frame = _read_file(Path(data)) if isinstance(data, (str, Path)) else _convert(data)
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    _check_distinct(frame.columns)
    if len(frame) == 0:
        raise DataError("the data have no rows.")
    return frame.reset_index(drop=True)


def _check_distinct(names: pd.Index) -> None:
    repeated = sorted(set(names[names.duplicated()]))
    if repeated:
        raise DataError(f"column names repeat: {', '.join(repeated)}. Rename the columns.")


def _read_delimited(path: Path, separator: str) -> pd.DataFrame:
    # pandas would rename a repeated column to 'x.1' without a word.
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=object)
    _check_distinct(pd.Index(header.iloc[0].dropna().astype(str)))
    frame = pd.read_csv(path, sep=separator, low_memory=False)
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"the header names {frame.shape[1]} columns and the rows have more (row names without "
            "a name of their own?). Name every column."
        )
    return frame


def _read_file(path: Path) -> pd.DataFrame:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in _COMPRESSED]
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None:
        raise DataError(
            f"{path}: unknown kind of file; give one that ends in {', '.join(_READERS)}."
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        return reader(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _convert(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        try:
            return pd.DataFrame(dict(data))
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
    return cast("pd.DataFrame", eager.to_pandas())
