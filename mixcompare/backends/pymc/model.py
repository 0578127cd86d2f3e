"""The mixture as a PyMC model, whose data and priors' numbers can be exchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from mixcompare.backends.pymc.bartlett import log_determinant, whitener
from mixcompare.backends.pymc.likelihood import LOG_2PI, unit_log_density
from mixcompare.backends.pymc.membership import helmert_contrasts
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.backends.pymc.structure import Structure
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.tree import coordinates
from mixcompare.model.layout import Layout
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel


def build_model(spec: MixtureSpec, prepared: PreparedPanel) -> pm.Model:
    """Write a specification as a PyMC model.

    Nothing tells one class from another: the prior is the same for all, and no order
    is imposed, so labels are exchangeable and have to be aligned afterwards.

    Parameters
    ----------
    spec
        The model and its priors.
    prepared
        Its data.

    Returns
    -------
    A model whose free variables are those of `Structure.shapes`: ``weights`` (absent for
    one class), ``membership`` (contrast, direction; see `mixcompare.backends.pymc.membership`),
    ``common_deviations`` and ``deviations`` (component, direction x contrast; see
    `mixcompare.backends.pymc.data`), ``precision_squares`` and ``precision_below`` (see
    `mixcompare.backends.pymc.bartlett`; one row per covariance). Deterministics in original
    units: ``coefficients``, ``covariance``, and with unit covariates
    ``membership_coefficients`` and ``weights``. Observed: ``outcomes``. Every number that
    comes from data or priors is a ``pm.Data``, see `Mixture.inputs`.
    """
    mixture = build_mixture(spec, prepared)
    coords = {**coordinates(spec, prepared), "contrast": np.arange(1, prepared.n_outcomes + 1)}
    coords["row"] = np.arange(prepared.factor.shape[1])
    dims = {block.name: block.dims for block in Layout.of(spec, prepared).blocks}
    dims["outcomes"] = ("unit", "row", "contrast")
    return model_of(mixture.structure, mixture.inputs(), coords, dims)


def template(structure: Structure) -> pm.Model:
    """A model of a structure on made-up data, to be compiled and then used with others."""
    inputs = {name: np.ones(shape) for name, shape in structure.input_shapes.items()}
    square = {n: np.eye(len(v)) for n, v in inputs.items() if n in _SPREADS}
    return model_of(structure, inputs | square)


def model_of(
    structure: Structure,
    inputs: Mapping[str, FloatArray],
    coords: Mapping[str, Any] | None = None,
    named: Mapping[str, Any] | None = None,
) -> pm.Model:
    """The model of a structure, see `build_model`.

    Parameters
    ----------
    coords, named
        Coordinates, and dimensions of variables by name; without, none are named.
    """
    dims: Mapping[str, Any] = defaultdict(lambda: None) if named is None else named
    # Transforms keep every variable in range; checks of it would only be compiled.
    with pm.Model(coords=coords, check_bounds=False) as model:
        data = _data(structure, inputs)
        log_probabilities = _class_probabilities(structure, data, dims)
        deviations = _deviations(structure, data, dims)
        whitening, log_determinants = _covariances(structure, data, dims)
        pm.CustomDist(
            "outcomes",
            data["degrees_of_freedom"],
            data["unit_weights"],
            data["covariates"],
            log_probabilities,
            deviations,
            whitening,
            log_determinants,
            logp=_by_unit_logp if structure.n_concomitants else _outcomes_logp,
            signature="(),(),(r,p),(k),(k,p,m),(k,m,m),(k)->(r,m)",
            observed=data["observed"],
            dims=dims["outcomes"],
        )
    return model


# What has to be invertible for prior draws.
_SPREADS = ("spread", "common_spread", "membership_spread")


def _data(structure: Structure, inputs: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Data, with sizes left open in which data of one structure differ."""
    n_open = {"observed": 2, "covariates": 2, "concomitants": 1}
    n_open |= {"degrees_of_freedom": 1, "unit_weights": 1}
    return {
        name: pm.Data(
            name, inputs[name], shape=(None,) * n_open.get(name, 0) + shape[n_open.get(name, 0) :]
        )
        for name, shape in structure.input_shapes.items()
    }


def _class_probabilities(
    structure: Structure, data: Mapping[str, Any], dims: Mapping[str, Any]
) -> Any:
    """Log class probabilities: (K,), or (G, K) with unit covariates."""
    k = structure.n_components
    if structure.n_concomitants:
        return _membership(structure, data, dims)
    if k == 1:
        return pt.log(pm.Deterministic("weights", pt.ones(1), dims=dims["weights"]))
    concentration = data["concentration"]
    return pt.log(pm.Dirichlet("weights", concentration, shape=(k,), dims=dims["weights"]))


def _membership(structure: Structure, data: Mapping[str, Any], dims: Mapping[str, Any]) -> Any:
    k, c = structure.n_components, structure.n_concomitants
    if k == 1:
        scores = pt.zeros((data["concomitants"].shape[0], 1))
        odds = pt.zeros((1, c))
    else:
        free = pm.CustomDist(
            "membership",
            pt.zeros(c),
            data["membership_spread"],
            data["membership_log_volume"],
            logp=_affine_normal_logp,
            random=_affine_normal_random,
            signature="(q),(q,q),()->(q)",
            shape=(k - 1, c),
        )
        contrasts = helmert_contrasts(k)
        scores = data["concomitants"] @ free.T @ contrasts
        own = contrasts.T @ free @ data["unmix"].T
        odds = own - own[:1]
    log_probabilities = pt.special.log_softmax(scores, axis=-1)
    pm.Deterministic("membership_coefficients", odds, dims=dims["membership_coefficients"])
    share = data["unit_weights"] / data["unit_weights"].sum()
    pm.Deterministic("weights", share @ pt.exp(log_probabilities), dims=dims["weights"])
    return log_probabilities


def _deviations(structure: Structure, data: Mapping[str, Any], dims: Mapping[str, Any]) -> Any:
    """(K, p, m) deviations from the pooled fit; zero, the pooled fit, is the start."""
    k, m = structure.n_components, structure.n_outcomes
    blocks, offset = [], data.get("offset")
    if structure.n_common:
        q = structure.n_common * m
        names = ("common_offset", "common_spread", "common_log_volume")
        common = _affine_normal("common_deviations", [data[n] for n in names], (q,))
        shape = (k, structure.n_common, m)
        blocks.append(pt.broadcast_to(common.reshape(shape[1:])[None], shape))
        if structure.n_varying:
            offset = offset + data["common_share"] @ common
    if structure.n_varying:
        terms = [offset, data["spread"], data["log_volume"]]
        own = _affine_normal("deviations", terms, (k, structure.n_varying * m))
        blocks.insert(0, own.reshape((k, structure.n_varying, m)))
    deviations = blocks[0] if len(blocks) == 1 else pt.concatenate(blocks, axis=1)
    pm.Deterministic(
        "coefficients",
        data["centre"] + data["directions"] @ deviations @ data["scale"].T,
        dims=dims["coefficients"],
    )
    return deviations


def _affine_normal(name: str, terms: list[Any], shape: tuple[int, ...]) -> Any:
    return pm.CustomDist(
        name,
        *terms,
        logp=_affine_normal_logp,
        random=_affine_normal_random,
        signature="(q),(q,q),()->(q)",
        shape=shape,
    )


def _covariances(
    structure: Structure, data: Mapping[str, Any], dims: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Whitener (K, m, m) and log|Sigma| (K,), both repeated where classes share them."""
    m, k, rows = structure.n_outcomes, structure.n_components, structure.n_covariances
    squares = pm.ChiSquared(
        "precision_squares", data["squares_df"], shape=(rows, structure.n_squares)
    )
    below = None
    if structure.n_below:
        below = pm.Normal("precision_below", shape=(rows, structure.n_below))
    whitening = whitener(squares, below, (data["squares_map"], data.get("below_map")), m)
    log_determinants = log_determinant(
        squares, data["log_determinant_constant"], m, structure.n_squares
    )
    if rows < k:
        whitening = pt.broadcast_to(whitening, (k, m, m))
        log_determinants = pt.broadcast_to(log_determinants, (k,))
    half = data["scale"] @ pt.linalg.inv(whitening).mT
    pm.Deterministic("covariance", half @ half.mT, dims=dims["covariance"])
    return whitening, log_determinants


def _outcomes_logp(
    value: Any,
    degrees_of_freedom: Any,
    unit_weights: Any,
    covariates: Any,
    log_probabilities: Any,
    *parameters: Any,
) -> Any:
    # CustomDist gives every parameter a leading dimension beside the units'.
    return _by_unit_logp(
        value, degrees_of_freedom, unit_weights, covariates, log_probabilities[0], *parameters
    )


def _by_unit_logp(
    value: Any,
    degrees_of_freedom: Any,
    unit_weights: Any,
    covariates: Any,
    log_probabilities: Any,
    *parameters: Any,
) -> Any:
    return unit_log_density(
        value,
        covariates,
        degrees_of_freedom,
        unit_weights,
        log_probabilities,
        *(parameter[0] for parameter in parameters),
    )


def _affine_normal_logp(value: Any, offset: Any, spread: Any, log_volume: Any) -> Any:
    """Density of v such that ``offset + spread v`` is standard normal."""
    # For several rows CustomDist gives every parameter a leading dimension.
    matrix = spread[0] if spread.ndim > 2 else spread
    standard = offset + value @ matrix.T
    log_density = -0.5 * (LOG_2PI + pt.sqr(standard)).sum(axis=-1)
    return log_density + log_volume


def _affine_normal_random(
    offset: FloatArray,
    spread: FloatArray,
    log_volume: FloatArray,  # noqa: ARG001 (PyMC passes every parameter)
    rng: np.random.Generator | None = None,
    size: tuple[int, ...] | None = None,
) -> FloatArray:
    generator = np.random.default_rng(rng)
    q = offset.shape[-1]
    standard = generator.standard_normal((*(size or ()), q)) - offset.reshape(-1, q)[0]
    return np.linalg.solve(spread.reshape(-1, q, q)[0], standard[..., None])[..., 0]
