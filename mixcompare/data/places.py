"""Where a row stands: its line in a file, or its number in a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.common import get_handle  # type: ignore[import-not-found]


@dataclass(frozen=True, slots=True)
class FileRows:
    """Name of the index of a table that was read from a text file.

    A name goes wherever the index goes, so that every later error can say the line.

    Attributes
    ----------
    path, separator, encoding
        How the file was read.
    """

    path: Path
    separator: str
    encoding: str

    def line(self, row: int) -> int:
        """Line of the file, counted from 1, in which a row begins that is counted from 0."""
        with opened(self.path, self.encoding) as stream:
            reader = csv.reader(stream, delimiter=self.separator)
            passed, first = -1, 1
            for record in reader:
                passed += bool(record)  # blank lines are no rows, and the header is none either
                if record and passed == row + 1:
                    break
                first = reader.line_num + 1
        return first


@contextmanager
def opened(path: Path, encoding: str | None) -> Iterator[Any]:
    """Open a file as pandas does, compressed or not; as bytes if there is no encoding."""
    mode = "rb" if encoding is None else "r"
    with get_handle(
        path, mode, encoding=encoding, compression="infer", is_text=encoding is not None
    ) as handles:
        yield handles.handle


def place(index: pd.Index, row: Any) -> str:
    """Where a row is that has this label in the index of a table.

    Examples
    --------
    >>> place(pd.RangeIndex(3), 1)
    'row 1 (counted from 0)'
    """
    if isinstance(index.name, FileRows):
        return f"row {row} (line {index.name.line(int(row))} of {index.name.path.name})"
    return f"row {row} (counted from 0)"
