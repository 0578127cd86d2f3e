"""Whether the prepared data can identify the model, with the culprit named if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError
from mixcompare.data.design import offset_too_large
from mixcompare.data.outcome_kinds import outcome_caution
from mixcompare.model.covariances import has_covariances
from mixcompare.model.families import family
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.rows import Rows

# Relative sizes below which a column is rounding error: of its own norm before
# absorption, and of its norm after the other columns have been removed.
_NO_VARIATION = 1e-13
_DEPENDENT = 1e-11
# An offset leaves too few digits of what varies by less than this part of it.
_LOST = 1e-10
# A calendar year beside its square, which is harmless here, has 6e4.
_ILL_CONDITIONED = 1e6
# Classes of so few units on average are no classes; that two units differ is a question.
_UNITS_PER_CLASS = 2
_ROWS_AT_A_TIME = 8192
# What outcomes are by a family's support, in words and as a test.
_SUPPORT: Final[Mapping[str, tuple[str, Callable[[FloatArray], Any]]]] = {
    "positive": ("above zero", lambda y: y > 0),
    "interval": ("between 0 and 1", lambda y: (y > 0) & (y < 1)),
    "counts": ("whole numbers from 0 on", lambda y: (y >= 0) & (y == np.floor(y))),
    "binary": ("0 or 1", lambda y: (y == 0) | (y == 1)),
    "categories": ("whole numbers from 0 on", lambda y: (y >= 0) & (y == np.floor(y))),
}


def check_identified(problem: Problem) -> None:
    """Refuse data on which the model has no maximum or no unique one.

    What concerns a variance that may vanish is asked of normal outcomes alone.

    Raises
    ------
    DataError
        For cells of single rows, a constant outcome, a covariate without variation
        inside the absorbed cells, a rank-deficient design or membership, an outcome that the
        covariates explain exactly, or more components than distinct units.
    """
    spec, prepared = problem.spec, problem.prepared
    normal = isinstance(prepared, PreparedPanel)
    _check_rows_left(prepared)
    if normal:
        _check_outcomes_vary(prepared)
    if isinstance(prepared, Rows):
        _check_support(spec, prepared)
    if prepared.absorbed:
        _check_varies_within_cells(prepared)
    triangle = _pooled_triangle(prepared)
    _check_rank(prepared, triangle)
    _check_membership(prepared)
    if normal:
        _check_not_exact(spec, prepared, triangle)
    _check_enough_units(spec, prepared)


def cautions(problem: Problem) -> tuple[str, ...]:
    """What should be known about data that `check_identified` has passed, a sentence each.

    Near-collinear covariates, outcomes that no normal distribution describes, and about as
    many classes as units.
    """
    spec, panel, prepared = problem.spec, problem.panel, problem.prepared
    outcomes = zip(panel.outcome_names, panel.outcomes.T, strict=True)
    normal = isinstance(prepared, PreparedPanel)
    sentences = (
        _collinear(prepared),
        *(outcome_caution(name, values) for name, values in outcomes if normal),
        _many_classes(spec, prepared),
    )
    return tuple(caution for caution in sentences if caution is not None)


def _collinear(prepared: Prepared) -> str | None:
    """Near-collinear covariates.

    The condition number of the columns of unit length, and the columns that carry the smallest
    singular value (Belsley, Kuh & Welsch 1980, chapter 3).
    """
    columns = _pooled_triangle(prepared)[:, : prepared.n_covariates]
    _, values, directions = np.linalg.svd(columns)
    condition = values[0] / values[-1]
    if condition <= _ILL_CONDITIONED:
        return None
    involved = np.flatnonzero(np.abs(directions[-1]) > 0.1)
    names = ", ".join(repr(prepared.covariate_names[i]) for i in involved)
    return (
        f"The covariates {names} are nearly collinear: the condition number of the scaled design "
        f"is {condition:.1e}. Their coefficients are hardly told apart and their estimates hold "
        f"only about {max(15 - np.log10(condition), 0):.0f} digits; leave one out or centre them."
    )


def _many_classes(spec: MixtureSpec, prepared: Prepared) -> str | None:
    k, units = spec.n_components, prepared.n_units
    if k <= _UNITS_PER_CLASS or units > _UNITS_PER_CLASS * k:
        return None
    return (
        f"Asking for n_components={k} of {units} units leaves {units / k:.2g} units to a class on "
        "average: such classes describe single units, and neither their parameters nor their "
        "number can be learned from so few; ask for fewer."
    )


def _check_support(spec: MixtureSpec, rows: Rows) -> None:
    """Refuse outcomes that the family cannot have."""
    declared = family(spec.response.family)
    words, allowed = _SUPPORT.get(declared.support, ("", np.isfinite))
    for name, values in zip(rows.outcome_names, rows.outcomes.T, strict=True):
        wrong = np.flatnonzero(~allowed(values))
        if wrong.size:
            unit = rows.unit_labels[rows.carrier[wrong[0]]]
            raise DataError(
                f"outcome {name!r} is {values[wrong[0]]:g} in the unit {unit!s}; outcomes of the "
                f"family {declared.name!r} are {words}. Mend the data, or choose another family."
            )


def _check_rows_left(prepared: Prepared) -> None:
    if prepared.total_degrees_of_freedom == 0:
        raise DataError(
            "every absorbed cell has a single row, which its own effect explains: nothing is "
            "left to model. Absorb less, or give more rows per cell."
        )


def _check_outcomes_vary(prepared: Prepared) -> None:
    total = np.sqrt(prepared.total_degrees_of_freedom)
    spread = prepared.column_sd * total
    for j, name in enumerate(prepared.outcome_names, start=prepared.n_covariates):
        if spread[j] <= _NO_VARIATION * prepared.raw_norm[j]:
            where = (
                "within the absorbed cells"
                if prepared.absorbed
                else f"(every value is {prepared.column_mean[j]:g})"
            )
            raise DataError(
                f"outcome {name!r} is constant {where}: there is nothing to model and the "
                "likelihood has no maximum. Remove it or choose another outcome."
            )


def _check_varies_within_cells(prepared: Prepared) -> None:
    p = prepared.n_covariates
    norm = np.linalg.norm(prepared.pooled_rows[:, :p], axis=0)
    flat = np.flatnonzero(norm <= _NO_VARIATION * prepared.raw_norm[:p])
    if flat.size:
        names = ", ".join(repr(prepared.covariate_names[j]) for j in flat)
        raise DataError(
            f"covariate {names} does not vary within the absorbed cells, whose fixed effects "
            "carry it already. Remove it from the formula or absorb less."
        )


def _pooled_triangle(prepared: Prepared) -> FloatArray:
    """Triangular factor of all rows, columns scaled to unit norm.

    Many rows are factored in parts, each under the factor of those before, so that all are not
    copied.
    """
    rows = prepared.pooled_rows
    parts = [slice(i, i + _ROWS_AT_A_TIME) for i in range(0, len(rows), _ROWS_AT_A_TIME)]
    norm = np.hypot.reduce([np.linalg.norm(rows[part], axis=0) for part in parts])
    norm = np.where(norm > 0, norm, 1.0)
    triangle = np.empty((0, rows.shape[1]))
    for part in parts:
        triangle = np.linalg.qr(np.concatenate([triangle, rows[part] / norm]), mode="r")
    short = rows.shape[1] - len(triangle)
    return np.pad(triangle, ((0, max(short, 0)), (0, 0)))


def _check_rank(prepared: Prepared, triangle: FloatArray) -> None:
    dependent = _dependent(triangle[:, : prepared.n_covariates], prepared.covariate_names)
    if dependent is not None:
        name, reason = dependent
        _check_offset(prepared, prepared.covariate_names.index(name), name)
        raise DataError(
            f"the design is rank deficient at {name!r}: {reason} in the "
            f"{prepared.total_degrees_of_freedom:g} rows that count. Remove one of these columns."
        )


def _check_offset(prepared: Prepared, column: int, name: str) -> None:
    """Refuse a column that varies, but too little beside its mean."""
    sd = prepared.column_sd[column]
    size = prepared.raw_norm[column] / np.sqrt(prepared.total_degrees_of_freedom)
    if _NO_VARIATION * size < sd <= _LOST * size:
        raise DataError(offset_too_large(name, size, 4 * sd))


def _check_membership(prepared: Prepared) -> None:
    if prepared.concomitants is None:
        return
    norm = np.linalg.norm(prepared.concomitants, axis=0)
    columns = prepared.concomitants / np.where(norm > 0, norm, 1.0)
    dependent = _dependent(columns, prepared.concomitant_names)
    if dependent is not None:
        name, reason = dependent
        raise DataError(
            f"the membership covariate {name!r} cannot be told from the others: {reason} in the "
            f"{prepared.n_units} units. Remove one of these columns."
        )


def _dependent(columns: FloatArray, names: Sequence[str]) -> tuple[str, str] | None:
    """The first of the columns, of unit norm, that the ones before it explain, and how."""
    kept: list[int] = []
    for j in range(columns.shape[1]):
        # Project on the columns kept so far, so that a dependent column cannot hide others.
        coefficients, *_ = np.linalg.lstsq(columns[:, kept], columns[:, j], rcond=None)
        rest = columns[:, j] - columns[:, kept] @ coefficients
        if np.linalg.norm(rest) > _DEPENDENT:
            kept.append(j)
            continue
        sources = [names[i] for i, c in zip(kept, coefficients, strict=True) if abs(c) > 1e-8]
        if not sources:
            return names[j], "all its values are zero"
        return names[j], f"it is a linear combination of {', '.join(map(repr, sources))}"
    return None


def _check_not_exact(spec: MixtureSpec, prepared: Prepared, triangle: FloatArray) -> None:
    p = prepared.n_covariates
    for j, name in enumerate(prepared.outcome_names):
        if np.linalg.norm(triangle[p:, p + j]) <= _DEPENDENT:
            _check_offset(prepared, p + j, name)
            raise DataError(
                f"the covariates explain outcome {name!r} exactly: no variance is left and the "
                "likelihood is unbounded. Remove the covariate that contains the outcome."
            )
    if prepared.n_outcomes > 1 and has_covariances(spec.covariance):
        _check_rows_for_covariance(prepared)
        below = triangle[p:, p:]
        residual = np.linalg.svd(below / np.linalg.norm(below, axis=0), compute_uv=False)
        if residual[-1] <= _DEPENDENT:
            names = ", ".join(map(repr, prepared.outcome_names))
            raise DataError(
                f"given the covariates the outcomes {names} are exactly collinear: their "
                "full covariance is singular. Remove one of them."
            )


def _check_rows_for_covariance(prepared: Prepared) -> None:
    rows = int(prepared.degrees_of_freedom.sum())
    left = rows - prepared.n_covariates
    if left < prepared.n_outcomes:
        raise DataError(
            f"{prepared.n_outcomes} outcomes and {rows} rows that count: {max(left, 0)} rows are "
            f"left beside {prepared.n_covariates} coefficient(s) of each outcome, fewer than there "
            "are outcomes, so that every full covariance is singular. Write "
            "covariance='diagonal' or 'spherical', or leave out outcomes."
        )


def _check_enough_units(spec: MixtureSpec, prepared: Prepared) -> None:
    distinct: set[bytes] = set()
    for g in np.flatnonzero(prepared.degrees_of_freedom > 0):
        distinct.add(prepared.content(int(g)))
        if len(distinct) >= spec.n_components:
            return
    raise DataError(
        f"n_components={spec.n_components} is more than the {len(distinct)} distinct unit(s) with "
        "information in the data. Ask for fewer components, or give more units."
    )
