"""Rows that are held in tiles alone, and read out of them a part at a time.

Compiled passes hold all rows once more, in tiles. Where a tile has every value of a row, the
rows themselves need not be kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class TiledRows:
    """What reads like an array (G, r, c) along its first axis, to the bit.

    Tiles (tiles, size, units of a tile) have a unit's values (r, c) in places, negative where they
    are zero in all units.
    """

    tiles: FloatArray
    n_units: int
    places: IntArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(G, r, c)."""
        r, c = self.places.shape
        return self.n_units, r, c

    @property
    def size(self) -> int:
        """Number of values."""
        return self.n_units * self.places.size

    def __getitem__(self, units: slice | IntArray) -> FloatArray:
        """Rows (U, r, c) of some units, by a slice of successive ones or their numbers."""
        width = self.tiles.shape[-1]
        if isinstance(units, slice):
            first, last, _ = units.indices(self.n_units)
            held = slice(first // width, -(-last // width))
            values = self.tiles[held][:, self.places.ravel()].swapaxes(1, 2)
            values = values.reshape(-1, *self.places.shape)[first % width :][: last - first]
        else:
            tile, place = np.divmod(units[:, None, None], width)
            values = self.tiles[tile, self.places, place]
        absent = self.places < 0
        if absent.any():
            values[:, absent] = 0.0
        return np.ascontiguousarray(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        """All rows."""
        return np.asarray(self[:], dtype)


# Rows (G, r, c), as an array or in tiles.
type Rows = FloatArray | TiledRows


def column(rows: Rows, j: int) -> FloatArray:
    """(G, r) values of one column."""
    if isinstance(rows, TiledRows):
        return np.asarray(replace(rows, places=rows.places[:, j : j + 1]))[..., 0]
    return rows[..., j]
