"""The one result format: a DataTree with the same names, dims and coordinates from any backend.

Groups that every fit has
    ``estimate``: weights (component), coefficients (component, covariate, outcome),
    covariance (component, outcome, outcome_bis), responsibilities (unit, component), and with
    membership covariates membership_coefficients (component, concomitant), the log-odds against
    the first class, beside which weights are average class probabilities. EM: the maximum,
    with log_likelihood (unit). PyMC: posterior means of the aligned draws.
    ``panel``: the rows that were fitted, see `mixcompare.fits.storage.panel_to_dataset`.
EM adds
    ``standard_errors``, ``starts`` (start, ...) and ``history`` (iteration, ...).
PyMC adds
    ``posterior`` (chain, draw, ...) as sampled, with exchangeable labels; ``sample_stats``, with
    log_posterior (chain, draw), the log-density of the parameters themselves;
    ``log_likelihood`` with outcomes (chain, draw, unit), times the unit's weight; ``log_prior``
    (chain, draw) by parameter array, without Jacobians; ``membership`` with responsibilities
    (chain, draw, unit, component) as sampled; ``alignment`` with permutation (chain, draw,
    component) that aligns the draws to one another.

Components are numbered 1..K from the largest weight of the estimate to the smallest.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.fits.environment import machine, versions
from mixcompare.fits.outcome import Outcome
from mixcompare.fits.storage import panel_to_dataset
from mixcompare.model.layout import Layout
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared

_OF_UNITS: Final = {"responsibilities": ("unit", "component")}


def coordinates(spec: MixtureSpec, prepared: Prepared) -> dict[str, Any]:
    """Coordinates of every named dimension."""
    return {
        "component": np.arange(1, spec.n_components + 1),
        "covariate": np.array(prepared.covariate_names, dtype=object),
        "outcome": np.array(prepared.outcome_names, dtype=object),
        "outcome_bis": np.array(prepared.outcome_names, dtype=object),
        "concomitant": np.array(prepared.concomitant_names, dtype=object),
        "unit": prepared.unit_labels,
    }


def parameter_dataset(
    layout: Layout,
    coords: dict[str, Any],
    sample_dims: tuple[str, ...] = (),
    **arrays: FloatArray,
) -> xr.Dataset:
    """Dataset of the layout's blocks and of responsibilities, after the sample dimensions."""
    known = {block.name: block.dims for block in layout.blocks} | _OF_UNITS
    dims = {name: (*sample_dims, *known[name]) for name in arrays}
    used = {dim for name in arrays for dim in dims[name]}
    return xr.Dataset(
        {name: (dims[name], array) for name, array in arrays.items()},
        coords={name: values for name, values in coords.items() if name in used},
    )


def permute_posterior(layout: Layout, posterior: xr.Dataset, permutation: np.ndarray) -> xr.Dataset:
    """Renumber the components of every draw.

    Parameters
    ----------
    posterior
        The layout's blocks after sample dimensions (chain, draw).
    permutation
        (chain, draw, K) permutations, see `mixcompare.labels`.
    """
    moved = layout.permute(posterior, permutation)
    return posterior[list(moved)].copy(data=moved)


def build_tree(
    spec: MixtureSpec,
    panel: Panel,
    outcome: Outcome,
    backend: str,
    seed: int,
    options: Any,
    seconds: float,
    cautions: Sequence[str] = (),
) -> xr.DataTree:
    """Join a backend's groups, the panel and the attributes that explain them."""
    groups = {**outcome.groups, "panel": panel_to_dataset(panel)}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "mixcompare_version": importlib.metadata.version("mixcompare"),
        "backend": backend,
        "kind": outcome.kind,
        "spec": json.dumps(spec.to_dict()),
        "spec_hash": spec.content_hash,
        "fingerprint": panel.fingerprint,
        "seed": seed,
        "options": json.dumps(_plain_options(options)),
        "status": outcome.status,
        "message": outcome.message,
        "seconds": seconds,
        "cautions": json.dumps(list(cautions)),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions()),
        "machine": machine(),
    }
    return tree


def _plain_options(options: Any) -> dict[str, Any]:
    """Options as JSON; what JSON cannot hold (a user's own start) is named by its type."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return {
        name: value
        if value is None or isinstance(value, (bool, int, float, str, tuple, list))
        else f"<{type(value).__name__}>"
        for name, value in values.items()
    }
