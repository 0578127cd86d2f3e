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


def stored_kind(tree: xr.DataTree) -> Kind:
    """The kind of a stored fit; trees of earlier versions do not say it."""
    said: Kind | None = tree.attrs.get("kind")
    if said is not None:
        return said
    if "posterior" in tree.children:
        return "approximation" if tree.attrs["status"] == "approximate" else "posterior"
    return "mode" if json.loads(tree.attrs["options"])["estimator"] == "map" else "maximum"
