"""The one result format: a DataTree with the same names, dims and coordinates from any backend.

Groups that every fit has
    ``estimate``: weights (mixture_component), coefficients (mixture_component, covariate,
    outcome), covariance (mixture_component, outcome, outcome_bis), responsibilities (unit,
    mixture_component), and with membership covariates membership_coefficients
    (mixture_component, concomitant), the log-odds against the first class, beside which weights
    are average class probabilities. EM: the maximum, with log_likelihood (unit). PyMC: posterior
    means of the aligned draws.
    ``panel``: the rows that were fitted, see `mixcompare.fits.storage.panel_to_dataset`.
EM adds
    ``standard_errors``, ``starts`` (start, ...) and ``history`` (iteration, ...).
PyMC adds
    ``posterior`` (chain, draw, ...), draws whose labels are aligned to one another, and
    ``posterior_as_sampled``, the same with exchangeable labels; ``alignment`` with permutation
    (chain, draw, mixture_component) that makes the one of the other; ``membership`` with
    responsibilities (chain, draw, unit, mixture_component), aligned as the posterior is, in
    single precision, and of evenly spaced draws if there are more than
    `mixcompare.fits.result.KEPT_VALUES`; their coordinate ``draw`` says which;
    ``sample_stats``, with log_posterior (chain, draw), the log-density of the parameters
    themselves; ``log_likelihood`` with outcomes (chain, draw, unit), times the unit's weight,
    stored in 32 bits if there are more than that; ``log_prior`` (chain, draw) by parameter
    array, without Jacobians; where chains are in different modes, ``sample_stats`` also has
    mode_log_evidence and mode_log_evidence_error (chain) by bridge sampling in each chain's own;
    and where chains waited for a search, optimum and restarted (chain), at which maximum a chain
    is and whether it was started once more, and ``optima`` (optimum, ...), the distinct maxima of
    the posterior's density from the highest evidence on: the parameters, log_posterior,
    log_likelihood, log_evidence (Laplace's), proper, climbs, share, climbs_by_start (optimum,
    start_kind) and iterations, see `mixcompare.fits.result.Optima`; its attributes are n_climbs
    and seconds.

Components are numbered 1..K from the largest weight of the estimate to the smallest.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import xarray as xr

from mixcompare import labels
from mixcompare.data.panel import Panel
from mixcompare.fits.environment import machine, versions
from mixcompare.fits.kinds import Kind
from mixcompare.fits.result import Draws, Optima, Result, Search, StandardErrors, resolution
from mixcompare.fits.storage import panel_to_dataset
from mixcompare.model.layout import COMPONENT, Layout
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared

# Dimensions, after those of samples, of what is no block of parameters.
_DIMS: Final[Mapping[str, tuple[str, ...]]] = {
    "responsibilities": ("unit", COMPONENT),
    "permutation": (COMPONENT,),
    "outcomes": ("unit",),
    "parameter_covariance": ("parameter", "parameter_bis"),
    "inverse_information": ("parameter", "parameter_bis"),
    "sandwich_se": ("parameter",),
    "standard_errors": ("parameter",),
    "log_likelihood_history": ("iteration",),
    "weights_history": ("iteration", COMPONENT),
    "climbs_by_start": ("start_kind",),
}
_SAMPLE: Final = ("chain", "draw")
# What it calls missing is beyond all numbers that `resolution` makes.
_IN_32_BITS: Final[Mapping[str, Any]] = {"dtype": "int32", "_FillValue": np.int32(-(2**31))}
_OF_OPTIMA: Final = (
    "log_posterior",
    "log_likelihood",
    "log_evidence",
    "proper",
    "climbs_by_start",
    "iterations",
)


def coordinates(spec: MixtureSpec, named: Prepared | Panel) -> dict[str, Any]:
    """Coordinates of every named dimension."""
    return {
        COMPONENT: np.arange(1, spec.n_components + 1),
        "covariate": np.array(named.covariate_names, dtype=object),
        "outcome": np.array(named.outcome_names, dtype=object),
        "outcome_bis": np.array(named.outcome_names, dtype=object),
        "concomitant": np.array(named.concomitant_names, dtype=object),
        "unit": named.unit_labels,
    }


def parameter_dataset(
    layout: Layout,
    coords: Mapping[str, Any],
    sample_dims: tuple[str, ...] = (),
    **arrays: Any,
) -> xr.Dataset:
    """Dataset of the layout's blocks and of what belongs to them, after the sample dimensions.

    Dimensions without coordinates are counted, iterations from 1.
    """
    known = {**_DIMS, **{block.name: block.dims for block in layout.blocks}}
    dims = {n: (*sample_dims, *known.get(n, ()))[: np.ndim(arrays[n])] for n in arrays}
    sizes = {
        dim: n for name in arrays for dim, n in zip(dims[name], np.shape(arrays[name]), strict=True)
    }
    counted = {dim: np.arange(n) + (dim == "iteration") for dim, n in sizes.items()}
    named = {dim: values for dim, values in coords.items() if dim in sizes}
    return xr.Dataset(
        {name: (dims[name], values) for name, values in arrays.items()}, named | counted | named
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
    result: Result, spec: MixtureSpec, layout: Layout, panel: Panel, attributes: Mapping[str, Any]
) -> xr.DataTree:
    """The tree of a result, of the panel and of the attributes that explain them."""
    names = np.array(layout.names(), dtype=object)
    coords = {**coordinates(spec, panel), "parameter": names, "parameter_bis": names}
    groups = _optimum if result.draws is None else _posterior
    made = groups(result, layout, coords)
    tree = xr.DataTree.from_dict({**made, "panel": panel_to_dataset(panel)})
    tree.attrs = dict(attributes)
    return tree


def _optimum(result: Result, layout: Layout, coords: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    arrays = {"responsibilities": result.occupancy, **result.parameters}
    estimate = parameter_dataset(layout, coords, (), **arrays)
    groups = {
        "estimate": estimate.assign(log_likelihood=("unit", result.log_likelihood)).assign_attrs(
            result.measures
        )
    }
    if result.errors is not None:
        groups["standard_errors"] = _standard_errors(result.errors, layout, coords)
    if result.search is not None:
        groups["starts"] = _starts(result.search, layout, coords)
    if result.history:
        groups["history"] = parameter_dataset(layout, coords, ("iteration",), **result.history)
    return groups


def _standard_errors(
    errors: StandardErrors, layout: Layout, coords: Mapping[str, Any]
) -> xr.Dataset:
    """Standard errors in the parameters' own shapes; structural zeros have none (0)."""
    arrays = {
        **layout.unflatten(np.sqrt(np.diag(errors.covariance))),
        "parameter_covariance": errors.covariance,
        "inverse_information": errors.inverse_information,
    }
    if errors.sandwich is not None:
        arrays["sandwich_se"] = errors.sandwich
    dataset = parameter_dataset(layout, coords, (), **arrays)
    return dataset.assign_attrs(method=errors.method, reason=errors.reason)


def _starts(search: Search, layout: Layout, coords: Mapping[str, Any]) -> xr.Dataset:
    arrays = {
        **search.parameters,
        **search.ends,
        "log_likelihood_history": search.log_likelihood_history,
        "weights_history": search.weights_history,
    }
    return parameter_dataset(layout, coords, ("start",), **arrays).assign_attrs(
        found_again=int(search.found_again), cautions=json.dumps(search.cautions)
    )


def _posterior(result: Result, layout: Layout, coords: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    draws = result.draws
    assert draws is not None

    def by_draw(**arrays: Any) -> xr.Dataset:
        return parameter_dataset(layout, coords, _SAMPLE, **arrays)

    statistics = by_draw(**draws.statistics)
    groups = {
        "posterior": by_draw(**layout.permute(draws.parameters, draws.permutation)),
        "posterior_as_sampled": by_draw(**draws.parameters),
        "sample_stats": statistics,
        "log_likelihood": _packed(by_draw(outcomes=result.log_likelihood)),
        "log_prior": xr.Dataset(
            {name: (_SAMPLE, values) for name, values in draws.log_prior.items()},
            {dim: statistics[dim] for dim in _SAMPLE},
        ),
        "membership": _membership(draws, layout, coords),
        "alignment": by_draw(permutation=draws.permutation),
        "estimate": parameter_dataset(
            layout, coords, (), **result.parameters, responsibilities=result.occupancy
        ),
    }
    if result.optima is not None:
        groups["optima"] = _optima(result.optima, layout, coords)
    return groups


def _optima(optima: Optima, layout: Layout, coords: Mapping[str, Any]) -> xr.Dataset:
    arrays = {name: getattr(optima, name) for name in (*_OF_OPTIMA, "climbs", "share")}
    kinds = {"start_kind": np.array(optima.starts, dtype=object)}
    dataset = parameter_dataset(
        layout, {**coords, **kinds}, ("optimum",), **optima.parameters, **arrays
    )
    return dataset.assign_attrs(n_climbs=optima.n_climbs, seconds=optima.seconds)


def _membership(draws: Draws, layout: Layout, coords: Mapping[str, Any]) -> xr.Dataset:
    order = draws.permutation[:, draws.kept]
    aligned = labels.permute(draws.occupancy.astype(np.float32), order, axis=-1)
    coords = {**coords, "draw": draws.kept}
    return parameter_dataset(layout, coords, _SAMPLE, responsibilities=aligned)


def _packed(log_likelihood: xr.Dataset) -> xr.Dataset:
    """The same, to be stored in 32 bits where `mixcompare.fits.result.resolution` says so."""
    step = resolution(log_likelihood["outcomes"].to_numpy())
    if step is not None:
        log_likelihood["outcomes"].encoding = {**_IN_32_BITS, "scale_factor": step}
    return log_likelihood


def as_stored_now(tree: xr.DataTree, layout: Callable[[], Layout]) -> xr.DataTree:
    """A tree whose group ``posterior`` is aligned; earlier versions stored it as sampled.

    Parameters
    ----------
    layout
        Gives that of the fit, for which its formulas have to be read.
    """
    if "posterior" not in tree.children or "posterior_as_sampled" in tree.children:
        return tree
    renewed = tree.copy(deep=False)
    permutation = _plain(tree, "alignment")["permutation"]
    sampled, membership = (tree[name].to_dataset() for name in ("posterior", "membership"))
    aligned = labels.permute(membership["responsibilities"].to_numpy(), permutation, axis=-1)
    renewed["posterior_as_sampled"] = xr.DataTree(sampled)
    renewed["posterior"] = xr.DataTree(permute_posterior(layout(), sampled, permutation))
    renewed["membership"] = xr.DataTree(membership.copy(data={"responsibilities": aligned}))
    return renewed


def read_result(tree: xr.DataTree, kind: Kind, layout: Layout) -> Result:
    """The result that a tree holds, see `as_stored_now`; most arrays are the tree's own.

    Parameters
    ----------
    kind, layout
        Of the fit.
    """
    estimate = _plain(tree, "estimate")
    drawn = "posterior" in tree.children
    outcomes = _plain(tree, "log_likelihood")["outcomes"] if drawn else None
    return Result(
        kind,
        layout.take(estimate),
        estimate["responsibilities"],
        estimate["log_likelihood"] if outcomes is None else outcomes,
        tree.attrs["status"],
        tree.attrs["message"],
        measures={str(name): said for name, said in tree["estimate"].attrs.items()},
        errors=_read_errors(tree),
        search=_read_search(tree, layout),
        history=_plain(tree, "history"),
        draws=_read_draws(tree, layout) if drawn else None,
        optima=_read_optima(tree, layout),
    )


def _plain(tree: xr.DataTree, group: str) -> dict[str, Any]:
    """Arrays of a group by name; none if it is not there."""
    if group not in tree.children:
        return {}
    return {str(n): v.to_numpy() for n, v in tree[group].dataset.data_vars.items()}


def _read_errors(tree: xr.DataTree) -> StandardErrors | None:
    arrays = _plain(tree, "standard_errors")
    if not arrays:
        return None
    attrs = tree["standard_errors"].attrs
    return StandardErrors(
        arrays["parameter_covariance"],
        arrays["inverse_information"],
        arrays.get("sandwich_se"),
        attrs["method"],
        attrs["reason"],
    )


def _read_search(tree: xr.DataTree, layout: Layout) -> Search | None:
    arrays = _plain(tree, "starts")
    if not arrays:
        return None
    attrs = tree["starts"].attrs
    histories = arrays.pop("log_likelihood_history"), arrays.pop("weights_history")
    return Search(
        layout.take(arrays),
        {name: values for name, values in arrays.items() if name not in layout.arrays},
        *histories,
        bool(attrs.get("found_again")),
        tuple(json.loads(attrs.get("cautions", "[]"))),
    )


def _read_draws(tree: xr.DataTree, layout: Layout) -> Draws:
    draws = Draws(
        layout.take(_plain(tree, "posterior_as_sampled")),
        np.asarray(_plain(tree, "membership")["responsibilities"], dtype=float),
        _plain(tree, "log_prior"),
        _plain(tree, "alignment")["permutation"],
        _plain(tree, "sample_stats"),
    )
    back = labels.invert(draws.permutation[:, draws.kept])
    return replace(draws, occupancy=labels.permute(draws.occupancy, back, axis=-1))


def _read_optima(tree: xr.DataTree, layout: Layout) -> Optima | None:
    arrays = _plain(tree, "optima")
    if not arrays:
        return None
    group = tree["optima"]
    return Optima(
        layout.take(arrays),
        **{name: arrays[name] for name in _OF_OPTIMA},
        starts=tuple(map(str, group["start_kind"].to_numpy())),
        n_climbs=int(group.attrs["n_climbs"]),
        seconds=float(group.attrs["seconds"]),
    )


def describe(
    result: Result,
    spec: MixtureSpec,
    panel: Panel,
    backend: str,
    seed: int,
    options: Any,
    seconds: float,
    cautions: Sequence[str] = (),
) -> dict[str, Any]:
    """What a fit says of itself, all of it text or numbers."""
    return {
        "mixcompare_version": versions()["mixcompare"],
        "backend": backend,
        "kind": result.kind,
        "spec": json.dumps(spec.to_dict()),
        "spec_hash": spec.content_hash,
        "fingerprint": panel.fingerprint,
        "seed": seed,
        "options": json.dumps(_plain_options(options)),
        "status": result.status,
        "message": result.message,
        "seconds": seconds,
        "cautions": json.dumps([*cautions, *result.cautions]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions()),
        "machine": machine(),
    }


def _plain_options(options: Any) -> dict[str, Any]:
    """Options as JSON; what JSON cannot hold (a user's own start) is named by its type."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return {
        name: value
        if value is None or isinstance(value, (bool, int, float, str, tuple, list))
        else f"<{type(value).__name__}>"
        for name, value in values.items()
    }
