"""Small simulated panels for the EM tests, one per model structure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

import mixcompare as mc
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.emissions.normal.normal_emission import NormalEmission
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.prepared.compress import PreparedPanel, compress
from mixcompare.prepared.problem import Problem

STRUCTURES = [
    (covariance, covariance_by)
    for covariance in ("full", "diagonal", "spherical")
    for covariance_by in ("component", "shared")
]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A specification with its data in every form."""

    spec: mc.MixtureSpec
    table: pd.DataFrame
    panel: Panel
    prepared: PreparedPanel
    model: Mixture

    @property
    def data(self) -> Standardised:
        """The rows in standardised coordinates."""
        return normal_data(self.model)

    @property
    def problem(self) -> Problem:
        """All but the EM's form, as backends take it."""
        return Problem(self.spec, self.panel, self.prepared)


def simulate(
    *, units: int = 30, rows: tuple[int, int] = (1, 9), m: int = 1, k: int = 2, seed: int = 0
) -> pd.DataFrame:
    """Unbalanced panel with two cells per unit, covariates x1 and x2 and m outcomes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(rows[0], rows[1], size=units, endpoint=True)
    unit = np.repeat(np.arange(units), lengths)
    x = rng.normal(size=(unit.size, 2)) * [1.0, 20.0] + [0.0, 300.0]
    coefficients = rng.normal(size=(k, 2, m)) / [[1.0], [20.0]]
    classes = rng.integers(k, size=units)[unit]
    mean = np.einsum("ni,nij->nj", x - [0.0, 300.0], coefficients[classes])
    y = mean + 3 * classes[:, None] + rng.normal(size=(unit.size, m)) * (1 + classes[:, None])
    columns = {f"y{j + 1}": y[:, j] for j in range(m)}
    cell = rng.integers(2, size=unit.size)
    by_unit = np.random.default_rng([seed, 1])
    income = (by_unit.normal(size=units) + np.unique(classes)[0]) * 10.0 + 40.0
    count = by_unit.choice([0.5, 1.0, 2.0, 3.0], size=units)
    return pd.DataFrame(
        {
            "unit": unit,
            "cell": cell,
            "x1": x[:, 0],
            "x2": x[:, 1],
            **columns,
            "income": income[unit],
            "count": count[unit],
        }
    )


def build(
    covariance: str = "full",
    covariance_by: str = "component",
    *,
    m: int = 1,
    k: int = 2,
    absorb: bool = False,
    seed: int = 0,
    units: int = 30,
    common: str | None = None,
    membership: str | None = None,
    unit_weights: str | None = None,
    with_prior: bool = False,
) -> Case:
    """A case of the given structure."""
    table = simulate(m=m, k=k, seed=seed, units=units)
    outcomes = " + ".join(f"y{j + 1}" for j in range(m))
    spec = mc.MixtureSpec(
        f"{outcomes} ~ x1 + x2",
        unit="unit",
        absorb="unit:cell" if absorb else None,
        n_components=k,
        covariance=covariance,  # type: ignore[arg-type]
        covariance_by=covariance_by,  # type: ignore[arg-type]
        common=common,
        membership=membership,
        unit_weights=unit_weights,
    )
    panel = mc.build_panel(spec, table)
    prepared = compress(panel)
    model = mixture_of(spec, prepared, with_prior=with_prior)
    return Case(spec, table, panel, prepared, model)


def normal_data(model: Mixture) -> Standardised:
    """The rows of a model with one normal response."""
    [emission] = model.emissions
    assert isinstance(emission, NormalEmission)
    return emission.data


def with_data(model: Mixture, **changes: Any) -> Mixture:
    """The same model, not compiled, with other rows of its normal response."""
    return Mixture(model.classes, (NormalEmission(replace(normal_data(model), **changes)),))


def normal_theta(
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    membership_coefficients: FloatArray | None = None,
) -> Theta:
    """Parameters of one normal response and static classes."""
    classes = {"weights": weights}
    if membership_coefficients is not None:
        classes["membership_coefficients"] = membership_coefficients
    return Theta(classes, ({"coefficients": coefficients, "covariance": covariance},))


def normal_arrays(
    theta: Theta,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
    """Weights, coefficients, covariances, and log-odds if there are any."""
    blocks = theta.blocks
    odds = blocks.get("membership_coefficients")
    return blocks["weights"], blocks["coefficients"], blocks["covariance"], odds


def changed(theta: Theta, **blocks: FloatArray) -> Theta:
    """The same parameters with other blocks."""
    return normal_theta(**{**theta.blocks, **blocks})


def random_parameters(case: Case, seed: int = 0) -> Theta:
    """Parameters in raw units, of the case's structure, near nothing in particular."""
    rng = np.random.default_rng(seed)
    _, _, p, m = case.data.shape
    k = case.spec.n_components
    root = rng.normal(size=(k, m, m)) * 0.5 + 1.5 * np.eye(m)
    covariance = root @ root.transpose(0, 2, 1)
    if case.spec.covariance_by == "shared":
        covariance[:] = covariance[0]
    if case.spec.covariance == "diagonal":
        covariance = covariance * np.eye(m)
    if case.spec.covariance == "spherical":
        covariance = covariance[:, :1, :1] * np.eye(m)
    weights, coefficients = rng.dirichlet(np.full(k, 3.0)), rng.normal(size=(k, p, m)) * 0.7
    if case.data.n_common:
        coefficients[:, -case.data.n_common :] = coefficients[0, -case.data.n_common :]
    odds = None
    if case.spec.membership is not None:
        odds = rng.normal(size=(k, case.model.classes.design.shape[1]))
        odds -= odds[0]
        each = np.exp(case.model.classes.log_probabilities({"membership_coefficients": odds}))
        units = case.model.units
        weights = units.weigh(each).sum(axis=-2) / units.total
    return case.model.to_raw(normal_theta(weights, coefficients, covariance, odds))
