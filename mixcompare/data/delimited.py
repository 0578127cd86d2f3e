"""Text files of columns: which encoding, separator and decimal sign, and identifiers as written."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mixcompare.base.errors import DataError
from mixcompare.data.places import FileRows, opened

_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Lines that a separator must cut into equally many fields before it is believed, and
# different texts of a column that are looked at for decimal commas.
_LOOKED_AT: Final = 200
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECIMAL_COMMA: Final = re.compile(r"\s*[+-]?(\d+(,\d*)?|,\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
# An integer as a program writes it, which stays the same when it is read and written again.
_WHOLE: Final = re.compile(r"0|-?[1-9]\d{0,18}")


def read_delimited(path: Path, usual: str, identifiers: Iterable[str] = ()) -> pd.DataFrame:
    """Read a text file of columns.

    Another separator than the usual one, and commas as decimal signs, are read where nothing
    else fits. A mark at the beginning says whether the file is UTF-16; it is UTF-8 otherwise.

    Parameters
    ----------
    usual
        The separator that the file's name promises.
    identifiers
        Columns that are read as they are written: ``01`` is not ``1``, and ``1E2`` not ``100``.

    Raises
    ------
    DataError
        If column names repeat or lack, or the separator cannot be told.
    ValueError
        If the file is not in the encoding that it should have.
    """
    encoding = _encoding(path)
    try:
        separator = _separator(path, encoding, usual)
        return _read(path, separator, encoding, identifiers)
    except UnicodeDecodeError as error:
        raise ValueError(_not_utf8(path)) from error


def check_distinct(names: pd.Index) -> None:
    """Refuse names of columns that repeat.

    Raises
    ------
    DataError
        It lists them.
    """
    repeated = sorted(set(names[names.duplicated()]))
    if repeated:
        raise DataError(f"column names repeat: {', '.join(repeated)}. Rename the columns.")


def _read(path: Path, separator: str, encoding: str, identifiers: Iterable[str]) -> pd.DataFrame:
    how: dict[str, Any] = {"sep": separator, "encoding": encoding}
    # pandas would rename a repeated column to 'x.1' without a word.
    header = pd.read_csv(path, header=None, nrows=1, dtype=object, **how).iloc[0].dropna()
    check_distinct(pd.Index(header.astype(str)))
    kinds = dict.fromkeys(set(identifiers) & set(header.astype(str)), str)
    frame: pd.DataFrame = pd.read_csv(path, low_memory=False, dtype=kinds, **how)
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"the header names {frame.shape[1]} column(s) and the rows have more (row names "
            "without a name, or commas as decimal signs between commas?). Name every column, and "
            " separate columns by semicolons or tabs where numbers have decimal commas."
        )
    if _has_decimal_commas(frame, separator):
        frame = pd.read_csv(path, low_memory=False, dtype=kinds, decimal=",", **how)
    for name in kinds:
        frame[name] = _as_written(frame[name])
    frame.index.name = FileRows(path, separator, encoding)
    return frame


def _encoding(path: Path) -> str:
    with opened(path, None) as stream:
        start = stream.read(4)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")


def _separator(path: Path, encoding: str, usual: str) -> str:
    with opened(path, encoding) as stream:
        lines = list(islice(stream, _LOOKED_AT))
    columns = {mark: count for mark in _SEPARATORS if (count := _columns(lines, mark)) > 1}
    if len(columns) > 1:
        listed = " or ".join(f"{columns[mark]} by {_SEPARATORS[mark]}" for mark in columns)
        raise DataError(
            f"its columns can be separated in several ways ({listed}). Write the file with one "
            "separator that occurs in no name and no value, or put these into quotation marks."
        )
    return next(iter(columns), usual)


def _columns(lines: Sequence[str], separator: str) -> int:
    """Number of the header's fields, if the lines have as many, or one more for row names."""
    widths = [len(record) for record in csv.reader(lines, delimiter=separator) if record]
    if not widths or len(set(widths[1:])) > 1:
        return 0
    return widths[0] if widths[-1] - widths[0] in (0, 1) else 0


def _has_decimal_commas(frame: pd.DataFrame, separator: str) -> bool:
    """Whether commas can be nothing but decimal signs."""
    values: list[str] = []
    for name in frame.columns:
        column = frame[name].dropna()
        if pd.api.types.is_float_dtype(column) and (column % 1 != 0).any():
            return False
        if column.dtype != object and not pd.api.types.is_string_dtype(column):
            continue
        texts = [str(value) for value in pd.unique(column)[:_LOOKED_AT]]
        fitting = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
        if 2 * len(fitting) > len(texts):
            values += [text for text in fitting if "," in text]
    if separator != ",":
        return bool(values)
    # Between commas, in quotation marks, a comma before three digits may part thousands.
    return any(not re.search(r",\d{3}\s*$", text) for text in values)


def _as_written(column: pd.Series) -> pd.Series:
    """Texts, or integers where no text is lost by that."""
    codes, labels = pd.factorize(column)
    texts = [str(label).strip() for label in labels]
    if not texts or not all(_WHOLE.fullmatch(text) and abs(int(text)) < 2**63 for text in texts):
        return column.astype(object)
    whole = np.array([int(text) for text in texts], dtype=np.int64)[codes]
    absent = codes < 0
    return pd.Series(pd.arrays.IntegerArray(whole, absent) if absent.any() else whole)


def _not_utf8(path: Path) -> str:
    with opened(path, None) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start : error.start + 1]
                return (
                    f"line {number} has the byte 0x{byte.hex()}, which is not UTF-8 (in Latin-1 it "
                    f"is {byte.decode('latin-1')!r}). Save the file as UTF-8 (iconv -f LATIN1 -t "
                    f"UTF-8 {path.name} > utf8{path.suffix}), or read it with pandas.read_csv(..., "
                    "encoding='latin-1') and give that table."
                )
    return "its encoding is not UTF-8. Save the file as UTF-8."
