"""Near misses in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
