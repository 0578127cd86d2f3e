"""Tables as CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

# A cell that begins with one of these is a formula to spreadsheets, with a tab or a line's end
# before it as well, and so is its wide form.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_ESCAPED: Final = re.compile(r"'[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def csv_text(frame: pd.DataFrame, *, index: bool = False) -> str:
    """A table as CSV; texts that a spreadsheet would take for formulas begin with ``'``.

    Numbers are as they are, at full precision, and so are texts that are numbers.

    Parameters
    ----------
    frame
        The table.
    index
        Whether its index is written, under the index's names.
    """
    whole = frame.reset_index() if index else frame
    safe = {place: _column(whole.iloc[:, place]) for place in range(whole.shape[1])}
    made = pd.DataFrame(safe, index=whole.index)
    made.columns = pd.Index([escape(str(name)) for name in whole.columns])
    return made.to_csv(index=False)


def escape(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescape(text: str) -> str:
    """The inverse of `escape`, for texts that do not begin with ``'`` themselves."""
    return text[1:] if _ESCAPED.match(text) else text


def _column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    values = column.astype(object)
    return values.map(lambda value: escape(value) if isinstance(value, str) else value)
