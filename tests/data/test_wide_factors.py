"""Categories that no memory holds are refused before anything is made of them."""

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc


def table(levels: int, units: int, rows: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = units * rows
    g = np.arange(n) % levels
    labels = np.array([f"l{i}" for i in range(levels)], dtype=object)
    unit = np.repeat(np.arange(units), rows)
    columns = {"u": unit, "g": g, "h": labels[g], "x": rng.normal(size=n), "y": rng.normal(size=n)}
    return pd.DataFrame(columns).astype({"h": "category"})


@pytest.mark.parametrize(
    ("levels", "units", "formula", "words"),
    [
        (500, 5_000, "y ~ x + C(g)", r"'g' has 500 levels.*absorb='u:g'"),
        (500, 5_000, "y ~ x*h", r"'h' has 500 levels, which makes 1,002 cov.*37 GiB.*absorb='u:h'"),
        (500, 5_000, "y ~ C(g):x", r"'g' has 500 levels"),
        (50_000, 50_000, "y ~ h", r"'h' has 50,000 levels.*absorb"),
        (90, 5_000, "y ~ C(g):h", r"'g' has 90 levels and 'h' has 90 levels, which makes 8,101"),
    ],
)
def test_many_levels_are_refused_before_they_are_made(
    levels: int, units: int, formula: str, words: str
) -> None:
    data = table(levels, units)
    tracemalloc.start()
    with pytest.raises(mc.DataError, match=words):
        mc.build_panel(mc.MixtureSpec(formula, unit="u", n_components=2), data)
    assert tracemalloc.get_traced_memory()[1] < 5e7
    tracemalloc.stop()


@pytest.mark.parametrize("options", [{"common": "~ C(g)"}, {"membership": "~ h"}])
def test_common_terms_and_membership(options: Any) -> None:
    spec = mc.MixtureSpec("y ~ x", unit="u", n_components=2, **options)
    with pytest.raises(mc.DataError, match="has 30,000 levels"):
        mc.build_panel(spec, table(30_000, 30_000))


@pytest.mark.parametrize("formula", ["y ~ x + C(g)", "y ~ h", "y ~ x", "y ~ g"])
def test_as_many_levels_as_a_panel_of_weeks_has_are_none_too_many(formula: str) -> None:
    spec = mc.MixtureSpec(formula, unit="u", n_components=2)
    assert mc.build_panel(spec, table(53, 500, 4)).n_rows == 2000


def test_absorbed_levels_are_no_covariates() -> None:
    spec = mc.MixtureSpec("y ~ x", unit="u", absorb="u:g", n_components=2)
    assert mc.build_panel(spec, table(500, 5_000, 2)).covariates.shape == (10_000, 1)
