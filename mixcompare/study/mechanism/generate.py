"""Data-generating mechanisms: one data set of a scenario, with what is true of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mixcompare.backends import fit
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import DataError
from mixcompare.base.suggest import did_you_mean
from mixcompare.data.design import required_columns, sides
from mixcompare.data.panel import Missing, Panel, build_panel, design_source
from mixcompare.data.unit_data import unit_columns
from mixcompare.model.capabilities import require
from mixcompare.model.spec import MixtureSpec
from mixcompare.simulate.outcomes import draw_classes
from mixcompare.simulate.samplers import normal_outcomes
from mixcompare.study.file.custom import mechanism, true_classes
from mixcompare.study.file.load import Scenario
from mixcompare.study.file.simulate_table import SimulateTable
from mixcompare.study.mechanism.covariates import generate_design, lose_rows, resample_units
from mixcompare.study.mechanism.given import stated_truth
from mixcompare.study.mechanism.noise import cell_effects, draw_noise, spread
from mixcompare.study.mechanism.prior_truths import draw_from_prior
from mixcompare.study.mechanism.truth import Truth, class_probabilities

# Column of the units where the model names none.
_UNIT = "row"


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
        As in `mixcompare.data.panel.build_panel`.
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
        From `mixcompare.study.task.seeds.data_stream`.

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
        drawn, picked = resample_units(complete, scenario.spec, None, rng)
        return DataSet(drawn, None, reference, probabilities[picked], missing)
    if table.generator is not None:
        return _generated(table.generator, table, scenario.spec, missing, rng)
    return _simulate(scenario, table, read, missing, rng)


def _generated(
    generator: str,
    table: SimulateTable,
    spec: MixtureSpec,
    missing: Missing,
    rng: np.random.Generator,
) -> DataSet:
    stated = {"weights": table.weights, "coefficients": table.coefficients}
    stated["covariance"] = table.covariance
    frame = mechanism(generator, stated, table.arguments, rng)
    panel = build_panel(spec, frame, missing=missing)
    truth = stated_truth(table, panel)
    classes = true_classes(generator, frame, panel, len(truth.weights))
    hard = np.eye(len(truth.weights))[classes]
    return DataSet(frame, None, truth, hard, missing, False, {design_source(spec): panel})


def _simulate(
    scenario: Scenario,
    table: SimulateTable,
    read: Callable[[], pd.DataFrame],
    missing: Missing,
    rng: np.random.Generator,
) -> DataSet:
    spec = _mechanism_spec(scenario, table)
    frame, noise = _rows(table, spec, read, missing, rng)
    panel = build_panel(spec, frame)
    truth = _truth(scenario, table, read, panel, rng)
    classes = draw_classes(panel, truth.weights, truth.membership, rng)
    outcomes = _outcomes(table, panel, truth, classes, noise, frame)
    effects = cell_effects(table, frame, rng)
    hard = np.eye(len(truth.weights))[classes]
    built = {design_source(spec): replace(panel, outcomes=(outcomes + effects)[panel.row])}
    drawn = table.truth == "prior"
    return DataSet(frame, outcomes + effects, truth, hard, missing, drawn, built)


def _rows(
    table: SimulateTable,
    spec: MixtureSpec,
    read: Callable[[], pd.DataFrame],
    missing: Missing,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, FloatArray]:
    """The design's rows, with ones for outcomes, and their (N, m) errors of variance 1."""
    unit = spec.unit or _UNIT
    if table.design == "generated":
        columns = generate_design(table, unit, rng)
        frame = pd.DataFrame({**columns, **_placeholders(columns, spec, table)})
    else:
        frame = _complete(read(), spec, missing)
        if table.design == "resampled":
            frame, _ = resample_units(frame, spec, table.units, rng)
        frame = frame.assign(**_placeholders(frame.columns, spec, table))
    if not table.missing_rows:
        return frame, draw_noise(table, frame, spec, _n_outcomes(spec), rng)
    if unit not in frame.columns:
        raise DataError(
            f"[simulate] missing_rows = {table.missing_rows:g}: every unit keeps a row, and "
            "without [model] unit every row of the real design is one. Leave missing_rows out."
        )
    keep = lose_rows(frame, unit, table.missing_rows, rng)
    noise = draw_noise(table, frame, spec, _n_outcomes(spec), rng)
    return frame[keep].reset_index(drop=True), noise[keep]


def _truth(
    scenario: Scenario,
    table: SimulateTable,
    read: Callable[[], pd.DataFrame],
    panel: Panel,
    rng: np.random.Generator,
) -> Truth:
    if table.truth == "fit":
        return _averaged(_reference(scenario, read)[0], panel)
    if table.truth == "prior":
        return draw_from_prior(_mechanism_spec(scenario, table), panel, rng)
    return stated_truth(table, panel)


def _averaged(truth: Truth, panel: Panel) -> Truth:
    """With the weights that its log-odds have in these units."""
    if truth.membership is None or panel.concomitants is None:
        return truth
    probabilities = class_probabilities(truth.membership, panel.concomitants)
    return replace(truth, weights=probabilities.mean(axis=0))


def _mechanism_spec(scenario: Scenario, table: SimulateTable) -> MixtureSpec:
    spec = scenario.spec
    require(spec, "[simulate]")
    return spec if table.formula is None else spec.but(formula=table.formula)


# Parsing formulas would take a good part of the time that a small fit takes.
@lru_cache(maxsize=64)
def _required(spec: MixtureSpec) -> list[str]:
    return required_columns(spec)


@lru_cache(maxsize=64)
def _n_outcomes(spec: MixtureSpec) -> int:
    return len(list(sides(spec)[0]))


def _placeholders(
    columns: Collection[str], spec: MixtureSpec, table: SimulateTable
) -> dict[str, float]:
    """Ones where the formula reads outcomes, which are simulated on the formula's scale."""
    wanted = [*_required(spec), *unit_columns(spec)]
    absent = [name for name in wanted if name not in columns]
    right = f"{spec.formula.split('~', maxsplit=1)[-1]} {spec.membership or ''}"
    unknown = [n for n in absent if re.search(rf"(?<![\w.]){re.escape(n)}(?!\w)", right)]
    if unknown and table.design == "generated":
        hint = did_you_mean(unknown[0], columns)
        raise DataError(
            f"the formula has a covariate {unknown[0]!r}{hint} without a distribution; add a table "
            f"[simulate.covariates.{unknown[0]}]. There are: {', '.join(map(str, columns))}."
        )
    return dict.fromkeys(absent, 1.0)


def _complete(frame: pd.DataFrame, spec: MixtureSpec, missing: Missing) -> pd.DataFrame:
    """Rows that a panel of this specification would keep."""
    if missing == "error":
        return frame
    rows = np.sort(build_panel(spec, frame, missing=missing).row)
    return frame.iloc[rows].reset_index(drop=True)


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
    scaled = noise * spread(table, frame)[:, None]
    parameters = {"coefficients": truth.coefficients, "covariance": truth.covariance}
    return normal_outcomes(parameters, by_row, covariates, scaled)


def _reference(scenario: Scenario, read: Callable[[], pd.DataFrame]) -> tuple[Truth, FloatArray]:
    """EM's parameters and class probabilities on the whole real panel."""
    assert scenario.tables.data is not None
    return _reference_fit(scenario.spec, read, scenario.tables.data.missing)


@lru_cache(maxsize=4)
def _reference_fit(
    spec: MixtureSpec, read: Callable[[], pd.DataFrame], missing: Missing
) -> tuple[Truth, FloatArray]:
    fitted = fit(spec, read(), backend="em", missing=missing, progress=False)
    named = fitted.concomitant_names
    truth = Truth(
        fitted.weights.to_numpy(),
        fitted.coefficients.to_numpy(),
        fitted.covariance.to_numpy(),
        fitted.covariate_names,
        fitted.outcome_names,
        fitted.estimate.get("membership_coefficients"),
        named,
    )
    return truth, fitted.responsibilities.to_numpy()
