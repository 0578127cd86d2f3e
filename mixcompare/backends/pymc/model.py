"""The mixture as a PyMC model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from mixcompare.backends.pymc.bartlett import BartlettPrior, bartlett_prior
from mixcompare.backends.pymc.data import StandardPanel, standardise
from mixcompare.backends.pymc.likelihood import LOG_2PI, unit_log_density
from mixcompare.compress import PreparedPanel
from mixcompare.errors import OptionError
from mixcompare.fit import DIMS, coordinates
from mixcompare.panel import FloatArray
from mixcompare.priors import ResolvedPriors, resolve_priors
from mixcompare.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A PyMC model with the constants that lead back to original units.

    Attributes
    ----------
    model
        Free variables: ``weights`` (absent for one class), ``deviations`` (component,
        direction, contrast), ``precision_squares`` and ``precision_below`` (see
        `mixcompare.backends.pymc.bartlett`; one row per covariance). Deterministics in
        original units: ``coefficients``, ``covariance``. Observed: ``outcomes``.
    """

    model: pm.Model
    panel: StandardPanel
    bartlett: BartlettPrior
    n_components: int
    n_covariances: int

    def covariance_terms(self, squares: Any, below: Any) -> tuple[Any, Any]:
        """PyTensor M (C, m, m) and log|Sigma| (C,) in original units."""
        log_determinant = self.bartlett.log_determinant(squares) + 2 * self.panel.log_volume
        return self.bartlett.whitener(squares, below), log_determinant


def build_model(spec: MixtureSpec, prepared: PreparedPanel) -> Mixture:
    """Write a specification as a PyMC model.

    Nothing tells one class from another: the prior is the same for all, and no order
    is imposed, so labels are exchangeable and have to be aligned afterwards.

    Parameters
    ----------
    spec
        The model and its priors.
    prepared
        Its data.
    """
    for name in ("common", "membership", "unit_weights"):
        if getattr(spec, name) is not None:
            raise OptionError(f"backend 'pymc' cannot fit {name} yet: use backend='em'.")
    priors = resolve_priors(spec, prepared)
    panel = standardise(prepared, priors, spec.covariance)
    bartlett = bartlett_prior(
        spec.covariance,
        priors.covariance_df,
        panel.standard_covariance(priors.covariance_scale),
    )
    k = spec.n_components
    # Transforms keep every variable in range; checks of it would only be compiled.
    with pm.Model(coords=_coords(spec, prepared), check_bounds=False) as model:
        n_covariances = k if spec.covariance_by == "component" else 1
        mixture = Mixture(model, panel, bartlett, k, n_covariances)
        weights = _weights(spec, priors)
        deviations = _deviations(spec, priors, panel)
        whitener, log_determinant = _covariances(mixture)
        pm.CustomDist(
            "outcomes",
            panel.degrees_of_freedom.astype(float),
            panel.covariates,
            weights,
            deviations,
            whitener,
            log_determinant,
            logp=_outcomes_logp,
            signature="(),(r,p),(k),(k,p,m),(k,m,m),(k)->(r,m)",
            observed=panel.outcomes,
            dims=("unit", "row", "contrast"),
        )
    return mixture


def _coords(spec: MixtureSpec, prepared: PreparedPanel) -> dict[str, Any]:
    return {
        **coordinates(spec, prepared),
        "direction": np.arange(1, prepared.n_covariates + 1),
        "contrast": np.arange(1, prepared.n_outcomes + 1),
        "row": np.arange(prepared.factor.shape[1]),
    }


def _weights(spec: MixtureSpec, priors: ResolvedPriors) -> Any:
    k = spec.n_components
    if k == 1:
        return pm.Deterministic("weights", pt.ones(1), dims=DIMS["weights"])
    return pm.Dirichlet("weights", np.full(k, priors.concentration), dims=DIMS["weights"])


def _deviations(spec: MixtureSpec, priors: ResolvedPriors, panel: StandardPanel) -> Any:
    """Coefficients' deviations from the pooled fit; zero, the pooled fit, is the start."""
    p, m = panel.centre.shape
    offset = (panel.centre - priors.coefficient_mean) / priors.coefficient_sd
    spread = np.kron(panel.directions, panel.scale) / priors.coefficient_sd.reshape(-1, 1)
    flat = pm.CustomDist(
        "deviations",
        offset.ravel(),
        spread,
        _log_volume(spread),
        logp=_affine_normal_logp,
        random=_affine_normal_random,
        signature="(q),(q,q),()->(q)",
        shape=(spec.n_components, p * m),
        initval=np.zeros((spec.n_components, p * m)),
    )
    deviations = flat.reshape((spec.n_components, p, m))
    original = panel.centre + (flat @ np.kron(panel.directions, panel.scale).T).reshape(
        (spec.n_components, p, m)
    )
    pm.Deterministic("coefficients", original, dims=DIMS["coefficients"])
    return deviations


def _covariances(mixture: Mixture) -> tuple[Any, Any]:
    """Whitener (K, m, m) and log|Sigma| (K,), both repeated where classes share them."""
    bartlett, k, rows = mixture.bartlett, mixture.n_components, mixture.n_covariances
    pooled_squares, pooled_below = bartlett.from_covariance(np.eye(bartlett.n_outcomes)[None])
    squares = pm.ChiSquared(
        "precision_squares",
        bartlett.degrees_of_freedom,
        shape=(rows, len(bartlett.degrees_of_freedom)),
        initval=np.repeat(pooled_squares, rows, axis=0),
    )
    below = None
    if bartlett.n_below:
        below = pm.Normal(
            "precision_below",
            shape=(rows, bartlett.n_below),
            initval=np.repeat(pooled_below, rows, axis=0),
        )
    whitener, log_determinant = mixture.covariance_terms(squares, below)
    if rows < k:
        m = bartlett.n_outcomes
        whitener = pt.broadcast_to(whitener, (k, m, m))
        log_determinant = pt.broadcast_to(log_determinant, (k,))
    half = mixture.panel.scale @ pt.linalg.inv(whitener).mT
    pm.Deterministic("covariance", half @ half.mT, dims=DIMS["covariance"])
    return whitener, log_determinant


def _outcomes_logp(
    value: Any,
    degrees_of_freedom: Any,
    covariates: Any,
    weights: Any,
    deviations: Any,
    whitener: Any,
    log_determinant: Any,
) -> Any:
    # CustomDist gives every parameter a leading dimension beside the units'.
    parameters = weights[0], deviations[0], whitener[0], log_determinant[0]
    return unit_log_density(value, degrees_of_freedom, covariates, *parameters)


def _affine_normal_logp(value: Any, offset: Any, spread: Any, log_volume: Any) -> Any:
    """Density of v such that ``offset + spread v`` is standard normal."""
    # CustomDist gives every parameter a leading dimension beside the classes'.
    standard = offset + value @ spread[0].T
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


def _log_volume(matrix: FloatArray) -> float:
    return float(np.linalg.slogdet(matrix)[1])
