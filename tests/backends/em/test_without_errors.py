"""Standard errors that are not asked for, and the information from chunks of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.backends.em import information
from mixcompare.backends.em.information import score_and_information
from mixcompare.report.wording import estimates_intro
from tests.em_cases import STRUCTURES, build, random_parameters
from tests.selection.test_selection import SPEC, separated
from tests.stand_in_posterior import stand_in


@pytest.fixture(scope="module")
def fits() -> tuple[mc.Fit, mc.Fit]:
    """Without and with standard errors."""
    without = mc.fit(SPEC, separated(), starts=6, seed=2, standard_errors="none")
    return without, mc.fit(SPEC, separated(), starts=6, seed=2)


def test_estimates_are_the_same_and_errors_are_said_to_be_left_out(
    fits: tuple[mc.Fit, mc.Fit],
) -> None:
    without, with_errors = (fit.summary() for fit in fits)
    np.testing.assert_array_equal(without["estimate"], with_errors["estimate"])
    assert without[["se", "lower", "upper"]].isna().all(axis=None)
    assert with_errors["se"].notna().all()
    errors = fits[0].tree["standard_errors"]
    assert errors.attrs["method"] == "not asked for"
    with pytest.raises(mc.DataError, match="not asked for"):
        mc.delta_method(fits[0], lambda p: p["coefficients"][0, 0])


def test_saved_and_compared(fits: tuple[mc.Fit, mc.Fit], tmp_path: Any) -> None:
    saved = mc.load(fits[0].save(tmp_path / "fit.nc"))
    assert saved.summary()["se"].isna().all()
    comparison = mc.compare(fits[0], stand_in(fits[1], draws=150, chains=2))
    assert comparison.estimates["em_se"].isna().all()
    assert "not asked for" in " ".join(estimates_intro(comparison))


@pytest.mark.parametrize(("covariance", "by"), STRUCTURES)
@pytest.mark.parametrize("extended", [False, True])
def test_chunks_of_units_give_the_same_information(
    covariance: str, by: str, extended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: dict[str, Any] = {"common": "~ x1", "membership": "~ income", "unit_weights": "count"}
    case = build(covariance, by, m=2, k=3, seed=4, **(parts if extended else {}))
    at = case.model.from_raw(random_parameters(case, seed=5))
    whole = score_and_information(case.model, at)
    monkeypatch.setattr(information, "_CHUNK_VALUES", 400)
    parted = score_and_information(case.model, at)
    for name in ("score", "information", "outer"):
        expected = getattr(whole, name)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(getattr(parted, name), expected, atol=1e-12 * largest)


def test_units_that_cannot_be_in_a_class_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes far apart, with all units in each and with those alone that may be in it."""
    table = {"y": np.concatenate([np.linspace(-1, 1, 30), np.linspace(99, 101, 20)])}
    found = []
    for least in (1e-30, -1.0):
        monkeypatch.setattr(information, "_NOT_IN_CLASS", least)
        fit = mc.fit(mc.MixtureSpec("y ~ 1", n_components=2), table, starts=4, seed=1)
        found.append(fit.summary()["se"].to_numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    # Two samples on their own: the mean's error is s / sqrt(n).
    own = [np.std(part) / np.sqrt(len(part)) for part in (table["y"][:30], table["y"][30:])]
    names = list(fit.summary().index)
    means = [found[0][i] for i, name in enumerate(names) if "coefficients" in name]
    np.testing.assert_allclose(means, own, rtol=1e-8)


def test_a_chunk_without_a_unit_of_some_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units in order of their class, so that whole chunks are of one class."""
    unit = np.repeat(np.arange(40), 3)
    x = np.tile([0.0, 1.0, 2.0], 40)
    y = np.where(unit < 20, -50.0, 50.0) + x + np.random.default_rng(0).normal(size=120)
    table = {"unit": unit, "x": x, "y": y}
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
    whole = mc.fit(spec, table, starts=4, seed=1, standard_errors="sandwich")
    monkeypatch.setattr(information, "_CHUNK_VALUES", 100)
    parted = mc.fit(spec, table, starts=4, seed=1, standard_errors="sandwich")
    np.testing.assert_allclose(parted.summary()["se"], whole.summary()["se"], rtol=1e-9)
