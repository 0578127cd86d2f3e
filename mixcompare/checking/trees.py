"""Predictive draws as groups that ArviZ knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel

# Draws of outcomes are kept up to so many numbers; statistics always use all draws.
KEPT_VALUES: Final = 10_000_000


def predictive_tree(group: str, panel: Panel, outcomes: Sequence[FloatArray]) -> xr.DataTree:
    """Groups of one chain of S draws, and of the observed outcomes.

    Parameters
    ----------
    group
        ``"prior_predictive"`` or ``"posterior_predictive"``.
    outcomes
        S arrays (N, m).

    Returns
    -------
    The group and ``observed_data``, with outcomes (chain, draw, row, outcome) and (row,
    outcome); rows in the order of the panel, with their numbers in the table.
    """
    own = {"row": panel.row, "outcome": np.array(panel.outcome_names, dtype=object)}
    sample = {"chain": np.zeros(1, dtype=int), "draw": np.arange(len(outcomes))}
    dims = ("chain", "draw", "row", "outcome")
    return xr.DataTree.from_dict(
        {
            group: xr.Dataset({"outcomes": (dims, np.stack(outcomes)[None])}, coords=sample | own),
            "observed_data": xr.Dataset({"outcomes": (dims[2:], panel.outcomes)}, coords=own),
        }
    )
