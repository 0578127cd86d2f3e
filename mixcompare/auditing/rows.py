"""The panel's raw rows in every version that a program may work on.

All versions are expressed in the coordinates of `Standardised` (residual scale one,
covariates whitened), which is a fixed linear map of the raw ones: regressions are
equivariant under it, so a step computed here is the step in raw units, well scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """(N, p) covariates and (N, m) outcomes, and their cross-products by unit (G, q, q)."""

    covariates: FloatArray
    outcomes: FloatArray
    gram: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows in the panel's order.

    Attributes
    ----------
    versions
        By name; ``"exact"`` is what the likelihood is made of.
    table_order
        (N,) positions that bring the rows into the order of the table that was given.
    unit
        (N,) unit of the row.
    n_rows, degrees_of_freedom
        (G,) rows, and what the likelihood counts of them.
    raw_scale
        Size of the outcomes' unit in raw units, (m,).
    pooled, unwhiten
        (p, m) raw coefficients of the pooled fit and (p, p) map from whitened covariates'
        coefficients to raw ones: raw ones are ``pooled + unwhiten b * raw_scale``.
    is_constant
        (p,) whether a raw covariate is the intercept.
    """

    versions: dict[str, Version]
    table_order: IntArray
    unit: IntArray
    n_rows: FloatArray
    degrees_of_freedom: FloatArray
    raw_scale: FloatArray
    pooled: FloatArray
    unwhiten: FloatArray
    is_constant: NDArray[np.bool_]

    @property
    def n_covariates(self) -> int:
        """Number of covariates, p."""
        return len(self.unwhiten)

    @property
    def total(self) -> int:
        """Number of rows, N."""
        return len(self.unit)

    @property
    def n_units(self) -> int:
        """Number of units, G."""
        return len(self.n_rows)

    @property
    def contrasts(self) -> float:
        """Degrees of freedom of all units together."""
        return float(self.degrees_of_freedom.sum())

    @property
    def appearance(self) -> IntArray:
        """(G,) units in the order in which the table names them."""
        _, first = np.unique(self.unit[self.table_order], return_index=True)
        return np.argsort(first, kind="stable")

    @property
    def sorted_order(self) -> IntArray | None:
        """(N,) rows sorted by unit and cell; None where the table has them in this order."""
        order = np.arange(self.total)
        return None if np.array_equal(order, self.table_order) else order

    def named(self, version: str) -> str | None:
        """The name of a version, None if these rows have none such."""
        return version if version in self.versions else None

    def are_units(self, values: FloatArray) -> bool:
        """Whether an array goes by units, not by rows."""
        return len(values) == self.n_units

    def mass(self, weights: FloatArray) -> FloatArray:
        """(K,) weighted rows, of weights (G, K) by units or (N, K) by rows."""
        return np.asarray(self.n_rows @ weights if self.are_units(weights) else weights.sum(axis=0))

    def by_unit(self, values: FloatArray) -> FloatArray:
        """(G, K) sums over the units' rows of (N, K) numbers."""
        columns = [np.bincount(self.unit, column, self.n_units) for column in values.T]
        return np.stack(columns, axis=1)

    def spread(self, values: FloatArray) -> FloatArray:
        """(N, ...) values by row of an array by units or by rows."""
        return values[self.unit] if self.are_units(values) else values


def build_rows(panel: Panel, data: Standardised) -> Rows:
    """Make all versions of the rows.

    With absorbed effects these are the outcomes and covariates as given, mixed with the
    absorbed ones, centred by unit instead of by cell, and cleared of the pooled fit's
    effects; without, rows whose constant column is lost.
    """
    x, y = panel.covariates, panel.outcomes
    pairs: dict[str, tuple[FloatArray, FloatArray]] = {}
    if panel.cell is None:
        pairs["exact"] = x, y
        constant = _is_constant(x)
        if constant.any():
            pairs["no intercept"] = np.where(constant, 0.0, x), y
    else:
        within_x, within_y = _centred(x, panel.cell), _centred(y, panel.cell)
        rest = y - x @ data.pooled
        pairs = {
            "exact": (within_x, within_y),
            "raw": (x, y),
            "raw covariates": (x, within_y),
            "raw outcomes": (within_x, y),
            "centred by unit": (_centred(x, panel.unit), _centred(y, panel.unit)),
            "pooled effects": (x, y - (rest - _centred(rest, panel.cell))),
        }
    return Rows(
        versions={name: _version(data, panel.unit, *pair) for name, pair in pairs.items()},
        table_order=np.argsort(panel.row, kind="stable"),
        unit=panel.unit,
        n_rows=np.bincount(panel.unit, minlength=panel.n_units).astype(float),
        degrees_of_freedom=data.degrees_of_freedom,
        raw_scale=data.scale,
        pooled=data.pooled,
        unwhiten=data.unwhiten,
        is_constant=_is_constant(x),
    )


def _is_constant(x: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((np.ptp(x, axis=0) == 0) & (x[0] != 0))


def _centred(values: FloatArray, group: IntArray) -> FloatArray:
    """Deviations from the group's mean; groups are consecutive rows numbered 0, 1, ..."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    counts = np.diff(np.append(starts, len(values)))
    for _ in range(2):  # the second pass removes what rounding left of a large mean
        values = values - (np.add.reduceat(values, starts, axis=0) / counts[:, None])[group]
    return values


def _version(data: Standardised, unit: IntArray, x: FloatArray, y: FloatArray) -> Version:
    covariates = x @ data.unwhiten
    outcomes = (y - x @ data.pooled) / data.scale
    both = np.concatenate([covariates, outcomes], axis=1)
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    gram = np.empty((len(starts), both.shape[1], both.shape[1]))
    for j, column in enumerate(both.T):
        gram[:, j] = np.add.reduceat(both * column[:, None], starts, axis=0)
    return Version(covariates, outcomes, gram)
