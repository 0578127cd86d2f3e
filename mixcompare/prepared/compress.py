"""Lossless compression of each unit's rows to a triangular factor.

The likelihood of a unit depends on its rows ``[X Y]`` only through the cross-products
of any linear combination of their columns, which the triangular factor ``R`` of the
unit's QR decomposition keeps exactly (Golub & Van Loan 2013, section 5.3), without
the cancellation of cross-product matrices. Fixed effects of cells are removed first by
projecting on the complement of the cell dummies, which takes one degree of freedom
per cell: what is left is the likelihood of ``n - 1`` orthonormal contrasts per cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel
from mixcompare.data.within import within_runs
from mixcompare.prepared.factorise import Kernels, factorise

# Passes over the rows are made in parts that stay in the cache.
_VALUES_AT_A_TIME = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPanel:
    """What a backend needs of a panel: one small matrix per unit.

    Attributes
    ----------
    factor
        (G, r, p + m) rows that have the cross-products of the unit's ``[X Y]`` after
        absorption; short units are padded with rows of zeros.
    n_rows
        (G,) rows of the unit.
    degrees_of_freedom
        (G,) rows left after absorption: rows minus cells.
    column_mean, column_sd
        (p + m,) over all rows after absorption (then the means are zero).
    raw_norm
        (p + m,) Euclidean norms of the columns before absorption.
    absorbed
        Whether cell effects have been removed.
    common_names
        Covariates whose coefficients all classes share.
    concomitants
        (G, c) unit covariates of the class membership, or None.
    unit_weights
        (G,) replication weights, or None where every unit counts once. Means, standard
        deviations and norms are weighted by them; the factors are not.
    """

    factor: FloatArray
    n_rows: IntArray
    degrees_of_freedom: IntArray
    unit_labels: NDArray[Any]
    covariate_names: tuple[str, ...]
    outcome_names: tuple[str, ...]
    column_mean: FloatArray
    column_sd: FloatArray
    raw_norm: FloatArray
    absorbed: bool
    common_names: tuple[str, ...] = ()
    concomitants: FloatArray | None = None
    concomitant_names: tuple[str, ...] = ()
    unit_weights: FloatArray | None = None

    @property
    def n_units(self) -> int:
        """Number of units, G."""
        return len(self.n_rows)

    @property
    def n_covariates(self) -> int:
        """Number of covariates, p."""
        return len(self.covariate_names)

    @property
    def n_outcomes(self) -> int:
        """Number of outcomes, m."""
        return len(self.outcome_names)

    @property
    def covariate_factor(self) -> FloatArray:
        """(G, r, p) columns of the covariates."""
        return self.factor[..., : self.n_covariates]

    @property
    def outcome_factor(self) -> FloatArray:
        """(G, r, m) columns of the outcomes."""
        return self.factor[..., self.n_covariates :]

    @property
    def total_degrees_of_freedom(self) -> float:
        """Rows left after absorption over all units, each counted by its weight."""
        return float(np.sum(self.replicated * self.degrees_of_freedom))

    @property
    def total_units(self) -> float:
        """Number of units, each counted by its weight."""
        return float(np.sum(self.replicated))

    @property
    def replicated(self) -> FloatArray:
        """(G,) how often each unit counts."""
        return np.ones(self.n_units) if self.unit_weights is None else self.unit_weights

    @property
    def pooled_rows(self) -> FloatArray:
        """(G r, p + m) factor rows of all units, of the weighted panel's cross-products."""
        factor = self.factor
        if self.unit_weights is not None:
            factor = factor * np.sqrt(self.unit_weights)[:, None, None]
        return factor.reshape(-1, factor.shape[-1])

    def without_unit(self, unit: int) -> PreparedPanel:
        """The same with a unit that has no rows, everything else as it is."""
        others = np.arange(self.n_units) != unit
        return replace(
            self,
            factor=self.factor * others[:, None, None],
            n_rows=self.n_rows * others,
            degrees_of_freedom=self.degrees_of_freedom * others,
        )

    def only_unit(self, unit: int) -> PreparedPanel:
        """One unit, scales as they are."""
        kept = slice(unit, unit + 1)
        weights, concomitants = self.unit_weights, self.concomitants
        return replace(
            self,
            factor=self.factor[kept],
            n_rows=self.n_rows[kept],
            degrees_of_freedom=self.degrees_of_freedom[kept],
            unit_labels=self.unit_labels[kept],
            unit_weights=None if weights is None else weights[kept],
            concomitants=None if concomitants is None else concomitants[kept],
        )


def compress(panel: Panel, kernels: Kernels = "auto") -> PreparedPanel:
    """Compress a panel.

    Parameters
    ----------
    panel
        Rows sorted by unit and cell, as `mixcompare.data.panel.build_panel` gives them.
    kernels
        ``"numba"`` factors the units by a compiled kernel, ``"numpy"`` does not, and
        ``"auto"`` does so for many rows.
    """
    n_rows = np.bincount(panel.unit, minlength=panel.n_units)
    columns = (panel.covariates, panel.outcomes)
    weights = None if panel.unit_weights is None else panel.unit_weights[panel.unit]
    raw_norm = _norms(columns, weights)
    if panel.cell is None:
        mean = _means(columns, weights)
    else:
        starts = np.flatnonzero(np.diff(panel.cell, prepend=-1))
        columns = (within_runs(panel.covariates, starts), within_runs(panel.outcomes, starts))
        mean = np.zeros(len(raw_norm))
    absorbed = panel.cell is not None
    about = _norms(columns, weights, mean)
    plain = raw_norm if weights is None and not absorbed else _norms(columns)
    prepared = PreparedPanel(
        factor=factorise(*columns, n_rows, plain, kernels),
        n_rows=n_rows,
        degrees_of_freedom=panel.degrees_of_freedom,
        unit_labels=panel.unit_labels,
        covariate_names=panel.covariate_names,
        outcome_names=panel.outcome_names,
        column_mean=mean,
        column_sd=about,
        raw_norm=raw_norm,
        absorbed=absorbed,
        common_names=panel.common_names,
        concomitants=panel.concomitants,
        concomitant_names=panel.concomitant_names,
        unit_weights=panel.unit_weights,
    )
    total = prepared.total_degrees_of_freedom or 1.0
    return replace(prepared, column_sd=prepared.column_sd / np.sqrt(total))


def _means(columns: Sequence[FloatArray], weights: FloatArray | None) -> FloatArray:
    counts = np.ones(len(columns[0])) if weights is None else weights
    return np.asarray(np.concatenate([counts @ part for part in columns]) / counts.sum())


def _norms(
    columns: Sequence[FloatArray],
    weights: FloatArray | None = None,
    about: FloatArray | None = None,
) -> FloatArray:
    """Weighted Euclidean norms of the columns, or of their differences from a row."""
    counts = np.ones(len(columns[0])) if weights is None else weights
    totals, place = [], 0
    for part in columns:
        width = part.shape[1]
        step = max(1, min(len(part), _VALUES_AT_A_TIME // width))
        # Flat, because NumPy's loops over a few columns are slow.
        centre = None if about is None else np.tile(about[place : place + width], step)
        total = np.zeros(width)
        for i in range(0, len(part), step):
            rest = part[i : i + step].ravel()
            rest = np.square(rest if centre is None else rest - centre[: rest.size])
            total += counts[i : i + step] @ rest.reshape(-1, width)
        place += width
        totals.append(total)
    return np.sqrt(np.concatenate(totals))
