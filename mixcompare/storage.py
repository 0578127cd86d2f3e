"""Fits on disk: one netCDF file that holds everything, written all or nothing."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare.column_storage import decode_columns, encode_columns, escaped, unescaped
from mixcompare.errors import DataError, OptionError
from mixcompare.panel import Dropped, Panel

_ENGINE: Final = "h5netcdf"
_PREFIX = "variable: "


def save_tree(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a tree as netCDF under a temporary name, then rename it.

    Raises
    ------
    OptionError
        If the folder does not exist or cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise OptionError(f"cannot write {path}: it is a folder. Name a file in it.")
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise OptionError(
            f"cannot write {path}: {error.strerror}. Choose another folder."
        ) from error
    try:
        tree.to_netcdf(temporary, engine=_ENGINE)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_tree(path: str | Path) -> xr.DataTree:
    """Read a tree into memory.

    Raises
    ------
    DataError
        If there is no such file or it is not a saved fit.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        with xr.open_datatree(path, engine=_ENGINE, phony_dims="sort") as tree:
            loaded = tree.load()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a netCDF file: {str(error).splitlines()[0]}") from error
    if "mixcompare_version" not in loaded.attrs:
        raise DataError(f"{path} is not a fit that mixcompare has saved.")
    return loaded


def panel_to_dataset(panel: Panel) -> xr.Dataset:
    """The panel as a dataset with dims row, unit, covariate, outcome, concomitant.

    Raw columns are stored as `mixcompare.column_storage.encode_columns` says.
    """
    variables: dict[str, Any] = {
        "outcomes": (("row", "outcome"), panel.outcomes),
        "covariates": (("row", "covariate"), panel.covariates),
        "unit_index": (("row",), panel.unit),
        "source_row": (("row",), panel.row),
    }
    if panel.cell is not None:
        variables["cell_index"] = (("row",), panel.cell)
    if panel.concomitants is not None:
        variables["concomitants"] = (("unit", "concomitant"), panel.concomitants)
    if panel.unit_weights is not None:
        variables["unit_weights"] = (("unit",), panel.unit_weights)
    for name, values in panel.variables.items():
        variables[_PREFIX + escaped(name)] = (("row",), values)
    by_row, columns = encode_columns(panel.columns, "row", panel.variables)
    by_unit, unit_columns = encode_columns(panel.unit_columns, "unit", {})
    dropped = {
        "rows": panel.dropped.rows,
        "units": panel.dropped.units,
        "by_column": panel.dropped.by_column,
    }
    return xr.Dataset(
        variables | by_row | by_unit,
        coords={
            "unit": panel.unit_labels,
            "covariate": np.array(panel.covariate_names, dtype=object),
            "outcome": np.array(panel.outcome_names, dtype=object),
            "concomitant": np.array(panel.concomitant_names, dtype=object),
        },
        attrs={
            "dropped": json.dumps(dropped),
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
    attrs = dataset.attrs
    return Panel(
        outcomes=dataset["outcomes"].to_numpy(),
        covariates=dataset["covariates"].to_numpy(),
        unit=dataset["unit_index"].to_numpy(),
        unit_labels=dataset["unit"].to_numpy(),
        cell=_optional(dataset, "cell_index"),
        row=dataset["source_row"].to_numpy(),
        outcome_names=tuple(map(str, dataset["outcome"].to_numpy())),
        covariate_names=tuple(map(str, dataset["covariate"].to_numpy())),
        variables=variables,
        dropped=Dropped(
            dropped["rows"], dropped["units"], tuple((c, n) for c, n in dropped["by_column"])
        ),
        source=attrs["source"] or None,
        common_names=tuple(json.loads(attrs["common"])),
        concomitants=_optional(dataset, "concomitants"),
        concomitant_names=tuple(map(str, dataset["concomitant"].to_numpy())),
        unit_weights=_optional(dataset, "unit_weights"),
        columns=decode_columns(dataset, attrs["columns"], "row", variables),
        unit_columns=decode_columns(dataset, attrs["unit_columns"], "unit", {}),
    )


def _optional(dataset: xr.Dataset, name: str) -> np.ndarray | None:
    return dataset[name].to_numpy() if name in dataset else None
