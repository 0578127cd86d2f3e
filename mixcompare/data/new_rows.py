"""Rows to predict for: covariates and, where they are given, outcomes, units and cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.checks import check_choice
from mixcompare.base.errors import DataError
from mixcompare.base.suggest import did_you_mean
from mixcompare.data.design import covariate_columns, outcome_columns
from mixcompare.data.identifiers import number_cells, number_units
from mixcompare.data.numeric_texts import without_markers
from mixcompare.data.panel import (
    Missing,
    Panel,
    check_columns,
    handle_missing,
    identifiers,
    is_missing,
    key_columns,
    renumber,
    taken,
)
from mixcompare.data.tables import read_table
from mixcompare.data.trained_design import TrainedDesign, trained_design
from mixcompare.data.unit_data import membership_columns, one_row_per_unit
from mixcompare.model.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """Rows in the order of their table.

    Attributes
    ----------
    covariates
        (N, p) in the coding of the training data.
    outcomes
        (N, m), NaN in rows without outcomes; None where no row has any.
    unit
        (N,) number of the row's unit, 0..G-1.
    unit_labels
        (G,).
    cell
        (N,) number of the row's absorbed cell; None without absorption.
    row
        (N,) the row's number in its table, counted from 0.
    concomitants
        (G, c) membership covariates; None without any.
    """

    covariates: FloatArray
    outcomes: FloatArray | None
    unit: IntArray
    unit_labels: NDArray[Any]
    cell: IntArray | None
    row: IntArray
    concomitants: FloatArray | None

    @property
    def n_units(self) -> int:
        """Number of units, G."""
        return len(self.unit_labels)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(N,) whether the row has outcomes."""
        if self.outcomes is None:
            return np.zeros(len(self.unit), dtype=bool)
        return np.isfinite(self.outcomes).all(axis=1)

    def observed_panel(self, names: Panel) -> tuple[Panel, IntArray]:
        """Rows with outcomes as a panel, and the (G',) numbers of the units that have any.

        Parameters
        ----------
        names
            A panel with the same columns.
        """
        assert self.outcomes is not None
        rows = np.flatnonzero(self.observed)
        keys = (self.unit[rows],) if self.cell is None else (self.cell[rows], self.unit[rows])
        rows = rows[np.lexsort(keys)]
        units, unit = np.unique(self.unit[rows], return_inverse=True)
        panel = Panel(
            outcomes=self.outcomes[rows],
            covariates=self.covariates[rows],
            unit=unit.astype(np.intp),
            unit_labels=self.unit_labels[units],
            cell=None if self.cell is None else renumber(self.cell[rows]),
            row=self.row[rows],
            outcome_names=names.outcome_names,
            covariate_names=names.covariate_names,
            variables={},
        )
        return panel, units


def new_rows(
    spec: MixtureSpec, training: Panel, data: Any, missing: Missing, *, with_outcomes: bool = True
) -> NewRows:
    """Read rows to predict for.

    Parameters
    ----------
    spec, training
        What was fitted.
    data
        A table as `mixcompare.data.panel.build_panel` takes it, a `Panel` with the training
        panel's columns, or None for the training rows.
    missing
        What to do with rows whose covariates, keys or some of whose outcomes are missing.
    with_outcomes
        Whether outcomes are read where they are given.

    Raises
    ------
    DataError
        If the data do not suit the fit, or have no outcomes but a column that is nearly called
        like one.
    """
    if data is None or isinstance(data, Panel):
        rows = _panel_rows(training if data is None else _suitable(spec, training, data))
        return rows if with_outcomes else replace(rows, outcomes=None)
    check_choice("missing", missing, get_args(Missing), error=DataError)
    design = trained_design(spec, training)
    frame = read_table(data, identifiers(spec))
    used = [*covariate_columns(spec), *key_columns(spec), *membership_columns(spec)]
    check_columns(used, frame)
    outcomes = _given_outcomes(spec, frame) if with_outcomes else []
    if missing == "drop":
        frame = without_markers(frame, design.numbers & {*used, *outcomes})
    without = _without_outcomes(frame, outcomes)
    complete, _ = handle_missing(frame, used, missing, spec.unit)
    observed, _ = handle_missing(frame[~without], [*used, *outcomes], missing, spec.unit)
    kept = complete.index[without[complete.index] | complete.index.isin(observed.index)]
    return _table_rows(design, frame.loc[kept], observed if outcomes else None)


def _given_outcomes(spec: MixtureSpec, frame: pd.DataFrame) -> list[str]:
    """Outcome columns of a table that has any of them."""
    names = outcome_columns(spec)
    others = {*covariate_columns(spec), *key_columns(spec), *membership_columns(spec)}
    if not any(name in frame.columns for name in names if name not in others):
        _check_no_slip(names, frame.columns.difference([*others]))
        return []
    check_columns(names, frame)
    return names


def _check_no_slip(names: list[str], unused: pd.Index) -> None:
    """Refuse a table whose outcome seems to be there under a misspelt name."""
    slips = {name: hint for name in names if (hint := did_you_mean(name, unused))}
    for name, hint in slips.items():
        raise DataError(
            f"the data have no outcome {name!r}{hint}. Rename the column; or, to leave outcomes "
            "aside and predict from the classes' prior probabilities, write classes='prior' (on "
            "the command line --classes prior)."
        )


def _without_outcomes(frame: pd.DataFrame, outcomes: list[str]) -> pd.Series:
    """Rows that have none of the outcomes."""
    if not outcomes:
        return pd.Series(True, index=frame.index)
    return pd.DataFrame({name: is_missing(frame[name]) for name in outcomes}).all(axis=1)


def _table_rows(
    design: TrainedDesign, frame: pd.DataFrame, with_outcomes: pd.DataFrame | None
) -> NewRows:
    spec = design.spec
    unit, labels = number_units(spec, frame)
    outcomes = None
    if with_outcomes is not None and len(with_outcomes):
        values = design.outcomes(with_outcomes)
        outcomes = np.full((len(frame), values.shape[1]), np.nan)
        outcomes[frame.index.get_indexer(with_outcomes.index)] = values
    by_unit = None
    if spec.membership is not None:
        by_unit = one_row_per_unit(frame[membership_columns(spec)], unit, labels)
    return NewRows(
        covariates=design.covariates(frame),
        outcomes=outcomes,
        unit=unit,
        unit_labels=labels,
        cell=number_cells(spec, frame, unit, labels),
        row=frame.index.to_numpy(dtype=np.intp),
        concomitants=None if by_unit is None else design.concomitants(by_unit),
    )


def _panel_rows(panel: Panel) -> NewRows:
    by_row = ("covariates", "outcomes", "unit", "cell", "row")
    order = np.argsort(panel.row, kind="stable")
    return NewRows(
        **{name: taken(getattr(panel, name), order) for name in by_row},
        unit_labels=panel.unit_labels,
        concomitants=panel.concomitants,
    )


def _suitable(spec: MixtureSpec, training: Panel, panel: Panel) -> Panel:
    """The panel, once its columns are seen to mean what those of the training panel mean."""
    for what in ("covariate_names", "outcome_names", "concomitant_names"):
        given, wanted = getattr(panel, what), getattr(training, what)
        if given != wanted:
            raise DataError(
                f"the panel's {what} are {', '.join(given) or 'none'}; the fit's are "
                f"{', '.join(wanted) or 'none'}. Give the table itself, which is read with the "
                "categories and transformations of the training data."
            )
    if (panel.cell is None) != (training.cell is None):
        raise DataError("only one of the panel and the fit's panel has absorbed cells.")
    if panel.columns is not None and training.columns is not None:
        design = trained_design(spec, training)
        if not np.allclose(design.covariates(panel.columns), panel.covariates, rtol=1e-9, atol=0):
            raise DataError(
                "the panel was built with categories or transformations of its own, not with those "
                "of the training data. Give the table itself."
            )
    return panel
