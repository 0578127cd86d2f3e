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
        found = self.recall()
        alike = found is not None and found.shape == self.responsibilities.shape
        return found if alike else None

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
    rows, all_units, all_contrasts, covariates, components
        N, G, degrees of freedom of the data, p, K.
    rank
        Rank of the stacked design: a class without weight adds nothing.
    shared
        Whether one variance is pooled over the classes.
    """

    contrasts: FloatArray
    weighted_rows: FloatArray
    units: FloatArray
    rows: int
    all_units: int
    all_contrasts: float
    covariates: int
    rank: int
    components: int
    shared: bool


def count(given: Assigned, weights: FloatArray, *, shared: bool) -> Counts:
    """Divisors' ingredients of rows (or units) with weights; pooled if the variance is."""
    rows, k = given.rows, weights.shape[1]
    by_unit = weights.sum(axis=0)
    if rows.are_units(weights):
        mass, contrasts = rows.n_rows @ weights, rows.degrees_of_freedom @ weights
    else:  # each row stands for the average row's degrees of freedom
        mass, by_unit = by_unit, given.responsibilities.sum(axis=0)
        contrasts = mass * rows.degrees_of_freedom.sum() / rows.total
    # What singular values statsmodels takes for zero, relative to the largest.
    least = (k * rows.n_covariates * np.finfo(float).eps) ** 2 * max(mass.max(), 0)
    rank = int((mass > least).sum()) * rows.n_covariates
    if shared:
        contrasts, mass, by_unit = (np.full_like(v, v.sum()) for v in (contrasts, mass, by_unit))
    return Counts(
        contrasts,
        mass,
        by_unit,
        rows.total,
        len(rows.n_rows),
        float(rows.degrees_of_freedom.sum()),
        rows.n_covariates,
        rank,
        k,
        shared,
    )
