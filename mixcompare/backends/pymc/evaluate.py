"""The model's parameters and likelihood at given values, in original units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode

from mixcompare.backends.pymc.likelihood import class_log_density
from mixcompare.backends.pymc.model import Mixture, build_model
from mixcompare.compress import PreparedPanel
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

# Each graph is evaluated a few times on large arrays: NumPy is fast enough and there is
# nothing to compile. "stabilize" makes log-sum-exp safe.
_MODE: Final = Mode(linker="py", optimizer="fast_compile").including("stabilize")
_BATCH_VALUES: Final = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Draws in original units with their likelihood.

    Attributes
    ----------
    coefficients, covariance
        (S, K, p, m) and (S, K, m, m).
    log_likelihood
        (S, G) log-likelihood of every unit.
    responsibilities
        (S, G, K) class probabilities of the units.
    """

    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: FloatArray
    responsibilities: FloatArray


def evaluate(
    mixture: Mixture, weights: FloatArray, variables: Mapping[str, FloatArray]
) -> Evaluation:
    """Evaluate draws.

    Parameters
    ----------
    mixture
        The model.
    weights
        (S, K).
    variables
        The model's other free variables by name, (S, ...) each.
    """
    function = _joint_function(mixture)
    n_units, n_rows, m = mixture.panel.outcomes.shape
    batch = max(1, _BATCH_VALUES // (n_units * n_rows * m * mixture.n_components))
    parts = [
        function(weights[i : i + batch], *(value[i : i + batch] for value in variables.values()))
        for i in range(0, len(weights), batch)
    ]
    joint, whitener = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    top = joint.max(axis=-1, keepdims=True)
    relative = np.exp(joint - top)
    total = relative.sum(axis=-1, keepdims=True)
    p = len(mixture.panel.directions)
    deviations = variables["deviations"].reshape(*weights.shape, p, m)
    return Evaluation(
        coefficients=mixture.panel.coefficients(deviations),
        covariance=_covariance(mixture, whitener),
        log_likelihood=(np.log(total) + top)[..., 0],
        responsibilities=relative / total,
    )


def _joint_function(mixture: Mixture) -> Callable[..., tuple[FloatArray, FloatArray]]:
    """Compile ``log pi_k + l_gk`` (S, G, K) and the whiteners (S, K, m, m) of S draws."""
    panel, k = mixture.panel, mixture.n_components
    n_units, _, m = panel.outcomes.shape
    weights = pt.matrix("weights")
    inputs = {rv.name: pt.tensor3(rv.name) for rv in mixture.model.free_RVs if rv.name != "weights"}
    # Draws are laid out as further classes, so that the model's own expressions serve.
    flat = {name: value.reshape((-1, value.shape[-1])) for name, value in inputs.items()}
    whitener, log_determinant = mixture.covariance_terms(
        flat["precision_squares"], flat.get("precision_below")
    )
    repeats = 1 if mixture.n_covariances == k else k
    whitener = pt.repeat(whitener, repeats, axis=0)
    log_determinant = pt.repeat(log_determinant, repeats, axis=0)
    given_class = class_log_density(
        pt.as_tensor(panel.outcomes),
        pt.as_tensor(panel.covariates),
        pt.as_tensor(panel.degrees_of_freedom.astype(float)),
        flat["deviations"].reshape((-1, len(panel.directions), m)),
        whitener,
        log_determinant,
    )
    joint = given_class.reshape((n_units, -1, k)).transpose((1, 0, 2))
    joint = joint + pt.log(weights)[:, None, :]
    function: Callable[..., Any] = pytensor.function(
        [weights, *inputs.values()], [joint, whitener.reshape((-1, k, m, m))], mode=_MODE
    )
    return function


def _covariance(mixture: Mixture, whitener: FloatArray) -> FloatArray:
    half = mixture.panel.scale @ np.linalg.inv(whitener).swapaxes(-1, -2)
    return np.asarray(half @ half.swapaxes(-1, -2))


def unit_log_likelihood(
    spec: MixtureSpec,
    prepared: PreparedPanel,
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """Log-likelihood of every unit by the model's own observed variable.

    Parameters
    ----------
    spec, prepared
        The model and its data.
    weights, coefficients, covariance
        (K,), (K, p, m) and (K, m, m) in original units; a weight may be zero.

    Returns
    -------
    (G,) log-likelihoods with all constants.

    Raises
    ------
    ValueError
        If the covariances do not have the structure of the specification.
    """
    mixture = build_model(spec, prepared)
    values = _free_values(mixture, weights, coefficients, covariance)
    model = mixture.model
    outcomes = model["outcomes"]
    log_density = pm.logp(outcomes, model.rvs_to_values[outcomes], warn_rvs=False)
    # Free variables as inputs: a point on the simplex's edge has no unconstrained image.
    function = pytensor.function([model[name] for name in values], log_density, mode=_MODE)
    with np.errstate(divide="ignore"):
        return np.asarray(function(*values.values()))


def _free_values(
    mixture: Mixture, weights: FloatArray, coefficients: FloatArray, covariance: FloatArray
) -> dict[str, FloatArray]:
    """The model's free variables at parameters in original units."""
    panel, k = mixture.panel, mixture.n_components
    standard = panel.standard_covariance(covariance[: mixture.n_covariances])
    squares, below = mixture.bartlett.from_covariance(standard)
    values = {
        "weights": np.asarray(weights, dtype=float),
        "deviations": panel.deviations(coefficients).reshape(k, -1),
        "precision_squares": squares,
        "precision_below": below,
    }
    _check_structure(mixture, squares, below, covariance)
    free = {rv.name for rv in mixture.model.free_RVs}
    return {name: value for name, value in values.items() if name in free}


def _check_structure(
    mixture: Mixture, squares: FloatArray, below: FloatArray, covariance: FloatArray
) -> None:
    whitener = mixture.bartlett.whitener(pt.as_tensor(squares), pt.as_tensor(below))
    implied = _covariance(mixture, whitener.eval(mode=_MODE))
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    gap = np.abs(implied - covariance) / (sd[:, :, None] * sd[:, None, :])
    if gap.max() > 1e-6:
        raise ValueError("covariance does not have the structure of the specification.")
