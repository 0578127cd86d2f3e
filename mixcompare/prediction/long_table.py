"""Predictions as one tidy table, a line for each row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import kind_of

_BY_UNIT = ("prior_probabilities", "responsibilities")


def prediction_table(predicted: xr.Dataset) -> pd.DataFrame:
    """Lay out what `mixcompare.predict` returns, a line for each row of the data.

    Columns are ``row``, ``unit``, ``class`` (the likeliest given the outcomes, or before
    them), class probabilities, fitted values and the unit's log predictive density, named as
    in ``responsibilities[1]``, ``fitted_by_class[1, y]`` and ``fitted[y]`` (without the outcome
    where there is one), with ``_lower`` and ``_upper`` beside them where there are intervals.

    Raises
    ------
    OptionError
        If it is something else.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> em = mc.fit(spec, load("gapminder"), starts=5, seed=1)
    >>> table = mc.prediction_table(mc.predict(em, load("gapminder")))
    >>> len(table), list(table.columns[:3])
    (1704, ['row', 'unit', 'class'])
    """
    if not isinstance(predicted, xr.Dataset) or "unit_index" not in predicted:
        raise OptionError(
            f"prediction_table lays out what mixcompare.predict returns, not {kind_of(predicted)}."
        )
    unit = predicted["unit_index"].to_numpy()
    columns: dict[str, object] = {
        "row": predicted["row"].to_numpy(),
        "unit": predicted["unit"].to_numpy()[unit],
    }
    likeliest = [name for name in _BY_UNIT if name in predicted][-1]
    columns["class"] = predicted[likeliest].to_numpy().argmax(axis=1)[unit] + 1
    for name in predicted.data_vars:
        if name == "unit_index" or str(name).endswith("_interval"):
            continue
        columns |= dict(_columns(predicted, str(name), unit))
    return pd.DataFrame(columns)


def _columns(
    predicted: xr.Dataset, name: str, unit: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """A variable's columns, each followed by its bounds."""
    array = _by_row(predicted[name], unit)
    interval = f"{name}_interval"
    bounds = _by_row(predicted[interval], unit) if interval in predicted else None
    for index, label in _elements(array):
        yield f"{name}{label}", array.isel(index).to_numpy()
        if bounds is not None:
            for bound in ("lower", "upper"):
                yield f"{name}_{bound}{label}", bounds.sel(bound=bound).isel(index).to_numpy()


def _by_row(array: xr.DataArray, unit: np.ndarray) -> xr.DataArray:
    return array.isel(unit=xr.DataArray(unit, dims="row")) if "unit" in array.dims else array


def _elements(array: xr.DataArray) -> Iterator[tuple[dict[str, int], str]]:
    others = [dim for dim in array.dims if dim != "row"]
    for position in np.ndindex(*(array.sizes[dim] for dim in others)):
        index = {str(dim): i for dim, i in zip(others, position, strict=True)}
        named = [dim for dim in index if dim != "outcome" or array.sizes[dim] > 1]
        inside = ", ".join(str(array[dim].to_numpy()[index[dim]]) for dim in named)
        yield index, f"[{inside}]" if inside else ""
