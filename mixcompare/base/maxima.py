"""When the heights of two maxima are one and the same."""

from __future__ import annotations

from typing import Final

# Relative to the size of the objective: what two runs to the same maximum may differ by.
SAME_MAXIMUM: Final = 1e-8


def same_within[T](height: T) -> T:
    """How far from a height others are that may be of the same maximum.

    Parameters
    ----------
    height
        A log-likelihood or another objective; a number, an array or a column of them.
    """
    return SAME_MAXIMUM * (1 + abs(height))  # type: ignore[arg-type, no-any-return]
