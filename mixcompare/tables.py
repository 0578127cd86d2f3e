"""Tables of any kind, in memory or in a file, as a pandas data frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import narwhals as nw
import pandas as pd

from mixcompare.errors import DataError

_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".parquet": pd.read_parquet,
    ".pq": pd.read_parquet,
}


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
    repeated = sorted({str(c) for c in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise DataError(f"column names repeat: {', '.join(repeated)}. Rename the columns.")
    if len(frame) == 0:
        raise DataError("the data have no rows.")
    return frame.rename(columns=str).reset_index(drop=True)


def _read_file(path: Path) -> pd.DataFrame:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in {".gz", ".bz2", ".xz", ".zst"}]
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None:
        raise DataError(
            f"{path}: unknown kind of file; give one that ends in {', '.join(_READERS)}."
        )
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        return reader(path)
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
