"""What a mechanism adds to the classes' regressions: errors, their spread, effects of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.base.suggest import did_you_mean
from mixcompare.model.spec import MixtureSpec
from mixcompare.study.file.simulate_table import SimulateTable
from mixcompare.study.mechanism.covariates import CELL


def draw_noise(
    table: SimulateTable,
    frame: pd.DataFrame,
    spec: MixtureSpec,
    m: int,
    rng: np.random.Generator,
) -> FloatArray:
    """(N, m) errors of mean 0 and variance 1, before the classes' covariance."""
    n = len(frame)
    noise = rng.normal(size=(n, m))
    if table.errors == "t":
        df = table.degrees_of_freedom
        noise *= np.sqrt((df - 2) / rng.chisquare(df, size=n))[:, None]
    if table.autocorrelation:
        noise = _autoregressive(noise, *_series(table, frame, spec), table.autocorrelation)
    return noise


def _series(
    table: SimulateTable, frame: pd.DataFrame, spec: MixtureSpec
) -> tuple[IntArray, IntArray]:
    """(N,) number of each row's series, its cell or unit, and its place there from 0.

    Rows are in the order of time.
    """
    column = CELL if table.design == "generated" else spec.unit
    if column is None:
        raise DataError(
            f"[simulate] autocorrelation = {table.autocorrelation:g} is within units, and without "
            "[model] unit every row of the real design is one. Leave autocorrelation out."
        )
    rows = frame.groupby(column, sort=False)
    return rows.ngroup().to_numpy().astype(np.intp), rows.cumcount().to_numpy().astype(np.intp)


def _autoregressive(noise: FloatArray, series: IntArray, place: IntArray, rho: float) -> FloatArray:
    """AR(1) by series, stationary from its first row, with the variance of `noise`."""
    order = np.argsort(series, kind="stable")
    result, place = noise[order], place[order]
    for step in range(1, int(place.max()) + 1):
        rows = np.flatnonzero(place == step)
        result[rows] = rho * result[rows - 1] + np.sqrt(1 - rho**2) * result[rows]
    back = np.empty_like(result)
    back[order] = result
    return back


def spread(table: SimulateTable, frame: pd.DataFrame) -> FloatArray:
    """(N,) factors of the errors, whose mean square is 1."""
    if table.heteroscedastic is None:
        return np.ones(len(frame))
    z = _column(frame, table.heteroscedastic.covariate, "heteroscedastic")
    factor = np.exp(table.heteroscedastic.strength * (z - z.mean()) / z.std())
    return np.asarray(factor / np.sqrt(np.mean(factor**2)))


def cell_effects(table: SimulateTable, frame: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """(N, 1) effects of the cells."""
    wanted = table.cell_effect
    if wanted is None:
        return np.zeros((len(frame), 1))
    if table.design != "generated":
        raise DataError("[simulate.cell_effect] needs design = 'generated', which has cells.")
    cell = frame[CELL].to_numpy()
    effect = wanted.sd * rng.normal(size=cell.max() + 1)[cell]
    if wanted.covariate is not None:
        values = pd.Series(_column(frame, wanted.covariate, "cell_effect"))
        effect += wanted.slope * values.groupby(cell).transform("mean").to_numpy()
    return np.asarray(effect[:, None])


def _column(frame: pd.DataFrame, name: str, table: str) -> FloatArray:
    if name not in frame.columns:
        raise DataError(
            f"[simulate.{table}] covariate = {name!r}{did_you_mean(name, frame.columns)}: there "
            f"are {', '.join(map(str, frame.columns))}."
        )
    return frame[name].to_numpy(dtype=np.float64)
