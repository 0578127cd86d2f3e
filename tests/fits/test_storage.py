"""Fits on disk: complete, identical, or an error and nothing."""

import os
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixcompare.base.errors import DataError, OptionError
from mixcompare.data.panel import Panel, build_panel
from mixcompare.fits.storage import load_tree, panel_from_dataset, panel_to_dataset, save_tree
from mixcompare.model.spec import MixtureSpec

ODD_NAMES = ["a/b", "/", "a/b/c", "%2F", "50%/a", "é", "日本", "a b", "variable: x", "row"]
ODD_NAMES += ["unit_index", "outcomes", "..", "x\\y", "x'y", 'x"y', "log(z)", "a:b"]


def frame(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 24))
    table = pd.DataFrame({"unit": np.repeat(np.arange(6), 4), "x": x, "y": y})
    return table.assign(**columns)


def panel(formula: str, data: pd.DataFrame, **options: Any) -> Panel:
    spec = MixtureSpec(formula, **{"unit": "unit", "n_components": 2, **options})
    return build_panel(spec, data, missing="drop")


def tree_of(built: Panel) -> xr.DataTree:
    tree = xr.DataTree.from_dict({"panel": panel_to_dataset(built)})
    tree.attrs["mixcompare_version"] = "0"
    return tree


def assert_survives(built: Panel, folder: Path) -> None:
    path = save_tree(tree_of(built), folder / "fit.nc")
    again = panel_from_dataset(load_tree(path)["panel"].to_dataset())
    assert again.fingerprint == built.fingerprint
    assert again.unit_labels.tolist() == built.unit_labels.tolist()
    assert again.covariate_names == built.covariate_names
    assert again.outcome_names == built.outcome_names
    for name in ("rows", "units", "by_column"):
        assert getattr(again.dropped, name) == getattr(built.dropped, name)
    for name in ("outcomes", "covariates", "unit", "row"):
        np.testing.assert_array_equal(getattr(again, name), getattr(built, name))
        assert getattr(again, name).dtype == getattr(built, name).dtype
    assert (again.cell is None) == (built.cell is None)
    if built.cell is not None and again.cell is not None:
        np.testing.assert_array_equal(again.cell, built.cell)
    assert list(again.variables) == list(built.variables)
    for name, values in built.variables.items():
        np.testing.assert_array_equal(again.variables[name], values)
    for name in ("columns", "unit_columns"):
        frames = getattr(again, name), getattr(built, name)
        assert (frames[0] is None) == (frames[1] is None)
        if frames[0] is not None:
            pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize(
    "labels",
    [
        list(range(6)),
        list("abcdef"),
        ["é", "日本", "a/b", "", "two words", "line\nbreak"],
        ["a", "a\0", "b\0", 1, "1", (1, 2)],
        [2**70, 1, 2, 3, 4, 5],
        [-(2**63), 2**63 - 1, 0, 1, 2, 3],
    ],
    ids=["int", "str", "odd", "mixed", "huge", "limits"],
)
@pytest.mark.parametrize("absorb", [None, "unit"])
def test_labels_and_cells(labels: list[Any], absorb: str | None, tmp_path: Path) -> None:
    unit = pd.Series([labels[i] for i in np.repeat(np.arange(6), 4)], dtype=object)
    assert_survives(panel("y ~ x", frame(unit=unit), absorb=absorb), tmp_path)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_variables(name: str, tmp_path: Path) -> None:
    data = frame(z=1.5).rename(columns={"x": name})
    assert_survives(panel(f"y ~ `{name}`", data), tmp_path)
    assert_survives(panel(f"`{name}` ~ y", data), tmp_path)


COLUMNS: dict[str, Any] = {
    "texts": list("abcb"),
    "odd texts": ["", "é\n", "a b", "1"],
    "texts and numbers": ["a", 1, 2.5, "1"],
    "categories": pd.Categorical(list("abcb"), categories=list("zcba")),
    "ordered": pd.Categorical(list("abcb"), categories=list("cba"), ordered=True),
    "integer categories": pd.Categorical([3, 1, 2, 2]),
    "booleans": [True, False, True, False],
    "dates": pd.date_range("2020", periods=4),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_behind_the_formula(kind: str, tmp_path: Path) -> None:
    data = frame().iloc[:4].assign(**{"a/b": COLUMNS[kind]}, w=[1.0, 2.0, 1.0, 3.0])
    built = panel("log(w) ~ C(`a/b`)", data, unit=None, membership="~ C(`a/b`)")
    assert_survives(built, tmp_path)
    if kind != "dates":
        assert_survives(panel("log(w) ~ `a/b`", data, unit=None), tmp_path)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "Int64", "float32", "int32[pyarrow]"])
def test_numbers_inside_categories_are_stored_as_they_are(dtype: Any, tmp_path: Path) -> None:
    built = panel("y ~ C(k)", frame(k=pd.array(np.arange(24) % 4, dtype=dtype)))
    path = save_tree(tree_of(built), tmp_path / "fit.nc")
    again = panel_from_dataset(load_tree(path)["panel"].to_dataset()).columns
    assert again is not None
    assert built.columns is not None
    assert again["k"].dtype.kind == built.columns["k"].dtype.kind
    assert again["k"].tolist() == built.columns["k"].tolist()


def test_labels_without_a_json_form_become_texts_in_their_order(tmp_path: Path) -> None:
    k = pd.cut(frame().x, [-9, -0.5, 0.5, 9])
    path = save_tree(tree_of(panel("y ~ k", frame(k=k))), tmp_path / "fit.nc")
    again = panel_from_dataset(load_tree(path)["panel"].to_dataset()).columns
    assert again is not None
    assert again["k"].cat.categories.tolist() == ["(-9.0, -0.5]", "(-0.5, 0.5]", "(0.5, 9.0]"]


def test_a_column_that_is_a_variable_already_is_stored_once(tmp_path: Path) -> None:
    dataset = panel_to_dataset(panel("y ~ x + bs(x, df=4)", frame()))
    assert [name for name in dataset.data_vars if str(name).endswith(": x")] == ["variable: x"]


def test_what_was_dropped(tmp_path: Path) -> None:
    y = frame().y.where(frame().index > 5)
    assert_survives(panel("y ~ x", frame(y=y)), tmp_path)
    assert_survives(panel("y ~ x", frame(y=y), unit=None), tmp_path)


def test_a_failure_while_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fit.nc"
    path.write_text("the fit of yesterday")

    def fail(self: xr.DataTree, target: Any, **options: Any) -> None:
        target.write(b"half")
        raise RuntimeError("power cut")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        save_tree(tree_of(panel("y ~ x", frame())), path)
    assert os.listdir(tmp_path) == ["fit.nc"]
    assert path.read_text() == "the fit of yesterday"


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    for _ in range(2):
        save_tree(tree_of(panel("y ~ x", frame())), tmp_path / "fit.nc")
    assert os.listdir(tmp_path) == ["fit.nc"]
    # Others may read it as they may read any new file.
    (tmp_path / "plain").touch()
    assert (tmp_path / "fit.nc").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    tree = tree_of(panel("y ~ x", frame()))
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "fit.nc", tmp_path):
        with pytest.raises(OptionError, match="cannot write"):
            save_tree(tree, place)
    assert os.listdir(tmp_path) == ["file"]


def test_folders_are_made(tmp_path: Path) -> None:
    tree = tree_of(panel("y ~ x", frame()))
    assert load_tree(save_tree(tree, tmp_path / "a" / "b" / "fit.nc")).identical(tree)
    assert os.listdir(tmp_path / "a" / "b") == ["fit.nc"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OptionError, match=r"cannot write .*Permission denied"):
        save_tree(tree_of(panel("y ~ x", frame())), tmp_path / "fit.nc")


def test_files_that_are_not_fits(tmp_path: Path) -> None:
    whole = save_tree(tree_of(panel("y ~ x", frame())), tmp_path / "fit.nc").read_bytes()
    contents = {"text.nc": b"hello", "empty.nc": b"", "half.nc": whole[: len(whole) // 2]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not a netCDF file"):
            load_tree(tmp_path / name)
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = [1, 2]
    for name in ("other.nc", "other.h5"):
        with pytest.raises(DataError, match="not a fit"):
            load_tree(tmp_path / name)
    for path in (tmp_path / "absent.nc", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            load_tree(path)
