"""The formula's outcomes and covariates as numbers, checked term by term."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from formulaic import ModelMatrix, ModelSpec, SimpleFormula
from formulaic.parser.types import Factor, Term
from numpy.typing import NDArray

from mixcompare.base.errors import DataError
from mixcompare.data.places import place
from mixcompare.data.raw_columns import (
    INTERCEPT,
    check_kind,
    check_lookups,
    factors,
    plain_columns,
    term_columns,
)
from mixcompare.model.formula.formulas import CONSTANT, FAILURES, both_sides, one_sided
from mixcompare.model.formula.python import evaluation_names
from mixcompare.model.spec import MixtureSpec

# Beyond these sums of squares, and products of these, leave the range of doubles.
_LARGEST: Final = 1e100
_SMALLEST: Final = 1e-100
# Relative to its size, a range below which a column is rounding error.
_NO_SPAN: Final = 5e-13


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Outcomes (N, m), covariates (N, p), and the raw numeric columns behind the latter.

    ``common_names`` are those covariates whose coefficients all classes share, ``columns``
    the raw columns from which the formula can be evaluated again on other rows.
    """

    outcomes: NDArray[np.float64]
    covariates: NDArray[np.float64]
    outcome_names: tuple[str, ...]
    covariate_names: tuple[str, ...]
    common_names: tuple[str, ...]
    variables: dict[str, NDArray[np.float64]]
    columns: pd.DataFrame


def required_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the outcomes and covariates read, sorted."""
    return sorted(set(outcome_columns(spec)) | set(covariate_columns(spec)))


def outcome_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the outcomes read, sorted."""
    return sorted(term_columns(sides(spec)[0]))


def covariate_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the covariates read, sorted."""
    return sorted(term_columns(sides(spec)[1]))


def build_design(spec: MixtureSpec, frame: pd.DataFrame) -> Design:
    """Evaluate the formula on complete rows.

    Under absorption the implicit intercept is dropped (the cells carry it), but
    categorical terms are still coded against it, so that the design has full rank.

    Raises
    ------
    DataError
        If the formula fails on the data, an outcome is not numeric, a term is not
        finite, or an intercept is asked for beside absorbed effects.
    """
    left, right = sides(spec)
    check_lookups([*left, *right], frame)
    frame = plain_columns(frame[required_columns(spec)], right)
    outcomes, _ = evaluate(left, frame, spec.formula, trust=spec.trust)
    _check_outcomes(left, outcomes, frame)
    covariates, model_spec = evaluate(right, frame, spec.formula, trust=spec.trust)
    if spec.absorb is not None:
        covariates = covariates.drop(columns=INTERCEPT)
    if covariates.shape[1] == 0:
        raise DataError(f"formula {spec.formula!r} has no covariate and no intercept.")
    for values in (outcomes, covariates):
        check_finite(values)
        _check_scale(values)
    columns = list(map(str, model_spec.column_names))
    by_term = model_spec.term_indices
    common = {columns[i] for term in _common_terms(spec) for i in by_term[term]}
    return Design(
        outcomes=outcomes.to_numpy(np.float64),
        covariates=covariates.to_numpy(np.float64),
        outcome_names=tuple(map(str, outcomes.columns)),
        covariate_names=tuple(map(str, covariates.columns)),
        common_names=tuple(name for name in map(str, covariates.columns) if name in common),
        variables=_numeric_variables(right, frame),
        columns=frame[_state_columns(spec)],
    )


def _state_columns(spec: MixtureSpec) -> list[str]:
    """Columns that shape the covariates, and the outcomes where these are transformed."""
    plain = all(f.eval_method is Factor.EvalMethod.LOOKUP for f in factors(sides(spec)[0]))
    return covariate_columns(spec) if plain else required_columns(spec)


def build_unit_design(
    spec: MixtureSpec, frame: pd.DataFrame
) -> tuple[NDArray[np.float64], tuple[str, ...], pd.DataFrame]:
    """Columns (G, c) of the membership on one row per unit, their names, and raw columns.

    Raises
    ------
    DataError
        If the formula fails on the data or a term is not finite.
    """
    side = unit_side(spec)
    check_lookups(side, frame)
    frame = plain_columns(frame[sorted(term_columns(side))], side)
    columns, _ = evaluate(side, frame, str(spec.membership), trust=spec.trust)
    check_finite(columns)
    _check_scale(columns)
    return columns.to_numpy(np.float64), tuple(map(str, columns.columns)), frame


def unit_side(spec: MixtureSpec) -> SimpleFormula:
    """Terms of the membership; none without one."""
    if spec.membership is None:
        return SimpleFormula([])
    return SimpleFormula(one_sided("membership", spec.membership, intercept=True, trust=spec.trust))


def _common_terms(spec: MixtureSpec) -> tuple[Term, ...]:
    if spec.common is None:
        return ()
    return one_sided("common", spec.common, intercept=False, trust=spec.trust)


# Parsing takes as long as evaluating; a study builds thousands of panels of one formula.
@lru_cache(maxsize=64)
def sides(spec: MixtureSpec) -> tuple[SimpleFormula, SimpleFormula]:
    """Outcome terms and covariate terms, common ones among them or after them."""
    formula = both_sides(spec.formula, trust=spec.trust)
    common = _common_terms(spec)
    if spec.absorb is None:
        right = [*formula.rhs, *(term for term in common if term not in formula.rhs)]
        return formula.lhs, SimpleFormula(right)
    by_class = [term for term in formula.rhs if term != CONSTANT]
    extra = [term for term in common if term not in by_class]
    return formula.lhs, SimpleFormula([CONSTANT, *by_class, *extra])


def evaluate(
    side: SimpleFormula | ModelSpec, frame: pd.DataFrame, formula: str, *, trust: bool
) -> tuple[pd.DataFrame, ModelSpec]:
    """Columns of the terms, and the terms with the state that they took from the data.

    Parameters
    ----------
    side
        Terms, or terms with the state that other data have given them.
    trust
        Whether every name of Python's and NumPy's may be used, see
        `mixcompare.model.formula.python`.

    Raises
    ------
    DataError
        If the terms cannot be evaluated or are not numeric.
    """
    try:
        # log(-1) is reported with its row, not as a warning without one.
        with np.errstate(all="ignore"):
            matrix: ModelMatrix = side.get_model_matrix(
                frame,
                context={} if trust else evaluation_names(),
                output="pandas",
                na_action="ignore",
            )
    except FAILURES as error:
        reason = " ".join(str(error).split())
        raise DataError(f"formula {formula!r} fails on the data: {reason}") from error
    columns = pd.DataFrame(matrix)
    for name in columns.columns:
        check_kind(name, columns[name])
        if not pd.api.types.is_numeric_dtype(columns[name]):
            first = next(iter(columns[name]), None)
            raise DataError(
                f"formula {formula!r} gives {name!r}, which is no number but {first!r}. Write "
                "C(...) for categories."
            )
    return columns, matrix.model_spec


def _check_outcomes(side: SimpleFormula, outcomes: pd.DataFrame, frame: pd.DataFrame) -> None:
    names = [str(term).strip("`") for term in side]
    if not names:
        raise DataError("the formula names no outcome.")
    if list(map(str, outcomes.columns)) == names:
        return
    for name in names:
        if name not in outcomes.columns:
            kind = f" (it is of type {frame[name].dtype})" if name in frame.columns else ""
            raise DataError(
                f"outcome {name!r} is not numeric{kind}. Give numbers, one column per outcome."
            )


def check_finite(columns: pd.DataFrame) -> None:
    """Refuse values that are not finite, or whose squares are not.

    Raises
    ------
    DataError
        It names the term, the first row and how many there are.
    """
    values = columns.to_numpy(np.float64)
    if not values.size or (values.min() >= -_LARGEST and values.max() <= _LARGEST):
        return
    finite = np.isfinite(values)
    bad = np.abs(values) > _LARGEST if finite.all() else ~finite
    column = int(np.flatnonzero(bad.any(axis=0))[0])
    position = int(np.flatnonzero(bad[:, column])[0])
    what = (
        "Values must be finite after every transformation: correct or drop the rows."
        if not finite.all()
        else "Sums of squares of such numbers are too large for a double: correct the rows, or "
        "divide the column by a power of ten."
    )
    raise DataError(
        f"{columns.columns[column]!r} is {values[position, column]} in "
        f"{int(bad[:, column].sum())} row(s), first in "
        f"{place(columns.index, columns.index[position])}. {what}"
    )


def _check_scale(columns: pd.DataFrame) -> None:
    """Refuse columns that vary by less than doubles can tell, though they do vary.

    Raises
    ------
    DataError
        It names the term, its size and the remedy.
    """
    values = columns.to_numpy(np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    size, span = np.maximum(np.abs(low), np.abs(high)), high - low
    names = list(map(str, columns.columns))
    for j in np.flatnonzero((span > 0) & (size < _SMALLEST)):
        raise DataError(
            f"no value of {names[j]!r} is larger than {size[j]:.3g} in size: squares of "
            "such numbers are too small for a double. Multiply the column by a power of ten."
        )
    for j in np.flatnonzero((span > 0) & (span <= _NO_SPAN * size)):
        raise DataError(offset_too_large(names[j], low[j], span[j]))


def offset_too_large(name: str, offset: float, span: float) -> str:
    """What is wrong with a column that hardly varies beside its size, and the remedy."""
    return (
        f"{name!r} varies by only {span:.3g} beside an offset of {offset:.6g}: a double has 16 "
        "digits, of which the offset takes all that a fit needs. Subtract a constant near the "
        "offset from the column before it is written or stored."
    )


def _numeric_variables(side: SimpleFormula, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    names = sorted(name for name in term_columns(side) if name in frame.columns)
    return {
        name: frame[name].to_numpy(np.float64)
        for name in names
        if pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    }
