"""Lossless compression of each unit's rows to a triangular factor.

The likelihood of a unit depends on its rows ``[X Y]`` only through the cross-products
of any linear combination of their columns, which the triangular factor ``R`` of the
unit's QR decomposition keeps exactly (Golub & Van Loan 2013, section 5.3), without
the cancellation of cross-product matrices. Fixed effects of cells are removed first by
projecting on the complement of the cell dummies, which takes one degree of freedom
per cell: what is left is the likelihood of ``n - 1`` orthonormal contrasts per cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcompare.errors import DataError
from mixcompare.panel import FloatArray, IntArray, Panel

_BATCH_VALUES = 4_000_000


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
    def total_degrees_of_freedom(self) -> int:
        """Rows left after absorption over all units."""
        return int(self.degrees_of_freedom.sum())


def compress(panel: Panel) -> PreparedPanel:
    """Compress a panel.

    Parameters
    ----------
    panel
        Rows sorted by unit and cell, as `mixcompare.panel.build_panel` gives them.
    """
    rows = np.concatenate([panel.covariates, panel.outcomes], axis=1)
    raw_norm = np.linalg.norm(rows, axis=0)
    n_rows = np.bincount(panel.unit, minlength=panel.n_units)
    degrees_of_freedom = n_rows
    if panel.cell is not None:
        starts = np.flatnonzero(np.diff(panel.cell, prepend=-1))
        rows = _absorb(rows, starts, panel.cell)
        cells = np.bincount(panel.unit[starts], minlength=panel.n_units)
        degrees_of_freedom = n_rows - cells
    mean = np.zeros(rows.shape[1]) if panel.cell is not None else rows.mean(axis=0)
    total = max(int(degrees_of_freedom.sum()), 1)
    return PreparedPanel(
        factor=_factorise(rows, n_rows),
        n_rows=n_rows,
        degrees_of_freedom=degrees_of_freedom,
        unit_labels=panel.unit_labels,
        covariate_names=panel.covariate_names,
        outcome_names=panel.outcome_names,
        column_mean=mean,
        column_sd=np.linalg.norm(rows - mean, axis=0) / np.sqrt(total),
        raw_norm=raw_norm,
        absorbed=panel.cell is not None,
    )


def merge(parts: Sequence[PreparedPanel]) -> PreparedPanel:
    """Join panels that were compressed chunk by chunk.

    Units may occur in several parts (their factors are stacked and factored again);
    an absorbed cell must lie within one part, because its mean is removed there.

    Raises
    ------
    DataError
        If there is nothing to join or the parts have other columns.
    """
    if not parts:
        raise DataError("there are no compressed panels to merge.")
    first = parts[0]
    for part in parts[1:]:
        if (part.covariate_names, part.outcome_names, part.absorbed) != (
            first.covariate_names,
            first.outcome_names,
            first.absorbed,
        ):
            raise DataError("compressed panels with different columns cannot be merged.")
    labels, unit = _join_labels([part.unit_labels for part in parts])
    blocks = [part.factor.reshape(-1, part.factor.shape[-1]) for part in parts]
    repeats = np.concatenate([np.full(part.n_units, part.factor.shape[1]) for part in parts])
    row_unit = np.repeat(unit, repeats)
    order = np.argsort(row_unit, kind="stable")
    stacked = np.concatenate(blocks)[order]
    mean, sd = _pooled_moments(parts)
    return PreparedPanel(
        factor=_factorise(stacked, np.bincount(row_unit, minlength=len(labels))),
        n_rows=_sum_by(unit, [part.n_rows for part in parts]),
        degrees_of_freedom=_sum_by(unit, [part.degrees_of_freedom for part in parts]),
        unit_labels=labels,
        covariate_names=first.covariate_names,
        outcome_names=first.outcome_names,
        column_mean=mean,
        column_sd=sd,
        raw_norm=np.sqrt(np.sum([part.raw_norm**2 for part in parts], axis=0)),
        absorbed=first.absorbed,
    )


def _absorb(rows: FloatArray, starts: IntArray, cell: IntArray) -> FloatArray:
    counts = np.diff(np.append(starts, len(rows)))
    for _ in range(2):  # the second pass removes what rounding left of a large mean
        means = np.add.reduceat(rows, starts, axis=0) / counts[:, None]
        rows = rows - means[cell]
    return rows


def _factorise(rows: FloatArray, n_rows: IntArray) -> FloatArray:
    """(G, r, q) factors of consecutive blocks of rows with r = min(longest block, q)."""
    q = rows.shape[1]
    starts = np.concatenate(([0], np.cumsum(n_rows)[:-1]))
    factor = np.zeros((len(n_rows), min(int(n_rows.max()), q), q))
    short = np.flatnonzero((n_rows <= q) & (n_rows > 0))
    factor[short] = _padded(rows, starts[short], n_rows[short], factor.shape[1])
    for units in _batches_of_like_length(n_rows, q):
        block = _padded(rows, starts[units], n_rows[units], int(n_rows[units].max()))
        factor[units] = np.linalg.qr(block, mode="r")
    return factor


def _padded(rows: FloatArray, starts: IntArray, counts: IntArray, length: int) -> FloatArray:
    """(B, length, q) blocks of rows, filled up with rows of zeros."""
    offset = np.arange(length)
    inside = offset < counts[:, None]
    index = np.where(inside, starts[:, None] + offset, 0)
    return rows[index] * inside[..., None]


def _batches_of_like_length(n_rows: IntArray, q: int) -> Iterator[IntArray]:
    """Units with more than q rows, in batches whose lengths differ by less than two."""
    order = np.argsort(n_rows, kind="stable")
    order = order[n_rows[order] > q]
    octave = np.log2(n_rows[order] / q).astype(int)
    for units in np.split(order, np.flatnonzero(np.diff(octave)) + 1):
        if units.size:
            per_batch = max(1, _BATCH_VALUES // (int(n_rows[units].max()) * q))
            yield from (units[i : i + per_batch] for i in range(0, len(units), per_batch))


def _join_labels(labels: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], IntArray]:
    position: dict[Any, int] = {}
    unit = [position.setdefault(label, len(position)) for part in labels for label in part.tolist()]
    dtype = np.result_type(*(part.dtype for part in labels))
    return np.array(list(position), dtype=dtype), np.array(unit, dtype=np.intp)


def _sum_by(unit: IntArray, counts: Sequence[IntArray]) -> IntArray:
    return np.bincount(unit, weights=np.concatenate(counts)).astype(np.intp)


def _pooled_moments(parts: Sequence[PreparedPanel]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the union (Chan, Golub & LeVeque 1983)."""
    weight = np.array([part.total_degrees_of_freedom for part in parts], dtype=float)
    means = np.array([part.column_mean for part in parts])
    total = max(weight.sum(), 1.0)
    mean = weight @ means / total
    within = weight @ np.array([part.column_sd**2 for part in parts])
    between = weight @ (means - mean) ** 2
    return mean, np.sqrt((within + between) / total)
