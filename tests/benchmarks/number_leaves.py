"""Results of the package as a flat mapping from names to arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

import mixcompare as mc

type Array = NDArray[Any]

# What differs from run to run of the same code, and why it is left out.
EXCLUDED: Mapping[str, str] = {
    "seconds": "wall time",
    "created": "date",
    "versions": "libraries' versions",
    "mixcompare_version": "the package's version",
    "machine": "kind of processor",
}

# Documented attributes of results that are no data set; others are a matter of the code.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "Fit": (
        "tree",
        "log_likelihood",
        "n_parameters",
        "n_independent",
        "replicated",
        "sandwich_se",
    ),
    "Comparison": (
        "permutation",
        "aligned",
        "posterior_responsibilities",
        "estimates",
        "likelihoods",
        "agreement",
        "membership",
        "switching",
        "algorithms",
        "invariants",
        "modes",
        "optima",
        "priors",
        "fits",
        "side_by_side",
        "runs",
        "sensitivity",
        "loo",
        "prior_check",
        "predictive_check",
        "verdicts",
        "restart",
        "ordered_by",
        "conclusion",
    ),
    "Selection": ("fits", "table", "tests", "posteriors", "loo", "choices", "notes"),
    "LeaveOneOut": ("units", "elpd", "se", "p", "sentence"),
    "PredictiveCheck": ("table", "sentence", "tree"),
    "PriorPredictive": ("table", "sentence", "tree"),
    "Calibration": ("ranks", "replicates", "table", "sentence"),
    "Audit": ("iterations", "findings", "finding", "passed", "causes"),
    "Panel": (
        "outcomes",
        "covariates",
        "unit",
        "unit_labels",
        "cell",
        "row",
        "outcome_names",
        "covariate_names",
        "variables",
        "common_names",
        "concomitants",
        "concomitant_names",
        "unit_weights",
        "fingerprint",
    ),
}


def leaves(value: Any, name: str) -> Iterator[tuple[str, Array]]:
    """Every array in a result under a name of its own.

    Raises
    ------
    TypeError
        If a part is of a kind that is not known here, rather than to leave it out.
    """
    if name.rpartition("/")[2] in EXCLUDED:
        return
    kind = type(value).__name__
    if kind in ATTRIBUTES:
        for attribute in ATTRIBUTES[kind]:
            yield from leaves(getattr(value, attribute), f"{name}/{attribute}")
        if kind == "Fit":
            yield from leaves(value.summary(), f"{name}/summary")
    elif isinstance(value, xr.DataTree):
        for group in value.subtree:
            place = f"{name}{group.path.rstrip('/')}"
            yield from leaves(dict(group.attrs), f"{place}/attrs")
            for variable, column in group.variables.items():
                yield from leaves(column.to_numpy(), f"{place}/{variable}")
    elif isinstance(value, xr.Dataset):
        yield from leaves(dict(value.attrs), f"{name}/attrs")
        for variable, column in value.variables.items():
            yield from leaves(column.to_numpy(), f"{name}/{variable}")
    elif isinstance(value, pd.DataFrame):
        if "measure" in value.columns:
            value = value[~value["measure"].isin(EXCLUDED)]
        yield from leaves(value.index.to_numpy(), f"{name}/index")
        for label in value.columns:
            yield from leaves(value[label].to_numpy(), f"{name}/{label}")
    elif isinstance(value, pd.Series):
        yield from leaves(value.index.to_numpy(), f"{name}/index")
        yield from leaves(value.to_numpy(), f"{name}/values")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{name}/{key}")
    elif isinstance(value, Path):
        yield from _folder(value, name)
    else:
        yield name, _plain(value, name)


def _plain(value: Any, name: str) -> Array:
    """An array without Python objects."""
    if isinstance(value, xr.DataArray):
        value = value.to_numpy()
    if value is None or isinstance(value, (str, bool, int, float, np.generic)):
        return np.array(str(value) if value is None else value)
    if isinstance(value, (list, tuple)):
        value = np.array([_text(part) for part in value], dtype=object)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: {type(value)} is no kind of result that is known here.")
    if value.dtype.kind not in "OT":
        return value
    parts = value.ravel()
    if all(isinstance(part, (int, float, np.number)) for part in parts):
        return value.astype(float)
    return np.array([_text(part) for part in parts], dtype=str).reshape(value.shape)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _folder(folder: Path, name: str) -> Iterator[tuple[str, Array]]:
    """Fits and tables that a study has left in a folder."""
    for path in sorted(folder.rglob("*")):
        place = f"{name}/{path.relative_to(folder)}"
        if path.suffix == ".nc":
            yield from leaves(mc.load(path), place)
        elif path.suffix == ".csv":
            yield from leaves(pd.read_csv(path), place)
