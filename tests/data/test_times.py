"""The order of a unit's rows where a time is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.checking.discrepancies import layout

SPEC = mc.MixtureSpec("y ~ x", unit="unit", time="visit", n_components=2)
PLAIN = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(8), 5)
    visit = np.tile([0.5, 1.0, 4.0, 9.0, 10.0], 8)
    rows = pd.DataFrame({"unit": unit, "visit": visit, "x": rng.normal(size=40)})
    rows["y"] = np.where(unit < 4, 3.0, -3.0) + rng.normal(size=40)
    return rows.sample(frac=1, random_state=0).reset_index(drop=True)


def test_rows_follow_time_within_units() -> None:
    panel = mc.build_panel(SPEC, table())
    assert panel.time is not None
    np.testing.assert_array_equal(panel.time, np.tile([0.5, 1.0, 4.0, 9.0, 10.0], 8))
    np.testing.assert_array_equal(panel.outcomes[:, 0], table()["y"].to_numpy()[panel.row])
    first, second = layout(panel).successive
    assert (panel.time[second] > panel.time[first]).all()
    assert (panel.unit[second] == panel.unit[first]).all()
    assert len(first) == 32
    np.testing.assert_array_equal(panel.only_unit(3).time, panel.time[15:20])


def test_and_within_cells() -> None:
    data = table().assign(cell=lambda t: (t["visit"] > 2) + 2 * t["unit"])
    spec = mc.MixtureSpec("y ~ x", unit="unit", absorb="cell", time="visit", n_components=2)
    panel = mc.build_panel(spec, data)
    assert panel.time is not None
    assert panel.cell is not None
    inside = np.diff(panel.cell) == 0
    assert (np.diff(panel.time)[inside] > 0).all()
    # The same time in two cells of a unit is no slip.
    mc.build_panel(spec, data.assign(visit=lambda t: t["visit"] % 4))


def test_without_time_the_panel_is_as_it_was() -> None:
    panel = mc.build_panel(PLAIN, table())
    assert panel.time is None
    ordered = np.lexsort((panel.outcomes[:, 0], panel.covariates[:, 1], panel.unit))
    np.testing.assert_array_equal(ordered, np.arange(40))
    timed = mc.build_panel(SPEC, table())
    assert timed.fingerprint != panel.fingerprint
    assert "time" not in (panel.source or "")


def dates(days: pd.Series) -> pd.Series:
    return pd.Series(pd.to_datetime(days.to_numpy(), unit="D"), index=days.index)


@pytest.mark.parametrize(
    "as_dates",
    [
        lambda days: dates(days),
        lambda days: dates(days).dt.strftime("%Y-%m-%dT%H:%M"),
        lambda days: days.astype(str),
        lambda days: days.astype(object),
    ],
    ids=["dates", "texts of dates", "texts of numbers", "objects"],
)
def test_dates_are_days(as_dates: Any) -> None:
    data = table()
    panel = mc.build_panel(SPEC, data.assign(visit=as_dates(data["visit"])))
    assert panel.time is not None
    np.testing.assert_allclose(panel.time, np.tile([0.5, 1.0, 4.0, 9.0, 10.0], 8))


def test_two_rows_at_one_time_are_refused() -> None:
    data = table()
    data.loc[data["unit"] == 6, "visit"] = [1.0, 2.0, 3.0, 2.0, 5.0]
    rows = data.index[data["unit"] == 6]
    with pytest.raises(mc.DataError) as raised:
        mc.build_panel(SPEC, data)
    said = str(raised.value)
    assert "time 'visit' is 2.0" in said
    assert "unit=6" in said
    assert f"row {rows[1]} " in said
    assert f"row {rows[3]} " in said


@pytest.mark.parametrize("value", [None, np.inf, "soon", True])
def test_what_is_no_time_is_refused(value: Any) -> None:
    data = table()
    data["visit"] = data["visit"].astype(object)
    data.loc[7, "visit"] = value
    with pytest.raises(mc.DataError, match=r"visit.*row 7 ") as raised:
        mc.build_panel(SPEC, data)
    if value is not None:
        assert f"of the unit {data['unit'][7]}" in str(raised.value)
    assert len(mc.build_panel(PLAIN, data).unit) == 40


def test_a_fit_keeps_its_times(tmp_path: Path) -> None:
    timed, plain = (mc.fit(spec, table(), starts=3, seed=1) for spec in (SPEC, PLAIN))
    assert timed.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    loaded = mc.load(timed.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(loaded.panel.time, timed.panel.time)
    assert loaded.panel.fingerprint == timed.fingerprint
    assert mc.load(plain.save(tmp_path / "plain.nc")).panel.time is None
    mc.predict(loaded, table())
