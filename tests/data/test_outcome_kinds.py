"""Outcomes that no normal distribution describes are told once, measurements never."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import mixcompare as mc
from mixcompare import datasets
from mixcompare.data.outcome_kinds import outcome_kind
from tests.places import REFERENCE

RNG = np.random.default_rng(0)
TIME = np.tile(np.arange(6), 60)
STEEP = np.repeat(np.arange(60) % 2, 6)

KINDS: dict[str, tuple[NDArray[Any], str | None]] = {
    "Poisson trajectories": (RNG.poisson(np.exp(1 + 0.3 * STEEP * TIME)), "count"),
    "large Poisson counts": (RNG.poisson(np.where(STEEP == 1, 30, 8)), "count"),
    "negative binomial": (RNG.negative_binomial(2, 0.1, size=360), "count"),
    "zeros and ones": (RNG.integers(0, 2, size=360), "binary"),
    "ones and twos": (RNG.integers(1, 3, size=360), "binary"),
    "two values of anything": (np.where(STEEP == 1, -0.5, 7.25), "binary"),
    "answers from 1 to 5": (RNG.integers(1, 6, size=360), "graded"),
    "answers from -2 to 2": (RNG.integers(-2, 3, size=360), "graded"),
    "half grades": (RNG.integers(2, 11, size=360) / 2, "graded"),
    "answers from 0 to 4": (RNG.integers(0, 5, size=360), "count"),
    "censored at a limit": (np.maximum(RNG.normal(size=360), 0.0), "lump"),
    "normal": (RNG.normal(size=360), None),
    "one decimal": (RNG.normal(10, 3, size=360).round(1), None),
    "whole years": (RNG.normal(70, 12, size=360).round(), None),
    "whole degrees": (RNG.normal(0, 12, size=360).round(), None),
    "incomes": (RNG.lognormal(10, 1, size=360).round(), None),
    "percent": (RNG.uniform(0, 1, size=360).round(2), None),
    "few rows": (np.array([0.0, 1.0, 1.0]), None),
    "constant": (np.zeros(100), None),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name: str) -> None:
    values, kind = KINDS[name]
    assert outcome_kind(values.astype(float)) == kind


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("Poisson trajectories", "Poisson or negative binomial"),
        ("zeros and ones", "binary (Bernoulli) family"),
        ("answers from 1 to 5", "5 distinct values, from 1 to 5, in 360 rows"),
        ("answers from 0 to 4", "or an ordered one"),
    ],
)
def test_a_caution_is_warned_and_kept(values: str, words: str) -> None:
    table = {"unit": np.repeat(np.arange(60), 6), "t": TIME, "y": KINDS[values][0]}
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=1)
    with pytest.warns(mc.DataWarning, match="[Oo]utcome 'y'") as warned:
        fit = mc.fit(spec, table, starts=1)
    assert len(warned) == 1
    assert words in fit.cautions[0]
    assert str(warned[0].message) == fit.cautions[0]


def test_each_outcome_has_its_own() -> None:
    table = {"a": KINDS["zeros and ones"][0], "b": KINDS["normal"][0], "c": KINDS["half grades"][0]}
    spec = mc.MixtureSpec("a + b + c ~ 1", n_components=1, covariance="diagonal")
    with pytest.warns(mc.DataWarning):
        fit = mc.fit(spec, table, starts=1)
    assert ["'a'" in caution for caution in fit.cautions] == [True, False]
    assert "'c'" in fit.cautions[1]


PANELS: dict[str, Any] = {
    "lifeExp": lambda: datasets.load("gapminder"),
    "rank": lambda: datasets.load("billboard"),
    "eruptions waiting": lambda: pd.read_csv(REFERENCE / "faithful.csv"),
    "sl sw pl pw": lambda: pd.read_csv(REFERENCE / "iris.csv"),
}


@pytest.mark.parametrize("names", PANELS)
def test_measurements_of_real_panels_are_none(names: str) -> None:
    table = PANELS[names]()
    for name in names.split():
        assert outcome_kind(table[name].to_numpy(float)) is None


@pytest.mark.parametrize("k", [1, 14, 15, 20])
def test_about_as_many_classes_as_units(k: int) -> None:
    unit = np.repeat(np.arange(30), 5)
    y = RNG.normal(size=150) + np.repeat(np.arange(30) * 3.0, 5)
    spec = mc.MixtureSpec("y ~ 1", unit="u", n_components=k, covariance_by="shared")
    call: Any = lambda: mc.fit(spec, {"u": unit, "y": y}, starts=2, seed=1)  # noqa: E731
    if k >= 15:
        with pytest.warns(mc.DataWarning, match=f"n_components={k} of 30 units leaves"):
            assert "ask for fewer" in call().cautions[0]
    else:
        assert not [caution for caution in call().cautions if "leaves" in caution]
