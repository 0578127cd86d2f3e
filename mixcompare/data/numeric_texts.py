"""Texts where numbers are meant: one stray text must not turn a number into categories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.errors import DataError
from mixcompare.data.places import place

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
# What programs write for a value that is missing: R and pandas, Stata and SAS, spreadsheets.
_MISSING: Final = re.compile(
    r"|[-–—]{1,3}|\.{1,3}|\.[a-z_]|\?+|\*+|n\.?/?[ad]\.?|#n/a|#null!|<na>|nan|null|none|nil|missing",  # noqa: RUF001
    re.IGNORECASE,
)
# Numbers that are written for people: decimal commas, parted thousands, percent, currencies.
_NOTATION: Final = re.compile(
    r"[+-]?[$€£]?\s?(\d+,\d+|\d{1,3}([,.' \u00a0\u202f]\d{3})+([.,]\d+)?|\d+([.,]\d+)?)\s?[%$€£]?"
)
# A text in no more than this share of the rows is a slip and no category.
_FEW: Final = 0.05
# So many different numbers are measurements, whatever else there is.
_MANY: Final = 10

Meant = Literal["outcome", "unit_weights", "covariate"]


@dataclass(frozen=True, slots=True, eq=False)
class _Texts:
    """Different values of a column that has texts, in the order in which they come.

    ``code`` (N,) is each row's value, -1 where it is missing; ``kind`` says of each value
    whether it is a ``number``, a ``numeral``, which is a text that is a number, ``missing``,
    ``notation`` or ``other``; ``rows`` in how many rows it is.
    """

    different: NDArray[Any]
    code: NDArray[np.intp]
    kind: NDArray[Any]
    rows: NDArray[np.intp]

    def of(self, *kinds: str) -> NDArray[np.bool_]:
        return np.isin(self.kind, kinds)


def settle_numbers(
    frame: pd.DataFrame, meant: Mapping[str, Meant], missing: Literal["error", "drop"]
) -> pd.DataFrame:
    """Refuse columns of numbers that hold a few texts, or read texts that mean missing so.

    Parameters
    ----------
    meant
        What each column is. Outcomes and weights must be numbers; a covariate may be
        categories, and is numbers if all its texts but numbers are such as mean a missing
        value; if texts are in one of ten rows or more, or in 5 % of the rows; or if ten
        different numbers are among its values and half of these.
    missing
        ``"drop"`` makes the texts ``.``, ``-``, ``?``, ``N/A`` and their like missing values
        in columns of numbers.

    Raises
    ------
    DataError
        It names the column, the first text, its row and the remedies.
    """
    settled = {}
    for name, role in meant.items():
        texts = _texts(frame[name])
        if texts is None or (role == "covariate" and not _are_numbers(texts)):
            continue
        absent = texts.of("missing")
        wrong = texts.of("other", "notation", "object") | (absent & (missing == "error"))
        if not wrong.any() and not absent.any():
            wrong = texts.of("numeral")
        if wrong.any():
            raise _error(name, role, frame.index, texts, wrong)
        settled[name] = _as_numbers(texts)
    return frame.assign(**settled) if settled else frame


def without_markers(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The table with texts that mean missing as such, in columns of numbers but for them."""
    texts = {name: _texts(frame[name]) for name in names}
    settled = {
        name: _as_numbers(column)
        for name, column in texts.items()
        if column is not None
        and column.of("missing").any()
        and column.of("number", "numeral", "missing").all()
    }
    return frame.assign(**settled) if settled else frame


def means_missing(value: object) -> bool:
    """Whether a text is one with which programs write a missing value.

    Examples
    --------
    >>> [text for text in (".", "?", "N/A", "x", "0") if means_missing(text)]
    ['.', '?', 'N/A']
    """
    return isinstance(value, str) and _MISSING.fullmatch(value.strip()) is not None


def _texts(column: pd.Series) -> _Texts | None:
    """Values of a column that has any texts and is not categories by its type."""
    text_type = column.dtype == object or pd.api.types.is_string_dtype(column)
    if isinstance(column.dtype, pd.CategoricalDtype) or not text_type:
        return None
    if pd.api.types.infer_dtype(column) not in {"string", "mixed", "mixed-integer"}:
        return None
    try:
        code, values = pd.factorize(column)
    except TypeError:
        return None
    kind = np.array([_kind(value) for value in values], dtype=object)
    if not np.isin(kind, ["numeral", "missing", "notation", "other"]).any():
        return None
    rows = np.bincount(code[code >= 0], minlength=len(kind))
    return _Texts(np.asarray(values, dtype=object), code.astype(np.intp), kind, rows)


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        return "number" if plain else "object"
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return "numeral"
    if _MISSING.fullmatch(text):
        return "missing"
    return "notation" if _NOTATION.fullmatch(text) else "other"


def _are_numbers(texts: _Texts) -> bool:
    """Whether a column that could be categories is meant as numbers."""
    if texts.of("object").any():
        return False
    plain, other = texts.of("number", "numeral"), texts.of("other", "notation")
    stray = other | texts.of("missing")
    if not stray.any():
        # Whole numbers that somebody has made texts are categories, as in R.
        return bool(plain.sum() >= _MANY and any(float(v) % 1 for v in texts.different))
    if not other.any():
        return bool(plain.any())
    if not texts.of("other").any() and texts.of("notation").any():
        return True
    n_plain = int(plain.sum())
    if n_plain < 2:
        return False
    n_rows = int(texts.rows.sum())
    few = n_rows >= _MANY and texts.rows[stray].sum() <= max(1, _FEW * n_rows)
    many = n_plain >= max(_MANY, int(stray.sum()))
    return bool(few or many)


def _error(
    name: str, role: Meant, index: pd.Index, texts: _Texts, wrong: NDArray[np.bool_]
) -> DataError:
    """The error that names the first text that is no number, and what can be done about it."""
    rows = np.flatnonzero(np.isin(texts.code, np.flatnonzero(wrong)))
    first, kind = texts.different[texts.code[rows[0]]], texts.kind[texts.code[rows[0]]]
    what = {
        "outcome": f"outcome {name!r} is not numeric: it is ",
        "unit_weights": f"unit_weights {name!r} is of type text: it is ",
        "covariate": f"{name!r} is ",
    }[role]
    more = f" (the first of {len(rows)} such rows)" if len(rows) > 1 else ""
    where = f"{what}{first!r} in {place(index, index[rows[0]])}{more}"
    category = f"; if its values are categories, write C({name})" if role == "covariate" else ""
    if kind == "numeral":
        return DataError(
            f"{where}: its numbers are texts. Make them numbers (pandas.to_numeric){category}."
        )
    if kind == "notation":
        return DataError(
            f"{where}. Write numbers with a point for the decimals and without signs for "
            f"thousands, percent or currency{category}."
        )
    if not texts.of("number", "numeral").any():
        return DataError(f"{where}. Give numbers.")
    absent = "" if kind == "missing" else "write NA for it and "
    return DataError(
        f"{where}, where its other values are numbers. Correct it, or {absent}drop such rows with "
        f"missing='drop' (on the command line --missing drop){category}."
    )


def _as_numbers(texts: _Texts) -> NDArray[np.float64]:
    """(N,) values as doubles, texts that mean missing as NaN."""
    read = texts.of("number", "numeral")
    each = [float(v) if ok else np.nan for v, ok in zip(texts.different, read, strict=True)]
    return np.array([*each, np.nan])[texts.code]
