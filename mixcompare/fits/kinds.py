"""The kinds of fits, by which everything above the backends tells them apart."""

from __future__ import annotations

import json
from typing import Final, Literal

import xarray as xr

type Kind = Literal["maximum", "mode", "posterior", "approximation", "foreign"]
"""A maximum of the likelihood, a mode of the posterior, draws from the posterior or from an
approximation of it, or what another program has fitted."""

OPTIMA: Final[tuple[Kind, ...]] = ("maximum", "mode")
DRAWN: Final[tuple[Kind, ...]] = ("posterior", "approximation")


def kind_of_before(tree: xr.DataTree) -> Kind:
    """The kind of a fit by an earlier version, which does not say it."""
    if "posterior" in tree.children:
        return "approximation" if tree.attrs["status"] == "approximate" else "posterior"
    return "mode" if json.loads(tree.attrs["options"])["estimator"] == "map" else "maximum"
