"""A study in words: its mechanisms and methods, as the ADEMP scheme asks for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mixcompare.study.file.load import Study
from mixcompare.study.file.methods import Method
from mixcompare.study.file.schema import DataTable
from mixcompare.study.file.simulate_table import CovariateTable, SimulateTable


def mechanism(study: Study) -> list[str]:
    """Paragraphs about how a data set comes about."""
    data, table, spec = study.tables.data, study.tables.simulate, study.spec
    words = [
        f"The model that is fitted, unless a method changes it: {spec.formula!r}, "
        f"{spec.n_components} classes"
        + (f" of {spec.unit!r}" if spec.unit else ", every row a unit")
        + (f", effects of {':'.join(spec.absorb)} absorbed" if spec.absorb else "")
        + "."
    ]
    varied = list(dict.fromkeys(name for s in study.scenarios for name in s.factors))
    if varied:
        words.append(
            f"The scenarios differ in {', '.join(varied)}; what follows has the file's own values "
            "of these, which every scenario replaces."
        )
    if table is None:
        assert data is not None
        how = (
            "whole units drawn with replacement from it; the truth is EM's fit to all of it"
            if data.resample == "units"
            else "as it is, so that there is no truth to compare with"
        )
        return [*words, f"Data: {_source(data)}, {how}."]
    if table.generator is not None:
        given = ", ".join(f"{name} = {_plain(value)}" for name, value in table.arguments.items())
        made = f"Data: made by the function {table.generator!r}" + (f" with {given}" * bool(given))
        return [*words, f"{made}.", *_population(table)]
    return [*words, *_design(table, data), *_errors(table), *_population(table)]


def _source(data: DataTable) -> str:
    return str(data.panel or data.file or data.loader)


def _design(table: SimulateTable, data: DataTable | None) -> list[str]:
    if table.design != "generated":
        assert data is not None
        how = "as they are" if table.design == "given" else "of units drawn with replacement"
        return [f"Covariates: those of {_source(data)}, {how}.", *_losses(table)]
    periods = table.periods
    rows = f"{periods[0]} to {periods[-1]}" if isinstance(periods, list) else str(periods)
    inside = "" if table.cells == 1 else f" with {table.cells} cells"
    drawn = "; ".join(f"{name}: {_covariate(c)}" for name, c in table.covariates.items())
    words = f"{table.units} units{inside} of {rows} rows, drawn anew in every replicate. {drawn}."
    return [words, *_losses(table)]


def _losses(table: SimulateTable) -> list[str]:
    if not table.missing_rows:
        return []
    return [f"{100 * table.missing_rows:g} % of the rows are lost completely at random."]


def _covariate(table: CovariateTable) -> str:
    level = ", the same in all rows of a unit" if table.level == "unit" else ""
    if table.distribution == "normal":
        between = f", {100 * table.between:g} % of the variance between units"
        return (
            f"normal with mean {table.mean:g} and sd {table.sd:g}"
            f"{between if table.between else ''}{level}"
        )
    return {
        "uniform": f"uniform from {table.low:g} to {table.high:g}{level}",
        "bernoulli": f"1 with probability {table.probability:g}, else 0{level}",
        "time": f"the row's number, centred, times {table.scale:g}",
    }[table.distribution]


def _errors(table: SimulateTable) -> list[str]:
    kind = "normal" if table.errors == "normal" else f"t with {table.degrees_of_freedom:g} df"
    parts = [f"Errors: {kind}"]
    if table.autocorrelation:
        parts.append(f"AR(1) within the cell with coefficient {table.autocorrelation:g}")
    if table.heteroscedastic is not None:
        spread = table.heteroscedastic
        parts.append(f"sd growing with {spread.covariate} (strength {spread.strength:g})")
    words = [", ".join(parts) + "."]
    if table.cell_effect is not None:
        own_effect = table.cell_effect
        tied = ""
        if own_effect.covariate is not None:
            tied = f" plus {own_effect.slope:g} times the cell's mean of {own_effect.covariate}"
        words.append(f"Cell effects: normal with sd {own_effect.sd:g}{tied}.")
    return words


def _population(table: SimulateTable) -> list[str]:
    formula = f" The mechanism's own formula is {table.formula!r}." if table.formula else ""
    if table.truth == "prior":
        return [f"True parameters: drawn from the model's prior in every replicate.{formula}"]
    if table.truth == "fit":
        return [f"True parameters: those of EM's fit to the panel.{formula}"]
    coefficients = ", ".join(f"{name} {values}" for name, values in table.coefficients.items())
    separated = ""
    if table.separation != 1:
        separated = f", deviations from their mean times {table.separation:g}"
    odds = ", ".join(f"{name} {values}" for name, values in table.membership.items())
    shares = f"log-odds of membership {odds}" if odds else f"weights {table.weights}"
    return [
        f"True parameters by class: {shares}; coefficients {coefficients}"
        f"{separated}; covariance {table.covariance}.{formula}"
    ]


def method(stated: Method) -> str:
    """A method in a line."""
    parts = [f"{name} = {_plain(value)}" for name, value in stated.options.items()]
    parts += [f"model with {name} = {_plain(value)}" for name, value in stated.changes.items()]
    if stated.within:
        parts.append("on data from which cell means were subtracted, all rows counted")
    if stated.bootstrap is not None:
        parts.append(f"intervals from {stated.bootstrap[0]} bootstrap replicates")
    if stated.choose:
        parts.append(f"number of classes from {', '.join(map(str, stated.choose))} by BIC")
    return "; ".join(parts) or "as it comes"


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    return json.dumps(value) if isinstance(value, (list, Mapping)) else str(value)
