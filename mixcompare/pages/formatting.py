"""Numbers as a reader wants them, and data frames as tables for the template."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    number = float(value)
    if not math.isfinite(number):
        return _not_finite(number)
    if number == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{number:.{digits - 1}e}"))))
    if not -4 <= exponent < 7:
        return _scientific(number, digits - 1)
    return _signed(f"{number:.{max(0, digits - 1 - exponent)}f}")


def fixed(decimals: int) -> Formatter:
    """Formatter with so many decimals."""

    def format_fixed(value: Any) -> str:
        number = float(value)
        if not math.isfinite(number):
            return _not_finite(number)
        return _signed(f"{number:.{decimals}f}")

    return format_fixed


def quantity(name: str, value: Any) -> str:
    """A value as suits its name: R-hat, effective sample sizes, counts, else 4 decimals."""
    if "R-hat" in name:
        return fixed(3)(value)
    if "ESS" in name:
        return count(value)
    number = float(value)
    if not math.isfinite(number):
        return _not_finite(number)
    if number == round(number) and abs(number) < 1e9:
        return _signed(f"{number:,.0f}")
    return _scientific(number, 1) if abs(number) < 1e-3 else fixed(4)(number)


def count(value: Any) -> str:
    """Whole number with separators."""
    number = float(value)
    return _signed(f"{number:,.0f}") if math.isfinite(number) else _not_finite(number)


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


def _not_finite(number: float) -> str:
    return MISSING if math.isnan(number) else ("∞" if number > 0 else f"{_MINUS}∞")


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)


def _scientific(number: float, decimals: int) -> str:
    mantissa, exponent = f"{number:.{decimals}e}".split("e")
    return f"{_signed(mantissa)} {_TIMES} 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


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
    listed = [(column, list(values), shown) for column, values, shown in columns]
    cells = [
        [shown(value) for value in values] if callable(shown) else shown
        for _, values, shown in listed
    ]
    return Table(
        name,
        caption,
        tuple(column for column, _, _ in listed),
        tuple(zip(*cells, strict=True)),
        tuple(zip(*(values for _, values, _ in listed), strict=True)),
    )


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
    return table(
        name,
        caption,
        [
            (Column("quantity", numeric=False), frame.index, str),
            (Column("value"), frame["value"], texts),
            (Column("note", numeric=False), frame["note"], str),
        ],
    )


def clipped(total: int, most: int) -> str:
    """End of a caption that says what a table leaves out."""
    return f" (the first {most} of {total}; all are in the CSV file)" if total > most else ""
