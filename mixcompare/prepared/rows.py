"""The rows of a panel whose outcomes no smaller statistics stand for, equal ones merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel
from mixcompare.prepared.prepared import Prepared, described


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rows(Prepared):
    """Distinct rows of the carriers, R of them: a carrier's density is a sum over its own.

    Attributes
    ----------
    covariates, outcomes
        (R, p) and (R, m).
    carrier
        (R,) number of the row's carrier, never falling.
    counts
        (R,) how many rows of the carrier are the same.
    """

    covariates: FloatArray
    outcomes: FloatArray
    carrier: IntArray
    counts: FloatArray

    @property
    def n_values(self) -> int:
        """Numbers that the rows hold."""
        return self.covariates.size + self.outcomes.size

    @property
    def pooled_rows(self) -> FloatArray:
        """(R, p + m) rows of all units, of the weighted panel's cross-products."""
        weight = self.counts * self.replicated[self.carrier]
        rows = np.concatenate([self.covariates, self.outcomes], axis=1)
        return np.asarray(rows * np.sqrt(weight)[:, None])

    def content(self, unit: int) -> bytes:
        """The same for units with the same rows."""
        first, last = np.searchsorted(self.carrier, [unit, unit + 1])
        of_unit = self.covariates[first:last], self.outcomes[first:last], self.counts[first:last]
        return b"".join(values.tobytes() for values in of_unit)

    def without_unit(self, unit: int) -> Rows:
        """The same with a unit that has no rows, everything else as it is."""
        return self._selected(self.carrier != unit, **self._emptied(unit))

    def only_unit(self, unit: int) -> Rows:
        """One unit, scales as they are."""
        alone = self._selected(self.carrier == unit, **self._alone(unit))
        return replace(alone, carrier=np.zeros_like(alone.carrier))

    def _selected(self, kept: np.ndarray, **changes: Any) -> Rows:
        by_row = ("covariates", "outcomes", "carrier", "counts")
        rows: dict[str, Any] = {name: getattr(self, name)[kept] for name in by_row}
        return replace(self, **rows, **changes)


def merge_rows(panel: Panel) -> Rows:
    """Rows of a panel whose units are its carriers, equal rows of a unit merged."""
    columns = (panel.covariates, panel.outcomes)
    rows = np.concatenate(columns, axis=1)
    order = np.lexsort((*rows.T[::-1], panel.unit))
    rows, unit = rows[order], panel.unit[order]
    differs = (rows[1:] != rows[:-1]).any(axis=1) | (unit[1:] != unit[:-1])
    first = np.flatnonzero(np.concatenate(([True], differs)))
    p = panel.covariates.shape[1]
    return Rows(
        covariates=rows[first, :p],
        outcomes=rows[first, p:],
        carrier=unit[first],
        counts=np.diff(np.append(first, len(rows))).astype(float),
        **described(panel, columns),
    )
