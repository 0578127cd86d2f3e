"""Data-generating mechanisms: one data set of a scenario, with what is true of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula

from mixcompare.backends import fit
from mixcompare.design import required_columns
from mixcompare.errors import DataError
from mixcompare.panel import FloatArray, IntArray, Missing, Panel, build_panel, design_source
from mixcompare.spec import MixtureSpec
from mixcompare.study.calibration import draw_from_prior
from mixcompare.study.covariates import CELL, TIME, generate_design, lose_rows, resample_units
from mixcompare.study.load import Scenario
from mixcompare.study.schema import SimulateTable
from mixcompare.study.truth import Truth
from mixcompare.suggest import did_you_mean

_REFERENCE_STARTS = 50


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """One data set.

    Attributes
    ----------
    frame
        Covariates, unit and cells; outcomes too where they are real.
    outcomes
        (N, m) simulated outcomes on the formula's scale, in the frame's order; None where
        the frame has them.
    truth
        True parameters; None for a real panel.
    classes
        (G, K) true classes of the units, hard or soft; None for a real panel.
    missing
        As in `mixcompare.panel.build_panel`.
    from_prior
        Whether the truth was drawn from the model's prior.
    """

    frame: pd.DataFrame
    outcomes: FloatArray | None
    truth: Truth | None
    classes: FloatArray | None
    missing: Missing = "error"
    from_prior: bool = False
    _panels: dict[Any, Panel] = field(default_factory=dict)

    def panel(self, spec: MixtureSpec) -> Panel:
        """The data as a specification sees them.

        Raises
        ------
        DataError
            If they do not suit it.
        """
        source = design_source(spec)
        if source not in self._panels:
            panel = build_panel(spec, self.frame, missing=self.missing)
            if self.outcomes is not None:
                panel = replace(panel, outcomes=self.outcomes[panel.row])
            self._panels[source] = panel
        return self._panels[source]


def generate(
    scenario: Scenario, read: Callable[[], pd.DataFrame], seed: np.random.SeedSequence
) -> DataSet:
    """One data set of a scenario.

    Parameters
    ----------
    read
        Gives the real table, where the scenario has one.
    seed
        From `mixcompare.study.seeds.data_stream`.

    Raises
    ------
    DataError
        If the mechanism's parts do not suit one another.
    """
    rng = np.random.default_rng(seed)
    data, table = scenario.tables.data, scenario.tables.simulate
    missing: Missing = "error" if data is None else data.missing
    if table is None:
        assert data is not None
        frame = read()
        if data.resample == "no":
            return DataSet(frame, None, None, None, missing)
        reference, probabilities = _reference(scenario, read)
        complete = _complete(frame, scenario.spec, missing)
        drawn, chosen = resample_units(complete, scenario.spec, None, rng)
        return DataSet(drawn, None, reference, probabilities[chosen], missing)
    return _simulate(scenario, table, read, missing, rng)


def _simulate(
    scenario: Scenario,
    table: SimulateTable,
    read: Callable[[], pd.DataFrame],
    missing: Missing,
    rng: np.random.Generator,
) -> DataSet:
    spec = _mechanism_spec(scenario, table)
    unit = spec.unit or "row"
    if table.design == "generated":
        whole = generate_design(table, unit, rng)
    else:
        whole = _complete(read(), spec, missing)
        if table.design == "resampled":
            whole, _ = resample_units(whole, spec, table.units, rng)
    with_outcomes = _with_placeholders(whole, spec, table)
    keep = lose_rows(whole, unit, table.missing_rows, rng)
    noise = _noise(table, whole, spec, _n_outcomes(spec), rng)[keep]
    frame = with_outcomes[keep].reset_index(drop=True)
    panel = build_panel(spec, frame)
    truth = _truth(scenario, table, read, panel, rng)
    classes = rng.choice(len(truth.weights), size=panel.n_units, p=truth.weights)
    outcomes = _outcomes(table, panel, truth, classes, noise, frame)
    effects = _cell_effects(table, frame, rng)
    hard = np.eye(len(truth.weights))[classes]
    own = {design_source(spec): replace(panel, outcomes=(outcomes + effects)[panel.row])}
    drawn = table.truth == "prior"
    return DataSet(frame, outcomes + effects, truth, hard, missing, drawn, own)


def _truth(
    scenario: Scenario,
    table: SimulateTable,
    read: Callable[[], pd.DataFrame],
    panel: Panel,
    rng: np.random.Generator,
) -> Truth:
    if table.truth == "fit":
        return _reference(scenario, read)[0]
    if table.truth == "prior":
        return draw_from_prior(_mechanism_spec(scenario, table), panel, rng)
    return _given(table, panel)


def _mechanism_spec(scenario: Scenario, table: SimulateTable) -> MixtureSpec:
    spec = scenario.spec
    return spec if table.formula is None else replace(spec, formula=table.formula)


# Parsing formulas would take a good part of the time that a small fit takes.
@lru_cache(maxsize=64)
def _required(spec: MixtureSpec) -> list[str]:
    return required_columns(spec)


@lru_cache(maxsize=64)
def _n_outcomes(spec: MixtureSpec) -> int:
    return len(list(Formula(spec.formula).lhs))


def _with_placeholders(
    frame: pd.DataFrame, spec: MixtureSpec, table: SimulateTable
) -> pd.DataFrame:
    """Ones where the formula reads outcomes, which are simulated on the formula's scale."""
    absent = [name for name in _required(spec) if name not in frame.columns]
    right = spec.formula.split("~", maxsplit=1)[-1]
    unknown = [n for n in absent if re.search(rf"(?<![\w.]){re.escape(n)}(?!\w)", right)]
    if unknown and table.design == "generated":
        hint = did_you_mean(unknown[0], frame.columns)
        raise DataError(
            f"the formula has a covariate {unknown[0]!r}{hint} without a distribution; add a table "
            f"[simulate.covariates.{unknown[0]}]. There are: {', '.join(map(str, frame.columns))}."
        )
    return frame.assign(**dict.fromkeys(absent, 1.0))


def _complete(frame: pd.DataFrame, spec: MixtureSpec, missing: Missing) -> pd.DataFrame:
    """Rows that a panel of this specification would keep."""
    if missing == "error":
        return frame
    rows = np.sort(build_panel(spec, frame, missing=missing).row)
    return frame.iloc[rows].reset_index(drop=True)


def _given(table: SimulateTable, panel: Panel) -> Truth:
    assert table.weights is not None
    weights = np.asarray(table.weights, dtype=np.float64)
    k, p, m = len(weights), len(panel.covariate_names), len(panel.outcome_names)
    unknown = [name for name in table.coefficients if name not in panel.covariate_names]
    absent = [name for name in panel.covariate_names if name not in table.coefficients]
    if unknown or absent:
        raise DataError(
            f"[simulate.coefficients] must have {', '.join(panel.covariate_names)}, the columns of "
            f"the mechanism's design; it has {', '.join(table.coefficients) or 'none'}."
        )
    coefficients = np.empty((k, p, m))
    for i, name in enumerate(panel.covariate_names):
        coefficients[:, i] = _shaped(f"coefficients {name!r}", table.coefficients[name], (k, m))
    centre = np.einsum("k,kpm->pm", weights, coefficients)
    coefficients = centre + table.separation * (coefficients - centre)
    covariance = _covariance(table.covariance, k, m)
    return Truth(weights, coefficients, covariance, panel.covariate_names, panel.outcome_names)


def _shaped(what: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if shape[-1] == 1 and array.shape == shape[:-1]:
        array = array[..., None]
    if array.shape != shape:
        raise DataError(
            f"[simulate] {what} must have shape {shape} (classes, outcomes), not {array.shape}."
        )
    return array


def _covariance(given: Any, k: int, m: int) -> FloatArray:
    values = np.asarray(given, dtype=np.float64)
    allowed: dict[tuple[int, ...], Callable[[], FloatArray]] = {
        (): lambda: np.broadcast_to(np.eye(m) * values, (k, m, m)),
        (k,): lambda: values[:, None, None] * np.eye(m),
        (m, m): lambda: np.broadcast_to(values, (k, m, m)),
        (k, m, m): lambda: values,
    }
    if values.shape not in allowed:
        raise DataError(
            f"[simulate] covariance must be a variance, {k} variances, a {m} x {m} matrix or {k} "
            f"of them, not an array of shape {values.shape}."
        )
    found = np.array(allowed[values.shape]())
    if not np.all(np.linalg.eigvalsh(found) > 0):
        raise DataError(f"[simulate] covariance must be positive definite, not {given!r}.")
    return found


def _noise(
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
    if table.autocorrelation and spec.unit is not None:
        noise = _autoregressive(noise, frame, spec, table.autocorrelation)
    return noise


def _place_in_series(frame: pd.DataFrame, spec: MixtureSpec) -> IntArray:
    """(N,) the row's number, from 0, in its cell or unit; rows are in the order of time."""
    if TIME in frame.columns and CELL in frame.columns:
        return frame[TIME].to_numpy(dtype=np.intp)
    if spec.unit is None:
        return np.zeros(len(frame), dtype=np.intp)
    return np.asarray(frame.groupby(spec.unit, sort=False).cumcount(), dtype=np.intp)


def _autoregressive(
    noise: FloatArray, frame: pd.DataFrame, spec: MixtureSpec, rho: float
) -> FloatArray:
    """AR(1) by series, stationary from its first row, with the variance of `noise`."""
    place = _place_in_series(frame, spec)
    order = np.argsort(frame[CELL if CELL in frame.columns else spec.unit], kind="stable")
    result, place = noise[order], place[order]
    for step in range(1, int(place.max()) + 1):
        rows = np.flatnonzero(place == step)
        result[rows] = rho * result[rows - 1] + np.sqrt(1 - rho**2) * result[rows]
    back = np.empty_like(result)
    back[order] = result
    return back


def _outcomes(
    table: SimulateTable,
    panel: Panel,
    truth: Truth,
    classes: IntArray,
    noise: FloatArray,
    frame: pd.DataFrame,
) -> FloatArray:
    """(N, m) in the frame's order."""
    by_row = np.empty(len(frame), dtype=np.intp)
    by_row[panel.row] = classes[panel.unit]
    covariates = np.empty_like(panel.covariates)
    covariates[panel.row] = panel.covariates
    scaled = noise * _scale(table, frame)[:, None]
    outcomes = np.empty((len(frame), truth.covariance.shape[-1]))
    for k in range(len(truth.weights)):
        own = by_row == k
        root = np.linalg.cholesky(truth.covariance[k])
        outcomes[own] = covariates[own] @ truth.coefficients[k] + scaled[own] @ root.T
    return outcomes


def _scale(table: SimulateTable, frame: pd.DataFrame) -> FloatArray:
    if table.heteroscedastic is None:
        return np.ones(len(frame))
    z = _column(frame, table.heteroscedastic.covariate, "heteroscedastic")
    factor = np.exp(table.heteroscedastic.strength * (z - z.mean()) / z.std())
    return np.asarray(factor / np.sqrt(np.mean(factor**2)))


def _cell_effects(
    table: SimulateTable, frame: pd.DataFrame, rng: np.random.Generator
) -> FloatArray:
    """(N, 1) effects of the cells."""
    wanted = table.cell_effect
    if wanted is None:
        return np.zeros((len(frame), 1))
    if CELL not in frame.columns:
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


def _reference(scenario: Scenario, read: Callable[[], pd.DataFrame]) -> tuple[Truth, FloatArray]:
    """EM's parameters and class probabilities on the whole real panel."""
    assert scenario.tables.data is not None
    return _reference_fit(scenario.spec, read, scenario.tables.data.missing)


@lru_cache(maxsize=4)
def _reference_fit(
    spec: MixtureSpec, read: Callable[[], pd.DataFrame], missing: Missing
) -> tuple[Truth, FloatArray]:
    fitted = fit(
        spec, read(), backend="em", starts=_REFERENCE_STARTS, missing=missing, progress=False
    )
    truth = Truth(
        fitted.weights.to_numpy(),
        fitted.coefficients.to_numpy(),
        fitted.covariance.to_numpy(),
        fitted.covariate_names,
        fitted.outcome_names,
    )
    return truth, fitted.responsibilities.to_numpy()
