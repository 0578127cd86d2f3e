"""What the stages of an M-step are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Assigned:
    """Rows with their responsibilities.

    Attributes
    ----------
    responsibilities
        (G, K) of units, or (N, K) if the program has them by row.
    before
        The parameters before the step.
    recall
        Gives the responsibilities of the iteration before, None if they are not known.
    """

    rows: Rows
    responsibilities: FloatArray
    before: Parameters
    recall: Callable[[], FloatArray | None]

    @cached_property
    def previous(self) -> FloatArray | None:
        """Responsibilities of the iteration before, if they are known and of the same shape."""
        recalled = self.recall()
        alike = recalled is not None and recalled.shape == self.responsibilities.shape
        return recalled if alike else None

    @property
    def by_row(self) -> FloatArray:
        """(N, K) each row's responsibilities."""
        return self.rows.spread(self.responsibilities)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What a variance may be divided by; of all classes together if it is shared.

    Attributes
    ----------
    contrasts, weighted_rows, units
        (K,) weighted degrees of freedom, rows and units.
    rank
        Rank of the stacked design: a class without weight adds nothing.
    shared
        Whether one variance is pooled over the classes.
    """

    rows: Rows
    contrasts: FloatArray
    weighted_rows: FloatArray
    units: FloatArray
    rank: int
    shared: bool

    @property
    def components(self) -> int:
        """Number of classes, K."""
        return len(self.units)


def count(given: Assigned, weights: FloatArray, *, shared: bool) -> Counts:
    """Divisors' ingredients of rows (or units) with weights; pooled if the variance is."""
    rows, k, mass = given.rows, weights.shape[1], given.rows.mass(weights)
    if rows.are_units(weights):
        by_unit, contrasts = weights.sum(axis=0), rows.degrees_of_freedom @ weights
    else:  # each row stands for the average row's degrees of freedom
        by_unit = given.responsibilities.sum(axis=0)
        contrasts = mass * rows.contrasts / rows.total
    # What singular values statsmodels takes for zero, relative to the largest.
    least = (k * rows.n_covariates * np.finfo(float).eps) ** 2 * max(mass.max(), 0)
    rank = int((mass > least).sum()) * rows.n_covariates
    if shared:
        contrasts, mass, by_unit = (np.full_like(v, v.sum()) for v in (contrasts, mass, by_unit))
    return Counts(rows, contrasts, mass, by_unit, rank, shared)
