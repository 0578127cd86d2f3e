"""Predictive draws as groups that ArviZ knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.fits.column_storage import escaped

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
    The group and ``observed_data``, with a variable (chain, draw, row) and (row) for each
    outcome, under its name but without slashes, as `escaped` has it; rows in the order of the
    panel, with their numbers in the table. ArviZ cannot draw outcomes that share a variable.
    """
    drawn = np.stack(outcomes)[None]
    names = [escaped(name) for name in panel.outcome_names]
    sample = {"chain": np.zeros(1, dtype=int), "draw": np.arange(len(outcomes))}
    rows = {"row": panel.row}
    return xr.DataTree.from_dict(
        {
            group: xr.Dataset(
                {name: (("chain", "draw", "row"), drawn[..., j]) for j, name in enumerate(names)},
                coords=sample | rows,
            ),
            "observed_data": xr.Dataset(
                {name: (("row",), panel.outcomes[:, j]) for j, name in enumerate(names)},
                coords=rows,
            ),
        }
    )


def predictive_draws(tree: xr.DataTree, group: str, panel: Panel) -> FloatArray:
    """(S, N, m) outcomes in a group of a `predictive_tree`."""
    each = [tree[group][escaped(name)].to_numpy()[0] for name in panel.outcome_names]
    return np.stack(each, axis=-1)
