"""Numbers of several starts that run together: arrays with an axis of starts in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import EllipsisType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import IntArray

type Index = int | slice | EllipsisType | IntArray | NDArray[np.bool_] | None


class Together:
    """A dataclass of arrays, and of tuples, mappings and dataclasses of these, or None.

    All arrays may have the same further axes in front: starts that run together, or the
    iterations of one. An index selects along these.
    """

    __slots__ = ()

    def __getitem__(self, index: Index) -> Self:
        return changed(lambda part: part[index], self)

    def copy(self) -> Self:
        """The same, which shares no memory with it."""
        return changed(lambda part: part.copy(), self)

    def with_rows(self, rows: IntArray, others: Self) -> Self:
        """The same starts, of which others take the place of some, in rising order."""

        def put(part: Any, new: Any) -> Any:
            if isinstance(part, Together):
                return part.with_rows(rows, new)
            if len(rows) == len(part):
                return new
            part = part.copy(order="K")
            part[rows] = new
            return part

        return changed(put, self, others)


def changed[T: Together](change: Callable[..., Any], first: T, *others: T) -> T:
    """The first with its parts changed, each together with the same part of the others."""
    names = [field.name for field in fields(first)]  # type: ignore[arg-type]
    parts = {n: _changed(change, *(getattr(one, n) for one in (first, *others))) for n in names}
    return replace(first, **parts)  # type: ignore[type-var]


def _changed(change: Callable[..., Any], first: Any, *others: Any) -> Any:
    if isinstance(first, (np.ndarray, Together)):
        return change(first, *others)
    if isinstance(first, tuple):
        return tuple(_changed(change, *parts) for parts in zip(first, *others, strict=True))
    if isinstance(first, Mapping):
        return {n: _changed(change, first[n], *(other[n] for other in others)) for n in first}
    return first
