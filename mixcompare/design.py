"""The formula's outcomes and covariates as numbers, checked term by term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from formulaic import Formula, ModelMatrix, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS
from formulaic.utils.variables import Variable, get_required_variables
from numpy.typing import NDArray

from mixcompare.errors import DataError
from mixcompare.spec import MixtureSpec

_INTERCEPT = "Intercept"
_CONSTANT: Term = Formula("1")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Outcomes (N, m), covariates (N, p), and the raw numeric columns behind the latter."""

    outcomes: NDArray[np.float64]
    covariates: NDArray[np.float64]
    outcome_names: tuple[str, ...]
    covariate_names: tuple[str, ...]
    variables: dict[str, NDArray[np.float64]]


def required_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the formula reads, sorted."""
    formula = Formula(spec.formula)
    return sorted(_variables(formula.lhs) | _variables(formula.rhs))


def _variables(side: SimpleFormula) -> set[str]:
    # Formula.required_variables finds nothing inside stateful transforms such as bs(x).
    found: set[str] = set()
    for factor in (factor for term in side for factor in term.factors):
        if factor.eval_method is Factor.EvalMethod.LOOKUP:
            found.add(factor.expr)
        elif factor.eval_method is Factor.EvalMethod.PYTHON:
            names = get_required_variables(factor.expr)
            # x.clip(0) calls a method of the column x; log(x) calls no column.
            found |= {str(v.root) for v in names if Variable.Role.VALUE in v.roles or "." in v}
    return found - set(TRANSFORMS)


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
    left, right = _sides(spec)
    outcomes = _evaluate(left, frame, spec.formula)
    _check_outcomes(left, outcomes, frame)
    covariates = _evaluate(right, frame, spec.formula)
    if spec.absorb is not None:
        covariates = covariates.drop(columns=_INTERCEPT)
    if covariates.shape[1] == 0:
        raise DataError(f"formula {spec.formula!r} has no covariate and no intercept.")
    _check_finite(outcomes)
    _check_finite(covariates)
    return Design(
        outcomes=outcomes.to_numpy(np.float64),
        covariates=covariates.to_numpy(np.float64),
        outcome_names=tuple(map(str, outcomes.columns)),
        covariate_names=tuple(map(str, covariates.columns)),
        variables=_numeric_variables(right, frame),
    )


def _sides(spec: MixtureSpec) -> tuple[SimpleFormula, SimpleFormula]:
    """Outcome terms and covariate terms."""
    if spec.absorb is None:
        formula = Formula(spec.formula)
        return formula.lhs, formula.rhs
    formula = Formula(spec.formula, _parser=DefaultFormulaParser(include_intercept=False))
    asked = Formula(spec.formula).rhs
    if _CONSTANT in set(formula.rhs):
        raise DataError(
            f"formula {spec.formula!r} asks for an intercept, which does not vary within the "
            f"absorbed cells {':'.join(spec.absorb or ())}. Remove the '1 +'."
        )
    return formula.lhs, SimpleFormula([_CONSTANT, *(t for t in asked if t != _CONSTANT)])


def _evaluate(side: SimpleFormula, frame: pd.DataFrame, formula: str) -> pd.DataFrame:
    try:
        # log(-1) is reported with its row below, not as a warning without one.
        with np.errstate(all="ignore"):
            matrix: ModelMatrix = side.get_model_matrix(
                frame, context={}, output="pandas", na_action="ignore"
            )
    except (FormulaicError, ValueError, TypeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"formula {formula!r} fails on the data: {reason}") from error
    return pd.DataFrame(matrix)


def _check_outcomes(side: SimpleFormula, outcomes: pd.DataFrame, frame: pd.DataFrame) -> None:
    names = [str(term) for term in side]
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


def _check_finite(columns: pd.DataFrame) -> None:
    values = columns.to_numpy(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        column = int(np.flatnonzero(bad.any(axis=0))[0])
        position = int(np.flatnonzero(bad[:, column])[0])
        raise DataError(
            f"{columns.columns[column]!r} is {values[position, column]} in "
            f"{int(bad[:, column].sum())} row(s), first in row {columns.index[position]} (counted "
            "from 0). Values must be finite after every transformation: correct or drop the rows."
        )


def _numeric_variables(side: SimpleFormula, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    names = sorted(name for name in _variables(side) if name in frame.columns)
    return {
        name: frame[name].to_numpy(np.float64)
        for name in names
        if pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    }
