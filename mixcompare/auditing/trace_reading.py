"""The iterates of somebody else's EM, from whatever holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mixcompare.auditing.trace import Trace, check_trace
from mixcompare.auditing.trace_format import AXES, TraceError
from mixcompare.auditing.trace_table import read_long
from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel
from mixcompare.model.layout import COMPONENT
from mixcompare.model.spec import MixtureSpec


def read_trace(spec: MixtureSpec, panel: Panel, trace: Any) -> Trace:
    """Iterates from a mapping of arrays, an xarray Dataset, or a long table or its path.

    Raises
    ------
    TraceError
        If something is missing, of the wrong shape, or not a possible parameter.
    """
    if isinstance(trace, xr.Dataset):
        return check_trace(spec, panel, _from_dataset(panel, trace))
    if isinstance(trace, Mapping) and "parameter" not in trace:
        return check_trace(spec, panel, trace)
    try:
        return check_trace(spec, panel, read_long(spec, panel, trace))
    except DataError as error:
        where = f"{trace}: " if isinstance(trace, (str, Path)) else ""
        raise TraceError(f"the trace cannot be read: {where}{error}") from error


def _from_dataset(panel: Panel, data: xr.Dataset) -> dict[str, Any]:
    """Arrays of a Dataset whose dimensions are named; labelled axes are put in order."""
    if COMPONENT in data.dims:  # as in the tree of a fit
        data = data.rename({COMPONENT: "component"})
    if "iteration" in data.dims:
        data = data.transpose("iteration", ...)
    for dim, labels in (
        ("covariate", panel.covariate_names),
        ("outcome", panel.outcome_names),
        ("outcome_bis", panel.outcome_names),
        ("unit", panel.unit_labels),
    ):
        if dim in data.coords:
            absent = [label for label in labels if label not in data[dim].to_numpy()]
            if absent:
                raise TraceError(
                    f"the trace's {dim} coordinate lacks {absent[0]!r}. Label the {dim}s as the "
                    "panel does."
                )
            data = data.sel({dim: list(labels)})
    arrays: dict[str, Any] = {}
    for name in map(str, data.data_vars):
        allowed = ("iteration", *AXES[name]) if name in AXES else ()
        dims = [dim for dim in allowed if dim in data[name].dims]
        if set(dims) != set(data[name].dims):
            raise TraceError(
                f"{name!r} of the trace has the dimensions {data[name].dims}; allowed for it: "
                f"{allowed or 'none, it is unknown'}."
            )
        arrays[name] = data[name].transpose(*dims).to_numpy()
    if "iteration" in data.coords:
        arrays["iteration"] = data["iteration"].to_numpy()
    return arrays
