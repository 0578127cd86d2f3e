"""Covariates of a data set: drawn from distributions, or a real design's units."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.model.spec import MixtureSpec
from mixcompare.study.file.simulate_table import CovariateTable, SimulateTable

CELL, TIME = "cell", "time"


def generate_design(
    table: SimulateTable, unit_column: str, rng: np.random.Generator
) -> dict[str, FloatArray | IntArray]:
    """Columns (N,) by name: unit, cell, time (from 0 in each cell) and the covariates.

    Rows are sorted by unit, cell and time.

    Raises
    ------
    DataError
        If a covariate has the name of units or cells.
    """
    assert table.units is not None
    for name in (unit_column, CELL):
        if name in table.covariates:
            raise DataError(
                f"[simulate.covariates.{name}] has the name of the column of the design's "
                f"{'cells' if name == CELL else 'units'}. Rename the covariate."
            )
    n_cells = table.units * table.cells
    fewest, most = (
        table.periods if isinstance(table.periods, list) else (table.periods, table.periods)
    )
    rows = rng.integers(fewest, most, size=n_cells, endpoint=True)
    cell = np.repeat(np.arange(n_cells), rows)
    time = np.arange(len(cell)) - np.repeat(np.cumsum(rows) - rows, rows)
    unit = cell // table.cells
    columns: dict[str, FloatArray | IntArray] = {unit_column: unit, CELL: cell, TIME: time}
    for name, covariate in table.covariates.items():
        columns[name] = _draw(covariate, unit, time - (rows[cell] - 1) / 2, rng)
    return columns


def _draw(
    table: CovariateTable, unit: IntArray, centred_time: FloatArray, rng: np.random.Generator
) -> FloatArray:
    units = int(unit[-1]) + 1
    size = units if table.level == "unit" else len(unit)
    if table.distribution == "time":
        return table.scale * centred_time
    if table.distribution == "uniform":
        drawn = rng.uniform(table.low, table.high, size=size)
    elif table.distribution == "bernoulli":
        drawn = (rng.random(size) < table.probability).astype(np.float64)
    else:
        common = rng.normal(size=units)[unit] if table.between else 0.0
        values = rng.normal(size=size)
        values = values[unit] if table.level == "unit" else values
        mixed = np.sqrt(table.between) * common + np.sqrt(1 - table.between) * values
        return np.asarray(table.mean + table.sd * mixed)
    return drawn[unit] if table.level == "unit" else drawn


def resample_units(
    frame: pd.DataFrame, spec: MixtureSpec, n_units: int | None, rng: np.random.Generator
) -> tuple[pd.DataFrame, IntArray]:
    """Whole units drawn with replacement, each under a label of its own.

    Parameters
    ----------
    frame
        A table; without a unit in the specification every row is one.
    spec
        Names the columns of unit and absorbed cells.
    n_units
        How many; None for as many as there are.

    Returns
    -------
    frame
        Their rows.
    chosen
        (n_units,) which units, by their order in `pandas.factorize(sort=True)`.
    """
    if spec.unit is None:
        picked = rng.integers(len(frame), size=n_units or len(frame))
        return frame.iloc[picked].reset_index(drop=True), picked
    codes, labels = pd.factorize(frame[spec.unit], sort=True)
    picked = rng.integers(len(labels), size=n_units or len(labels))
    rows_of = [np.flatnonzero(codes == code) for code in range(len(labels))]
    rows = np.concatenate([rows_of[c] for c in picked])
    copy_of = np.repeat(np.arange(len(picked)), [len(rows_of[c]) for c in picked])
    drawn = frame.iloc[rows].reset_index(drop=True)
    for column in spec.absorb or ():
        if column != spec.unit and spec.unit not in (spec.absorb or ()):
            # Two copies of a unit must not share a cell.
            drawn[column] = [f"{c}:{v}" for c, v in zip(copy_of, drawn[column], strict=True)]
    drawn[spec.unit] = copy_of
    return drawn, picked


def lose_rows(
    frame: pd.DataFrame, unit_column: str, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(N,) mask of the rows that stay: lost at random, but for one of every unit.

    Parameters
    ----------
    share
        Probability that a row is lost.
    """
    draw = rng.random(len(frame))
    last = pd.Series(draw).groupby(frame[unit_column].to_numpy()).transform("max").to_numpy()
    return np.asarray((draw >= share) | (draw == last))
