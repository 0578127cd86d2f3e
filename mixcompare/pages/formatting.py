"""Numbers as a reader wants them, and data frames as tables for the template."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

# More rows of a table than these are in its CSV file alone.
MOST_PARAMETERS: Final = 200
MOST_UNITS: Final = 20
MISSING: Final = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_TIMES = "\N{MULTIPLICATION SIGN}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹")

type Formatter = Callable[[Any], str]


def significant(value: Any, digits: int = 4) -> str:
    """Number with so many significant digits; powers of ten only where they must be."""

    def write(number: float) -> str:
        if number == 0:
            return "0"
        exponent = math.floor(math.log10(abs(float(f"{number:.{digits - 1}e}"))))
        if not -4 <= exponent < 7:
            return _scientific(number, digits - 1)
        return f"{number:.{max(0, digits - 1 - exponent)}f}"

    return _finite(value, write)


def fixed(decimals: int) -> Formatter:
    """Formatter with so many decimals."""
    return lambda value: _finite(value, f"{{:.{decimals}f}}".format)


def quantity(name: str, value: Any) -> str:
    """A value as suits its name: R-hat, effective sample sizes, counts, else 4 decimals."""
    number = float(value)
    if "R-hat" in name:
        return fixed(3)(number)
    if "ESS" in name or (number == np.rint(number) and abs(number) < 1e9):
        return count(number)
    return _finite(number, lambda n: _scientific(n, 1)) if abs(number) < 1e-3 else fixed(4)(number)


def count(value: Any) -> str:
    """Whole number with separators."""
    return _finite(value, "{:,.0f}".format)


def counted(value: Any, noun: str) -> str:
    """Whole number with its noun, ``1 row`` or ``2 rows``."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def percent(value: Any) -> str:
    """Share as a percentage with one decimal."""
    return f"{fixed(1)(100 * float(value))} %"


def duration(seconds: float) -> str:
    """Wall time in words."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min"


def power_of_ten(value: float, _position: float | None = None) -> str:
    """Tick of a logarithmic axis; matplotlib's own is formula markup, which text does not show."""
    exponent = round(math.log10(value)) if value > 0 else 0
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def _finite(value: Any, write: Callable[[float], str]) -> str:
    """A number as `write` has it, with a minus sign that is one."""
    number = float(value)
    if math.isnan(number):
        return MISSING
    infinite = "∞" if number > 0 else "-∞"
    text = write(number) if math.isfinite(number) else infinite
    return text.replace("-", _MINUS)


def _scientific(number: float, decimals: int) -> str:
    mantissa, exponent = f"{number:.{decimals}e}".split("e")
    return f"{mantissa} {_TIMES} 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, explanation and whether it holds numbers."""

    label: str
    title: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is shown.

    Attributes
    ----------
    name
        Base of its file name and of its anchor.
    caption
        What it holds.
    columns
        Headings.
    rows
        Texts, or markup, by row; each row's first cell is its heading.
    values
        What the texts were made of, by row.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def keys(self) -> tuple[tuple[str | None, ...], ...]:
        """By row, the numbers that cells are sorted by; None where the text itself is."""
        return tuple(
            tuple(_sort_key(v, c) for v, c in zip(row, self.columns, strict=True))
            for row in self.values
        )


def table(
    name: str,
    caption: str,
    columns: Iterable[tuple[Column, Iterable[Any], Formatter | Sequence[str]]],
) -> Table:
    """Join columns of values, each with its formatter or with the texts to show."""
    listed = [(column, list(values), show) for column, values, show in columns]
    cells = [
        [show(value) for value in values] if callable(show) else show for _, values, show in listed
    ]
    return Table(
        name,
        caption,
        tuple(column for column, _, _ in listed),
        tuple(zip(*cells, strict=True)),
        tuple(zip(*(values for _, values, _ in listed), strict=True)),
    )


class Field(NamedTuple):
    """A column of a data frame as a table shows it, see `words` and `numbers`."""

    key: str
    column: Column
    show: Formatter | Sequence[str]


def words(*same: str, show: Formatter = str, **headings: str) -> list[Field]:
    """Columns of texts by their names in the data frame.

    Parameters
    ----------
    *same
        Those whose heading is their name.
    show
        Formatter of all of them.
    **headings
        The others: ``"heading"`` or ``"heading: explanation"``.
    """
    return _fields(show, same, headings, numeric=False)


def numbers(show: Formatter | Sequence[str], *same: str, **headings: str) -> list[Field]:
    """Columns of numbers, as `words`, with their formatter or the texts to show."""
    return _fields(show, same, headings, numeric=True)


def _fields(
    show: Formatter | Sequence[str],
    same: tuple[str, ...],
    headings: Mapping[str, str],
    *,
    numeric: bool,
) -> list[Field]:
    parts = {key: heading.partition(": ") for key, heading in headings.items()}
    titles = {name: (name, "") for name in same}
    titles |= {key: (label, title) for key, (label, _, title) in parts.items()}
    return [Field(key, Column(*pair, numeric=numeric), show) for key, pair in titles.items()]


def present(frame: pd.DataFrame, *fields: list[Field]) -> list[Field]:
    """Those of the columns that the data frame has."""
    return [field for group in fields for field in group if field.key in frame]


def frame_table(name: str, caption: str, frame: pd.DataFrame, *fields: list[Field]) -> Table:
    """A table of a data frame's columns, to which its index belongs where it has a name."""
    known = frame if frame.index.name is None else frame.reset_index()
    listed = [field for group in fields for field in group]
    return table(name, caption, [(f.column, known[f.key], f.show) for f in listed])


def _sort_key(value: Any, column: Column) -> str | None:
    if not column.numeric or isinstance(value, (str, bool)):
        return None
    if isinstance(value, (int, float, np.number)):
        return "" if math.isnan(value) else repr(float(value))
    return None


def interval(frame: pd.DataFrame, prefix: str = "") -> list[str]:
    """Texts ``[lower, upper]`` of two columns, with a prefix and ``_`` before their names."""
    start = f"{prefix}_" if prefix else ""
    pairs = zip(frame[f"{start}lower"], frame[f"{start}upper"], strict=True)
    return [
        MISSING if math.isnan(low) else f"[{significant(low)}, {significant(high)}]"
        for low, high in pairs
    ]


def quantities(name: str, caption: str, frame: pd.DataFrame) -> Table:
    """A table of unlike quantities with a note each."""
    texts = [quantity(str(q), value) for q, value in frame["value"].items()]
    fields = words("quantity"), numbers(texts, "value"), words("note")
    return frame_table(name, caption, frame, *fields)


def clipped(total: int, most: int) -> str:
    """End of a caption that says what a table leaves out."""
    return f" (the first {most} of {total}; all are in the CSV file)" if total > most else ""
