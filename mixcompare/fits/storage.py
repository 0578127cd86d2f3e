"""Fits on disk: one netCDF file that holds everything, written all or nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare.base.errors import DataError
from mixcompare.base.files.checksum import FORMAT, is_checked, last_line
from mixcompare.base.files.hdf5_check import check_structure
from mixcompare.base.files.hdf5_check import read_attributes as root_attributes
from mixcompare.base.files.staging import check_file_name, write_whole
from mixcompare.data.panel import Dropped, Panel
from mixcompare.fits.column_storage import decode_columns, encode_columns, escaped, unescaped
from mixcompare.model.layout import COMPONENT

_ENGINE: Final = "h5netcdf"
_VERSION: Final = "mixcompare_version"
# In the file alone: says that a checksum must follow.
_FORMAT_NAME: Final = "file_format"
_JSON: Final = ("spec", "options", "cautions", "versions")
_ATTRIBUTES: Final = (*_JSON, "backend", "fingerprint", "seed", "status", "message", "seconds")
_GROUPS: Final = ("panel", "estimate")
_NOT_CHECKED: Final = (
    "The file of this fit has no checksum, as an earlier version of mixcompare wrote it: damage "
    "to its numbers would not be noticed. Saved again, it has one."
)
# What earlier versions called the dimension of the classes.
_BEFORE: Final = "component"
_PREFIX: Final = "variable: "
# Arrays of a panel by their names in a file: dimensions and attribute; some may be missing.
_ARRAYS: Final = {
    "outcomes": (("row", "outcome"), "outcomes"),
    "covariates": (("row", "covariate"), "covariates"),
    "unit_index": (("row",), "unit"),
    "source_row": (("row",), "row"),
    "cell_index": (("row",), "cell"),
    "time": (("row",), "time"),
    "concomitants": (("unit", "concomitant"), "concomitants"),
    "unit_weights": (("unit",), "unit_weights"),
}
# Names of columns by the dimension along which they are.
_NAMES: Final = {
    "covariate": "covariate_names",
    "outcome": "outcome_names",
    "concomitant": "concomitant_names",
}


def save_tree(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a tree as netCDF, all or nothing, and its checksum behind it.

    Raises
    ------
    OptionError
        If the file cannot be written.
    """
    path = Path(path)
    check_file_name(path)
    marked = tree.copy(deep=False)
    marked.attrs = {**tree.attrs, _FORMAT_NAME: FORMAT}
    # In memory first: HDF5 itself crashes on a disk that is full.
    memory = io.BytesIO()
    marked.to_netcdf(memory, engine=_ENGINE)
    content = memory.getbuffer()
    write_whole(path, content, last_line(content))
    return path


def load_tree(path: str | Path) -> xr.DataTree:
    """Read a tree into memory.

    Returns
    -------
    The tree that was saved. Among its cautions is a sentence if the file has no checksum, as
    those of earlier versions have none.

    Raises
    ------
    DataError
        If there is no such file, it is not a saved fit, it is damaged, of a later version, or
        it refers to other files or to sizes that it does not have.
    """
    path = Path(path)
    if not path.is_file():
        why = (
            "it is a folder, and there is no such file"
            if path.is_dir()
            else "it is a device or a pipe, and there is no such file"
            if path.exists()
            else "there is no such file"
        )
        raise DataError(f"{path}: {why}.")
    with _explained(path):
        checked = is_checked(path)
        loaded = _read(path, checked=checked)
    if not checked and "cautions" in loaded.attrs:
        said = json.loads(loaded.attrs["cautions"])
        loaded.attrs["cautions"] = json.dumps([*dict.fromkeys([*said, _NOT_CHECKED])])
    return loaded


def check_whole(path: Path, tree: xr.DataTree) -> Panel:
    """Refuse a tree without what every fit has, or whose panel is not the one that was fitted.

    Returns
    -------
    The panel.

    Raises
    ------
    DataError
        It names what is missing.
    """
    absent = [name for name in _ATTRIBUTES if name not in tree.attrs]
    absent += [name for name in _GROUPS if name not in tree.children]
    if absent:
        raise DataError(
            f"{path} is a fit of another version of mixcompare ({tree.attrs[_VERSION]}): it lacks "
            f"{', '.join(absent)}. Fit again."
        )
    with _explained(path):
        for name in _JSON:
            json.loads(tree.attrs[name])
        panel = panel_from_dataset(tree["panel"].to_dataset())
    if panel.fingerprint != tree.attrs["fingerprint"]:
        raise DataError(
            f"{path} is damaged: its data are not those that were fitted (their fingerprint "
            f"is {panel.fingerprint[:12]}…, the fit's {str(tree.attrs['fingerprint'])[:12]}…). "
            "Take another copy of it, or fit again."
        )
    return panel


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in a sentence what HDF5, h5netcdf and xarray say of bytes that are not a fit's."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # any of many kinds
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError(
            f"{path} is not a netCDF file that can be read, or it is damaged: {reason}. Take "
            "another copy of it, or fit again."
        ) from error


def read_attributes(path: Path) -> dict[str, Any] | None:
    """What a fit's file says of itself, without its numbers; None if it is not a fit."""
    try:
        attributes = root_attributes(path)
    except Exception:  # as in `_explained`
        return None
    return attributes if _VERSION in attributes else None


def _read(path: Path, *, checked: bool) -> xr.DataTree:
    attributes = root_attributes(path)
    if _VERSION not in attributes:
        raise DataError(f"{path} is not a fit that mixcompare has saved.")
    if _FORMAT_NAME in attributes and not checked:
        raise DataError(
            f"{path} is damaged: the checksum at its end is missing or broken, so that it was cut "
            "off or rewritten by another program. Take another copy of it, or fit again."
        )
    check_structure(path)
    with xr.open_datatree(path, engine=_ENGINE) as tree:
        loaded: xr.DataTree = tree.load()
    loaded.attrs.pop(_FORMAT_NAME, None)
    for name, group in loaded.children.items():
        if _BEFORE in group.dims:
            loaded[name] = xr.DataTree(group.to_dataset().rename({_BEFORE: COMPONENT}))
    return loaded


def panel_to_dataset(panel: Panel) -> xr.Dataset:
    """The panel as a dataset with dims row, unit, covariate, outcome, concomitant.

    Raw columns are stored as `mixcompare.fits.column_storage.encode_columns` says.
    """
    variables = {
        name: (dims, getattr(panel, field))
        for name, (dims, field) in _ARRAYS.items()
        if getattr(panel, field) is not None
    }
    for name, values in panel.variables.items():
        variables[_PREFIX + escaped(name)] = (("row",), values)
    by_row, columns = encode_columns(panel.columns, "row", panel.variables)
    by_unit, unit_columns = encode_columns(panel.unit_columns, "unit", {})
    names = {dim: getattr(panel, field) for dim, field in _NAMES.items()}
    return xr.Dataset(
        variables | by_row | by_unit,
        coords={
            "unit": panel.unit_labels,
            **{dim: np.array(listed, dtype=object) for dim, listed in names.items()},
        },
        attrs={
            "dropped": json.dumps(asdict(panel.dropped)),
            "source": panel.source or "",
            "common": json.dumps(panel.common_names),
            "columns": columns,
            "unit_columns": unit_columns,
        },
    )


def panel_from_dataset(dataset: xr.Dataset) -> Panel:
    """The inverse of `panel_to_dataset`."""
    dropped = json.loads(dataset.attrs["dropped"])
    variables = {
        unescaped(str(name).removeprefix(_PREFIX)): dataset[name].to_numpy()
        for name in dataset.data_vars
        if str(name).startswith(_PREFIX)
    }
    attrs, labels = dataset.attrs, dataset["unit"].to_numpy()
    arrays = {
        field: dataset[name].to_numpy() if name in dataset else None
        for name, (_, field) in _ARRAYS.items()
    }
    names = {field: tuple(map(str, dataset[dim].to_numpy())) for dim, field in _NAMES.items()}
    stored: dict[str, Any] = {**arrays, **names}
    return Panel(
        **stored,
        # Texts are objects in a panel that was just built.
        unit_labels=labels.astype(object) if labels.dtype.kind == "U" else labels,
        variables=variables,
        dropped=Dropped(
            dropped["rows"], dropped["units"], tuple((c, n) for c, n in dropped["by_column"])
        ),
        source=attrs["source"] or None,
        common_names=tuple(json.loads(attrs["common"])),
        columns=decode_columns(dataset, attrs["columns"], "row", variables),
        unit_columns=decode_columns(dataset, attrs["unit_columns"], "unit", {}),
    )
