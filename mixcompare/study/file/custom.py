"""Functions of the user's own that a study file names: loaders and data-generating mechanisms."""

from __future__ import annotations

import hashlib
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mixcompare import datasets
from mixcompare.base.arrays import IntArray
from mixcompare.base.errors import DataError, MixCompareError
from mixcompare.data.panel import Panel
from mixcompare.data.tables import read_table

# Column in which a mechanism says the true class of each row's unit, counted from 0.
CLASS: Final = "class"


def call(reference: str, *given: Any, **arguments: Any) -> pd.DataFrame:
    """The table that a function gives.

    Parameters
    ----------
    reference
        ``"package.module:function"``.
    *given, **arguments
        What it is called with.

    Raises
    ------
    DataError
        If there is no such function, it raises an error, ends the process or gives no table.
    """
    function = _find(reference)
    try:
        made = function(*given, **arguments)
    except MixCompareError:
        raise
    except (Exception, SystemExit) as error:
        raise _unusable(reference, error) from error
    try:
        return read_table(made)
    except (MixCompareError, TypeError) as error:
        raise _unusable(reference, error) from error


def is_shipped(reference: str) -> bool:
    """Whether a function loads one of the panels that ship with mixcompare, and nothing else.

    Parameters
    ----------
    reference
        ``"package.module:function"``.
    """
    module, name = reference.split(":")
    function = getattr(datasets, name, None) if module == datasets.__name__ else None
    return getattr(function, "__module__", None) == datasets.__name__


def source_of(reference: str) -> tuple[str, str]:
    """Name and SHA-256 of the file that defines a function; of its module's if it has none.

    Parameters
    ----------
    reference
        ``"package.module:function"``.

    Raises
    ------
    DataError
        If there is no such function.
    """
    function = inspect.unwrap(_find(reference))
    try:
        file = inspect.getfile(function)
    except TypeError:  # a compiled function, or an object that is called
        file = sys.modules[reference.split(":")[0]].__file__ or ""
    return Path(file).name, hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _find(reference: str) -> Any:
    try:
        return pkgutil.resolve_name(reference)
    except (Exception, SystemExit) as error:  # a module runs when it is imported
        raise _unusable(reference, error) from error


def _unusable(reference: str, error: BaseException) -> DataError:
    plain = isinstance(error, ImportError | AttributeError | MixCompareError)
    said = str(error).removesuffix(".") if plain else repr(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames[1:] else ""
    return DataError(f"the function {reference!r} cannot be used: {said}{place}.")


def mechanism(
    reference: str,
    truth: Mapping[str, Any],
    arguments: Mapping[str, Any],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One data set of a mechanism.

    Parameters
    ----------
    reference
        A function that is called with `rng`, with the keywords of `truth`, and with
        `arguments`; it gives a table of the model's columns, outcomes among them, and of
        ``class``, the true class of each row's unit, counted from 0.
    truth
        weights, coefficients and covariance as the study file states them.
    arguments
        Further keywords.

    Raises
    ------
    DataError
        If the function cannot be used or its table lacks the column ``class``.
    """
    frame = call(reference, rng, **truth, **arguments)
    if CLASS not in frame.columns:
        raise DataError(
            f"the table of {reference!r} has no column {CLASS!r}, which must say the true class "
            f"of each row's unit, from 0; it has {', '.join(map(str, frame.columns))}."
        )
    return frame


def true_classes(reference: str, frame: pd.DataFrame, panel: Panel, k: int) -> IntArray:
    """(G,) true classes of a panel's units.

    Raises
    ------
    DataError
        If the column ``class`` has other values than 0 to K - 1, or several in one unit.
    """
    by_row = frame[CLASS].to_numpy()[panel.row]
    if not np.isin(by_row, range(k)).all():
        raise DataError(
            f"the column {CLASS!r} of {reference!r} must have classes from 0 to {k - 1}, not "
            f"{sorted(set(by_row.tolist()) - set(range(k)))[0]!r}."
        )
    classes = np.zeros(panel.n_units, dtype=np.intp)
    classes[panel.unit] = by_row
    if (classes[panel.unit] != by_row).any():
        unit = panel.unit_labels[panel.unit[classes[panel.unit] != by_row][0]]
        raise DataError(f"the column {CLASS!r} of {reference!r} has two classes in unit {unit}.")
    return classes
