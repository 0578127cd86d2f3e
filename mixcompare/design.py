"""The formula's outcomes and covariates as numbers, checked term by term."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from formulaic import Formula, ModelMatrix, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS
from numpy.typing import NDArray

from mixcompare.errors import DataError
from mixcompare.formulas import CONSTANT, one_sided_terms
from mixcompare.spec import MixtureSpec

_INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Outcomes (N, m), covariates (N, p), and the raw numeric columns behind the latter.

    ``common_names`` are those covariates whose coefficients all classes share.
    """

    outcomes: NDArray[np.float64]
    covariates: NDArray[np.float64]
    outcome_names: tuple[str, ...]
    covariate_names: tuple[str, ...]
    common_names: tuple[str, ...]
    variables: dict[str, NDArray[np.float64]]


def required_columns(spec: MixtureSpec) -> list[str]:
    """Columns that the outcomes and covariates read, sorted."""
    left, right = _sides(spec)
    return sorted(term_columns(left) | term_columns(right))


def term_columns(side: Iterable[Term]) -> set[str]:
    """Columns that terms read."""
    # Formula.required_variables finds nothing inside stateful transforms such as bs(x).
    found: set[str] = set()
    for factor in _factors(side):
        if factor.eval_method is Factor.EvalMethod.LOOKUP:
            found.add(factor.expr)
        elif factor.eval_method is Factor.EvalMethod.PYTHON:
            found |= _names(factor.expr)
    return found


def _names(expression: str) -> set[str]:
    """Columns that a Python expression reads: names that are neither called nor modules."""
    quoted: list[str] = re.findall("`([^`]*)`", expression)
    places = (f"_quoted_{i}" for i in range(len(quoted)))
    nodes = list(ast.walk(ast.parse(re.sub("`[^`]*`", lambda _: next(places), expression).strip())))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    modules = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in TRANSFORMS
    }
    names = {
        node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called | modules
    }
    return {
        quoted[int(name.removeprefix("_quoted_"))] if name.startswith("_quoted_") else name
        for name in names
    }


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
    _check_lookups([*left, *right], frame)
    frame = _plain_columns(frame[required_columns(spec)], _categorical(right))
    outcomes, _ = _evaluate(left, frame, spec.formula)
    _check_outcomes(left, outcomes, frame)
    covariates, by_term = _evaluate(right, frame, spec.formula)
    if spec.absorb is not None:
        covariates = covariates.drop(columns=_INTERCEPT)
    if covariates.shape[1] == 0:
        raise DataError(f"formula {spec.formula!r} has no covariate and no intercept.")
    _check_finite(outcomes)
    _check_finite(covariates)
    common = {name for term in _common_terms(spec) for name in by_term[term]}
    return Design(
        outcomes=outcomes.to_numpy(np.float64),
        covariates=covariates.to_numpy(np.float64),
        outcome_names=tuple(map(str, outcomes.columns)),
        covariate_names=tuple(map(str, covariates.columns)),
        common_names=tuple(name for name in map(str, covariates.columns) if name in common),
        variables=_numeric_variables(right, frame),
    )


def build_unit_design(
    formula: str, frame: pd.DataFrame
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Columns (G, c) of a one-sided formula on one row per unit, and their names.

    Raises
    ------
    DataError
        If the formula fails on the data or a term is not finite.
    """
    side = SimpleFormula(list(one_sided_terms(formula, intercept=True)))
    _check_lookups(side, frame)
    frame = _plain_columns(frame[sorted(term_columns(side))], _categorical(side))
    columns, _ = _evaluate(side, frame, formula)
    _check_finite(columns)
    return columns.to_numpy(np.float64), tuple(map(str, columns.columns))


def _common_terms(spec: MixtureSpec) -> tuple[Term, ...]:
    return () if spec.common is None else one_sided_terms(spec.common, intercept=False)


def _sides(spec: MixtureSpec) -> tuple[SimpleFormula, SimpleFormula]:
    """Outcome terms and covariate terms, common ones among them or after them."""
    formula = Formula(spec.formula)
    common = _common_terms(spec)
    if spec.absorb is None:
        right = [*formula.rhs, *(term for term in common if term not in formula.rhs)]
        return formula.lhs, SimpleFormula(right)
    asked = Formula(spec.formula, _parser=DefaultFormulaParser(include_intercept=False)).rhs
    for name, terms in (("formula", asked), ("common", common)):
        if CONSTANT in terms:
            raise DataError(
                f"{name} {getattr(spec, name)!r} asks for an intercept, which does not vary "
                f"within the absorbed cells {':'.join(spec.absorb or ())}. Remove the '1 +'."
            )
    own = [term for term in formula.rhs if term != CONSTANT]
    extra = [term for term in common if term not in own]
    return formula.lhs, SimpleFormula([CONSTANT, *own, *extra])


def _factors(terms: Iterable[Term]) -> list[Factor]:
    return [factor for term in terms for factor in term.factors]


def _check_lookups(terms: Iterable[Term], frame: pd.DataFrame) -> None:
    """Refuse columns that stand for a term themselves and are neither numbers nor labels."""
    for factor in _factors(terms):
        if factor.eval_method is not Factor.EvalMethod.LOOKUP:
            continue
        if factor.expr == _INTERCEPT:
            raise DataError(
                f"the column {_INTERCEPT!r} has the name of the formula's constant. Rename it."
            )
        _check_kind(factor.expr, frame[factor.expr])


def _check_kind(name: str, column: pd.Series) -> None:
    dtype = column.dtype
    if isinstance(dtype, (pd.PeriodDtype, pd.IntervalDtype)) or (
        not isinstance(dtype, pd.CategoricalDtype) and dtype.kind in "mMc"
    ):
        raise DataError(
            f"{name!r} is of type {dtype}, which is neither a number nor a category. Make it a "
            f"number first (such as the years since a date), or write C({name}) for categories."
        )


def _categorical(side: Iterable[Term]) -> set[str]:
    """Columns inside C(...), whose labels keep their type."""
    return {
        name
        for factor in _factors(side)
        if factor.expr.startswith("C(")
        for name in _names(factor.expr)
    }


def _plain_columns(frame: pd.DataFrame, categorical: set[str]) -> pd.DataFrame:
    """Complete columns as NumPy floats, booleans, texts or categories that occur.

    Numbers are made doubles before any transformation, because integers overflow
    silently (the square of a calendar year does in 16 bits).
    """
    return pd.DataFrame(
        {name: _plain(frame[name], as_float=name not in categorical) for name in frame.columns},
        index=frame.index,
    )


def _plain(column: pd.Series, *, as_float: bool) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if column.dtype == object:
        column = column.infer_objects()
    if pd.api.types.is_bool_dtype(column):
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column) and column.dtype.kind != "c":
        return column.astype(np.float64) if as_float else column
    if column.dtype == object or pd.api.types.is_string_dtype(column):
        inferred = pd.api.types.infer_dtype(column)
        numbers = inferred in {"integer", "decimal", "mixed-integer-float"}
        return column.astype(np.float64 if numbers else object)
    return column


def _evaluate(
    side: SimpleFormula, frame: pd.DataFrame, formula: str
) -> tuple[pd.DataFrame, dict[Term, list[str]]]:
    """Columns of the terms, and the names of each term's columns."""
    try:
        # log(-1) is reported with its row below, not as a warning without one.
        with np.errstate(all="ignore"):
            matrix: ModelMatrix = side.get_model_matrix(
                frame, context={}, output="pandas", na_action="ignore"
            )
    except (FormulaicError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"formula {formula!r} fails on the data: {reason}") from error
    columns = pd.DataFrame(matrix)
    for name in columns.columns:
        _check_kind(name, columns[name])
    names = list(map(str, columns.columns))
    by_term = {t: [names[i] for i in at] for t, at in matrix.model_spec.term_indices.items()}
    return columns, by_term


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
    names = sorted(name for name in term_columns(side) if name in frame.columns)
    return {
        name: frame[name].to_numpy(np.float64)
        for name in names
        if pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    }
