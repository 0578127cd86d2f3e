"""Formulas with the state that the training data gave them, for other rows.

Levels and coding of categories, knots of splines and what ``center()``, ``scale()`` and
``poly()`` subtract and divide by are those of the training data. They are found again by
evaluating the formula on the training columns that the panel keeps.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from formulaic import ModelSpec, SimpleFormula
from formulaic.errors import DataMismatchWarning
from formulaic.parser.types import Factor

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError
from mixcompare.data.design import check_finite, evaluate, sides, unit_side
from mixcompare.data.numeric_texts import means_missing
from mixcompare.data.panel import Panel
from mixcompare.data.places import place
from mixcompare.data.raw_columns import INTERCEPT, check_lookups, plain_columns, term_columns
from mixcompare.model.spec import MixtureSpec

_SAME: Final = 1e-9  # of a column's largest value: another machine rounds otherwise
_SHOWN_LEVELS: Final = 10
# What outcomes are that are no more than a column, which is not kept.
_NUMBERS: Final = pd.Series(dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedSide:
    """Terms with their state, and the raw columns that gave it.

    Attributes
    ----------
    side
        The terms.
    state
        The same with state; the terms alone where none of them has any.
    training
        Raw columns of the training rows, in the order in which they were fitted.
    formula
        As it was written.
    trust
        Whether it may hold any Python.
    """

    side: SimpleFormula
    state: SimpleFormula | ModelSpec
    training: pd.DataFrame
    formula: str
    trust: bool

    @property
    def numbers(self) -> set[str]:
        """Columns that are numbers in the training data."""
        return {
            name
            for name in term_columns(self.side)
            if name not in self.training.columns or self.training[name].dtype.kind in "iuf"
        }

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns of the terms on complete rows of a table.

        Raises
        ------
        DataError
            If a category is unknown, a column is of another type than it was in training,
            or a term cannot be evaluated or is not finite. It names the column, value and row.
        """
        check_lookups(self.side, frame)
        plain = plain_columns(frame[sorted(term_columns(self.side))], self.side)
        for name in plain.columns:
            trained = self.training[name] if name in self.training.columns else _NUMBERS
            plain[name] = _of_type(plain[name], trained)
        try:
            columns = self.evaluate(plain)
        except (DataError, DataMismatchWarning) as error:
            raise self._explained(plain, error) from error
        check_finite(columns)
        return columns

    def evaluate(self, plain: pd.DataFrame) -> pd.DataFrame:
        """Columns of the terms on plain columns of the training types."""
        with warnings.catch_warnings():
            # formulaic would go on with the unknown category as if it were the reference.
            warnings.simplefilter("error", DataMismatchWarning)
            return evaluate(self.state, plain, self.formula, trust=self.trust)[0]

    def _explained(self, plain: pd.DataFrame, error: Exception) -> DataError:
        """The error with the first row that raises it."""
        good, bad = 0, len(plain)
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self.evaluate(plain.iloc[:middle])
            except (DataError, DataMismatchWarning):
                bad = middle
            else:
                good = middle
        where = place(plain.index, plain.index[bad - 1])
        if isinstance(error, DataError):
            read = ", ".join(f"{name}={plain[name].iloc[bad - 1]}" for name in plain.columns)
            return DataError(f"{error} First in {where}: {read}.")
        for name in self._categorical():
            levels = pd.Categorical(self.training[name]).categories
            _check_among(plain[name].iloc[:bad], levels, "which no training row has")
        return DataError(f"a category in {where} occurs in no training row: {error}")

    def _categorical(self) -> list[str]:
        kinds = self.state.encoder_state if isinstance(self.state, ModelSpec) else {}
        factors = {str(factor): factor for term in self.side for factor in term.factors}
        names: set[str] = set()
        for expression, (kind, _) in kinds.items():
            if kind is Factor.Kind.CATEGORICAL and expression in factors:
                terms = [term for term in self.side if factors[expression] in term.factors]
                names |= term_columns(terms) & set(self.training.columns)
        return sorted(names)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedDesign:
    """A specification's outcomes, covariates and membership covariates, with their state."""

    spec: MixtureSpec
    left: TrainedSide
    right: TrainedSide
    unit: TrainedSide | None

    @property
    def numbers(self) -> set[str]:
        """Columns that are numbers in the training data."""
        return self.left.numbers | self.right.numbers | (self.unit.numbers if self.unit else set())

    def outcomes(self, frame: pd.DataFrame) -> FloatArray:
        """(N, m) outcomes of complete rows."""
        return self.left.apply(frame).to_numpy(np.float64)

    def covariates(self, frame: pd.DataFrame) -> FloatArray:
        """(N, p) covariates of complete rows."""
        columns = self.right.apply(frame)
        if self.spec.absorb is not None:
            columns = columns.drop(columns=INTERCEPT)
        return columns.to_numpy(np.float64)

    def concomitants(self, frame: pd.DataFrame) -> FloatArray | None:
        """(G, c) membership covariates of one row per unit."""
        return None if self.unit is None else self.unit.apply(frame).to_numpy(np.float64)


def trained_design(spec: MixtureSpec, panel: Panel) -> TrainedDesign:
    """Evaluate a specification on its training columns once more.

    Raises
    ------
    DataError
        If the panel does not keep them, they do not give its covariates, or a term depends
        on other rows, so that it has no value on new ones.
    """
    if panel.columns is None:
        raise DataError(
            "the fit was made from a Panel without the columns behind its covariates, so that no "
            "table can be read for it. Fit the table itself, or predict for a Panel."
        )
    order = np.argsort(panel.row)
    rows = panel.columns.iloc[order].reset_index(drop=True)
    left, right = sides(spec)
    outcome_columns = sorted(term_columns(left))
    of_outcomes = TrainedSide(left, left, pd.DataFrame(), spec.formula, spec.trust)
    if set(outcome_columns) <= set(rows.columns):
        of_outcomes, _ = _trained(left, rows[outcome_columns], spec.formula, spec.trust)
    covariates = rows[sorted(term_columns(right))]
    of_covariates, columns = _trained(right, covariates, spec.formula, spec.trust)
    _check_same("covariates", columns, panel.covariate_names, panel.covariates[order])
    of_units = None
    if spec.membership is not None and panel.unit_columns is not None:
        side = unit_side(spec)
        of_units, columns = _trained(side, panel.unit_columns, spec.membership, spec.trust)
        names = panel.concomitant_names
        _check_same("membership covariates", columns, names, panel.concomitants)
    return TrainedDesign(spec, of_outcomes, of_covariates, of_units)


def _trained(
    side: SimpleFormula, training: pd.DataFrame, formula: str, trust: bool
) -> tuple[TrainedSide, pd.DataFrame]:
    """Terms with their state, and their columns on the training rows."""
    columns, state = evaluate(side, plain_columns(training, side), formula, trust=trust)
    trained = TrainedSide(side, state, training, formula, trust)
    _check_each_row_stands_alone(trained, columns)
    return trained, columns


def _check_each_row_stands_alone(trained: TrainedSide, columns: pd.DataFrame) -> None:
    values = columns.to_numpy(np.float64)
    size = np.abs(values).max(axis=0)
    # At its extremes no row equals what a mean, rank or lag of the column would make of it.
    for row in sorted(_extremes(trained.training)):
        plain = plain_columns(trained.training.iloc[[row]], trained.side)
        try:
            alone = trained.evaluate(plain).to_numpy(np.float64)
            differs = ~(np.abs(alone[0] - values[row]) <= _SAME * size)
        except DataMismatchWarning:
            continue  # a category that the formula itself leaves out
        except DataError:
            differs = np.ones(len(size), dtype=bool)
        if differs.any():
            raise DataError(
                f"{columns.columns[differs][0]!r} depends on the other rows of its table, so that "
                "it has no value on new rows. Compute it as a column beforehand, or write "
                "center(x), scale(x), poly(x, 2) or bs(x), which keep what they took from the "
                "training rows."
            )


def _extremes(training: pd.DataFrame) -> set[int]:
    rows = {0, len(training) - 1}
    for name in training.columns:
        if training[name].dtype.kind in "iufmM":
            rows |= {int(training[name].argmin()), int(training[name].argmax())}
    return rows


def _check_same(
    what: str, columns: pd.DataFrame, names: tuple[str, ...], stored: FloatArray | None
) -> None:
    if stored is not None and set(names) <= set(columns.columns):
        rebuilt = columns[list(names)].to_numpy(np.float64)
        size = np.abs(stored).max(axis=0)
        if (np.abs(rebuilt - stored) <= _SAME * size).all():
            return
    raise DataError(
        f"the fit's stored columns do not give its {what} again: it was saved with another version "
        "of formulaic or pandas, or its panel was changed. Fit the table again."
    )


def _of_type(column: pd.Series, training: pd.Series) -> pd.Series:
    """The column as the type it had in training.

    Raises
    ------
    DataError
        If numbers were trained and others are given.
    """
    if training.dtype.kind == "b" and column.dtype.kind != "b":
        _check_among(column, [False, True], "where the training data are true or false")
        return column.astype(bool)
    if training.dtype.kind in "iuf" and not pd.api.types.is_numeric_dtype(column):
        numbers = pd.to_numeric(column.astype(object), errors="coerce")
        wrong = column[numbers.isna()] if numbers.isna().any() else column
        remedy = ", or drop such rows with missing='drop' (on the command line --missing drop)"
        remedy *= means_missing(wrong.iloc[0])
        raise DataError(
            f"{column.name!r} is {_quoted(wrong.iloc[0])} in {place(wrong.index, wrong.index[0])}, "
            f"where the training data have numbers. Give numbers{remedy}."
        )
    if _all_texts(training):
        column = column.map(lambda x: x if isinstance(x, str) else str(x)).astype(object)
    if isinstance(training.dtype, pd.CategoricalDtype):
        _check_among(column, training.cat.categories, "which no training row has")
        return column.astype(training.dtype)
    return column


def _check_among(column: pd.Series, known: Any, contrast: str) -> None:
    other = column[~column.isin(known)]
    if len(other):
        listed = ", ".join(map(str, known[:_SHOWN_LEVELS]))
        raise DataError(
            f"{column.name!r} is {_quoted(other.iloc[0])} in {place(other.index, other.index[0])}, "
            f"{contrast} (known: {listed}{', ...' if len(known) > _SHOWN_LEVELS else ''}). "
            "Correct or drop the row."
        )


def _quoted(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _all_texts(column: pd.Series) -> bool:
    labels: Any = column.cat.categories if column.dtype == "category" else column
    return labels.dtype.kind in "OTU" and all(isinstance(label, str) for label in labels)
