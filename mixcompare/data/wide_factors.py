"""How many columns categories would make, before a formula makes them."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Final

import pandas as pd
from formulaic.parser.types import Factor, Term

from mixcompare.base.errors import DataError
from mixcompare.data.design import sides, unit_side
from mixcompare.data.raw_columns import categorical, term_columns
from mixcompare.model.spec import MixtureSpec

# What a design may take, with a matrix of its columns' cross-products for each unit.
_MOST_BYTES: Final = 4 * 2**30
_BYTES: Final = 8


def check_width(spec: MixtureSpec, frame: pd.DataFrame) -> None:
    """Refuse categories that would need more memory than a machine has.

    Parameters
    ----------
    frame
        Complete rows.

    Raises
    ------
    DataError
        It names the column, its number of levels and what to do instead.
    """
    _, right = sides(spec)
    units = _count_units(spec, frame)
    _check(right, frame, len(frame), units, _remedy(spec))
    if spec.membership is not None:
        remedy = "Group the levels, or leave the column out of the membership"
        _check(unit_side(spec), frame, units, 0, remedy)


def _count_units(spec: MixtureSpec, frame: pd.DataFrame) -> int:
    if spec.unit is None:
        return len(frame)
    try:
        return int(frame[spec.unit].nunique())
    except TypeError:  # labels that cannot be hashed, which are refused by their row later
        return len(frame)


def _remedy(spec: MixtureSpec) -> str:
    crossed = f"absorb='{spec.unit or 'unit'}:{{column}}'"
    needs = "" if spec.unit else " (which needs a unit)"
    return (
        "Where only their levels matter, remove the effects of the categories exactly and without "
        f"columns of their own by {crossed}{needs}; otherwise group the levels, or read the column "
        "as a number"
    )


def _check(terms: Iterable[Term], frame: pd.DataFrame, rows: int, units: int, remedy: str) -> None:
    levels: dict[str, int] = {}
    # The levels of the columns in the terms are noted on the way.
    widths = {term: prod(_levels(f, frame, levels) for f in term.factors) for term in terms}
    p = sum(widths.values())
    needed = _BYTES * max(rows * p, units * p**2)
    if not levels or needed <= _MOST_BYTES:
        return
    widest = max(widths, key=lambda term: widths[term])
    inside = {name: levels[name] for name in sorted(term_columns([widest])) if name in levels}
    if not inside:
        return
    column = max(inside, key=lambda name: inside[name])
    listed = " and ".join(f"{name!r} has {count:,} levels" for name, count in inside.items())
    raise DataError(
        f"{listed}, which makes {p:,} covariates of {rows:,} rows and would need "
        f"{needed / 2**30:,.0f} GiB. {remedy.format(column=column)}."
    )


def _levels(factor: Factor, frame: pd.DataFrame, levels: dict[str, int]) -> int:
    if factor.eval_method is Factor.EvalMethod.LOOKUP:
        column = frame[factor.expr]
        texts = column.dtype == object or pd.api.types.is_string_dtype(column)
        if not texts and not isinstance(column.dtype, pd.CategoricalDtype):
            return 1
        names = {factor.expr}
    else:
        names = categorical([Term([factor])]) & set(frame.columns)
    for name in names:
        levels[name] = levels.get(name) or int(frame[name].nunique())
    return prod(levels[name] for name in names)
