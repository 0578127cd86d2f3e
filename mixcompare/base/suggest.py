"""Near misses and wrong types in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(given: str, allowed: Iterable[object]) -> str:
    """A hint with a leading space, or nothing if no allowed name is close.

    Examples
    --------
    >>> did_you_mean("untis", ["unit", "absorb"])
    " (did you mean 'unit'?)"
    >>> did_you_mean("x", ["unit", "absorb"])
    ''
    """
    names = [str(name) for name in allowed]
    same = [name for name in names if name.casefold() == given.casefold()]
    close = same or difflib.get_close_matches(given, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def kind_of(value: object) -> str:
    """A value in an error message: its type, and the value itself if that is short.

    Examples
    --------
    >>> kind_of("em.nc"), kind_of([1.5] * 100)
    ("a str ('em.nc')", 'a list')
    """
    text = repr(value) if isinstance(value, (str, int, float, bool, Path)) else ""
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return f"{article} {name}" + (f" ({text})" if 0 < len(text) <= 60 else "")
