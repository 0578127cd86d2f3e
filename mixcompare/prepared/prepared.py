"""What every family has of a prepared panel: who the units are, columns, and their sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.data.panel import Panel, taken

# Passes over the rows are made in parts that stay in the cache.
_VALUES_AT_A_TIME = 32_768


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prepared(ABC):
    """A panel's units and columns; its rows are in the form that the outcomes' family needs.

    Attributes
    ----------
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
        deviations and norms are weighted by them; the rows are not.
    """

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
    @abstractmethod
    def n_values(self) -> int:
        """Numbers that the rows hold."""

    @property
    @abstractmethod
    def pooled_rows(self) -> FloatArray:
        """(R, p + m) rows of all units, of the weighted panel's cross-products."""

    @abstractmethod
    def content(self, unit: int) -> bytes:
        """The same for units whose rows say the same."""

    @abstractmethod
    def without_unit(self, unit: int) -> Self:
        """The same with a unit that has no rows, everything else as it is."""

    @abstractmethod
    def only_unit(self, unit: int) -> Self:
        """One unit, scales as they are."""

    def _emptied(self, unit: int) -> dict[str, Any]:
        """Changed fields of `without_unit`, but for the rows."""
        others = np.arange(self.n_units) != unit
        return {
            "n_rows": self.n_rows * others,
            "degrees_of_freedom": self.degrees_of_freedom * others,
        }

    def _alone(self, unit: int) -> dict[str, Any]:
        """Changed fields of `only_unit`, but for the rows."""
        kept = slice(unit, unit + 1)
        by_unit = ("n_rows", "degrees_of_freedom", "unit_labels", "unit_weights", "concomitants")
        return {name: taken(getattr(self, name), kept) for name in by_unit}


def described(panel: Panel, columns: Sequence[FloatArray]) -> dict[str, Any]:
    """Fields of `Prepared` of a panel.

    Parameters
    ----------
    columns
        Covariates (N, p) and outcomes (N, m), cells' means removed where they are absorbed.
    """
    weights = None if panel.unit_weights is None else panel.unit_weights[panel.unit]
    raw_norm = norms((panel.covariates, panel.outcomes), weights)
    mean = means(columns, weights) if panel.cell is None else np.zeros(len(raw_norm))
    degrees_of_freedom = panel.degrees_of_freedom
    counts = 1.0 if panel.unit_weights is None else panel.unit_weights
    total = float(np.sum(counts * degrees_of_freedom)) or 1.0
    return {
        "n_rows": np.bincount(panel.unit, minlength=panel.n_units),
        "degrees_of_freedom": degrees_of_freedom,
        "unit_labels": panel.unit_labels,
        "covariate_names": panel.covariate_names,
        "outcome_names": panel.outcome_names,
        "column_mean": mean,
        "column_sd": norms(columns, weights, mean) / np.sqrt(total),
        "raw_norm": raw_norm,
        "absorbed": panel.cell is not None,
        "common_names": panel.common_names,
        "concomitants": panel.concomitants,
        "concomitant_names": panel.concomitant_names,
        "unit_weights": panel.unit_weights,
    }


def means(columns: Sequence[FloatArray], weights: FloatArray | None) -> FloatArray:
    """Weighted means of the columns."""
    counts = np.ones(len(columns[0])) if weights is None else weights
    return np.asarray(np.concatenate([counts @ part for part in columns]) / counts.sum())


def norms(
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
