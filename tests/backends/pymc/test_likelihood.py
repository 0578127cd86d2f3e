"""PyMC's log-likelihood is that of the raw rows, for every model."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixcompare.data.panel import build_panel
from mixcompare.model.spec import MixtureSpec
from tests.raw_referee import random_parameters, raw_unit_log_likelihood
from tests.scored import unit_log_likelihood

STRUCTURES = list(product(("full", "diagonal", "spherical"), ("component", "shared")))
MODELS = [
    pytest.param(m, structure, absorb, 1 + i % 3, id=f"m{m}-{'-'.join(structure)}-{absorb}")
    for i, (m, structure, absorb) in enumerate(product((1, 2, 3), STRUCTURES, (None, "cell")))
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Units of one to nine rows in up to three cells, outcomes that are correlated."""
    rng = np.random.default_rng(5)
    unit = np.repeat(np.arange(14), rng.integers(1, 10, size=14))
    n = len(unit)
    x = rng.normal(size=(n, 2))
    y = rng.normal(size=(n, 3)) @ np.array([[1.0, 0.9, 0.2], [0, 0.5, 0.3], [0, 0, 4.0]])
    return pd.DataFrame(
        {
            "unit": unit,
            "cell": unit * 3 + rng.integers(0, 3, size=n),
            "year": 1950.0 + rng.integers(0, 60, size=n),
            **{f"x{j}": x[:, j] for j in range(2)},
            **{f"y{j}": y[:, j] + (1 + j) * x[:, 0] for j in range(3)},
        }
    )


def compare(spec: MixtureSpec, table: pd.DataFrame, rtol: float, seed: int = 0) -> None:
    panel = build_panel(spec, table)
    parameters = random_parameters(np.random.default_rng(seed), spec, panel)
    found = unit_log_likelihood("pymc", spec, panel, *parameters)
    np.testing.assert_allclose(
        found, raw_unit_log_likelihood(panel, *parameters), rtol=rtol, atol=1e-12
    )


@pytest.mark.parametrize(("m", "structure", "absorb", "k"), MODELS)
def test_equals_the_raw_rows(
    table: pd.DataFrame, m: int, structure: Any, absorb: str | None, k: int
) -> None:
    outcomes = " + ".join(f"y{j}" for j in range(m))
    covariates = "x0 + x1" if absorb is None else "0 + x0 + x1"
    spec = MixtureSpec(
        f"{outcomes} ~ {covariates}",
        unit="unit",
        absorb=absorb,
        n_components=k,
        covariance=structure[0],
        covariance_by=structure[1],
    )
    compare(spec, table, rtol=1e-9, seed=k)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rows_as_units(table: pd.DataFrame, k: int) -> None:
    compare(MixtureSpec("y0 + y1 ~ 1", n_components=k), table, rtol=1e-9)


def test_a_calendar_year_beside_its_square(table: pd.DataFrame) -> None:
    spec = MixtureSpec("y0 ~ year + I(year**2)", unit="unit", n_components=2)
    compare(spec, table, rtol=1e-9)


def test_an_outcome_far_from_zero(table: pd.DataFrame) -> None:
    spec = MixtureSpec("y0 ~ x0", unit="unit", n_components=2)
    # The rows themselves carry the rounding of 1e8, some 1e-8 of their spread.
    compare(spec, table.assign(y0=table["y0"] + 1e8), rtol=1e-6)


def test_units_of_the_outcome_shift_the_log_likelihood_by_the_jacobian(table: pd.DataFrame) -> None:
    spec = MixtureSpec("y0 ~ x0", unit="unit", n_components=2)
    panel = build_panel(spec, table)
    weights, coefficients, covariance = random_parameters(np.random.default_rng(1), spec, panel)
    base = unit_log_likelihood("pymc", spec, panel, weights, coefficients, covariance)
    larger = build_panel(spec, table.assign(y0=1000 * table["y0"]))
    scaled = unit_log_likelihood(
        "pymc", spec, larger, weights, 1000 * coefficients, 1e6 * covariance
    )
    rows = np.bincount(panel.unit)
    np.testing.assert_allclose(scaled, base - rows * np.log(1000), rtol=1e-9)


def test_a_class_without_weight_does_not_count(table: pd.DataFrame) -> None:
    spec = MixtureSpec("y0 ~ x0", unit="unit", n_components=2)
    panel = build_panel(spec, table)
    _, coefficients, covariance = random_parameters(np.random.default_rng(2), spec, panel)
    weights = np.array([1.0, 0.0])
    found = unit_log_likelihood("pymc", spec, panel, weights, coefficients, covariance)
    raw = raw_unit_log_likelihood(panel, np.ones(1), coefficients[:1], covariance[:1])
    np.testing.assert_allclose(found, raw, rtol=1e-9)


def test_refuses_a_covariance_of_another_structure(table: pd.DataFrame) -> None:
    spec = MixtureSpec("y0 + y1 ~ x0", unit="unit", n_components=2, covariance="diagonal")
    full = MixtureSpec("y0 + y1 ~ x0", unit="unit", n_components=2)
    panel = build_panel(spec, table)
    parameters = random_parameters(np.random.default_rng(3), full, panel)
    with pytest.raises(ValueError, match="structure"):
        unit_log_likelihood("pymc", spec, panel, *parameters)
