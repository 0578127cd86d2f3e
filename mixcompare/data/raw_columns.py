"""The columns that a formula's terms read, and their types."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS

from mixcompare.base.errors import DataError

INTERCEPT: Final = "Intercept"


def term_columns(side: Iterable[Term]) -> set[str]:
    """Columns that terms read."""
    # Formula.required_variables finds nothing inside stateful transforms such as bs(x).
    names: set[str] = set()
    for factor in factors(side):
        if factor.eval_method is Factor.EvalMethod.LOOKUP:
            names.add(factor.expr)
        elif factor.eval_method is Factor.EvalMethod.PYTHON:
            names |= _names(factor.expr)[0]
    return names


def _names(expression: str) -> tuple[set[str], set[str]]:
    """Columns that a Python expression reads, and names of functions that it calls."""
    quoted: list[str] = re.findall("`([^`]*)`", expression)
    places = (f"_quoted_{i}" for i in range(len(quoted)))
    nodes = list(ast.walk(ast.parse(re.sub("`[^`]*`", lambda _: next(places), expression).strip())))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    called |= {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in TRANSFORMS
    }
    names = [node for node in nodes if isinstance(node, ast.Name)]
    read = {
        quoted[int(node.id.removeprefix("_quoted_"))] if node.id.startswith("_quoted_") else node.id
        for node in names
        if id(node) not in called
    }
    return read, {node.id for node in names if id(node) in called}


def factors(terms: Iterable[Term]) -> list[Factor]:
    """Parts of terms that are evaluated one by one."""
    return [factor for term in terms for factor in term.factors]


def check_lookups(terms: Iterable[Term], frame: pd.DataFrame) -> None:
    """Refuse columns that stand for a term themselves and are neither numbers nor labels.

    Raises
    ------
    DataError
        If there is such a column, or one with the name of the constant or of a function that
        the terms call.
    """
    terms = [*terms]
    read = term_columns(terms)
    for factor in factors(terms):
        if factor.eval_method is Factor.EvalMethod.PYTHON:
            for name in sorted(read & _names(factor.expr)[1]):
                raise DataError(
                    f"the column {name!r} has the name of a function that {factor.expr} calls. "
                    "Rename the column."
                )
    for factor in factors(terms):
        if factor.eval_method is not Factor.EvalMethod.LOOKUP:
            continue
        if factor.expr == INTERCEPT:
            raise DataError(
                f"the column {INTERCEPT!r} has the name of the formula's constant. Rename it."
            )
        check_kind(factor.expr, frame[factor.expr])


def check_kind(name: str, column: pd.Series) -> None:
    """Refuse dates, durations and complex numbers.

    Raises
    ------
    DataError
        It names the column and its type.
    """
    dtype = column.dtype
    if isinstance(dtype, (pd.PeriodDtype, pd.IntervalDtype)) or (
        not isinstance(dtype, pd.CategoricalDtype) and dtype.kind in "mMc"
    ):
        raise DataError(
            f"{name!r} is of type {dtype}, which is neither a number nor a category. Make it a "
            f"number first (such as the years since a date), or write C({name}) for categories."
        )


def looked_up(side: Iterable[Term]) -> set[str]:
    """Columns that stand for a term, or a part of one, as they are."""
    return {f.expr for f in factors(side) if f.eval_method is Factor.EvalMethod.LOOKUP}


def categorical(side: Iterable[Term]) -> set[str]:
    """Columns inside C(...), whose labels keep their type."""
    return {
        name
        for factor in factors(side)
        if factor.expr.startswith("C(")
        for name in _names(factor.expr)[0]
    }


def plain_columns(frame: pd.DataFrame, side: Iterable[Term]) -> pd.DataFrame:
    """Complete columns as NumPy floats, booleans, texts or categories that occur.

    Numbers are made doubles before any transformation, because integers overflow
    silently (the square of a calendar year does in 16 bits); not those inside C(...).
    """
    labels = categorical(side)
    return pd.DataFrame(
        {name: _plain(frame[name], as_float=name not in labels) for name in frame.columns},
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
