"""The model's parameters and likelihood at given values, in original units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace

from mixcompare.backends.pymc import bartlett
from mixcompare.backends.pymc.likelihood import class_log_density
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import template
from mixcompare.backends.pymc.structure import Structure
from mixcompare.base.arrays import FloatArray

# Each graph is evaluated a few times on large arrays: NumPy is fast enough and there is
# nothing to compile. "stabilize" makes log-sum-exp safe.
_MODE: Final = Mode(linker="py", optimizer="fast_compile").including("stabilize")
# Arrays of so many numbers stay in the cache.
_BATCH_VALUES: Final = 300_000


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Draws in original units with their likelihood.

    Attributes
    ----------
    parameters
        Blocks by name, (S, K, ...).
    log_likelihood
        (S, G) log-likelihood of every unit, times its weight.
    responsibilities
        (S, G, K) class probabilities of the units.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    responsibilities: FloatArray


def evaluate(mixture: Mixture, variables: Mapping[str, FloatArray], n_draws: int) -> Evaluation:
    """Evaluate draws.

    Parameters
    ----------
    mixture
        The model.
    variables
        Its free variables by name, (S, ...) each.
    n_draws
        S.
    """
    n_units, n_rows, m = mixture.panel.outcomes.shape
    k = mixture.structure.n_components
    size = max(1, _BATCH_VALUES // (n_units * n_rows * m * k))
    log_likelihood = np.empty((n_draws, n_units))
    responsibilities = np.empty((n_draws, n_units, k))
    weights = np.empty((n_draws, k))
    function, inputs = _class_function(mixture.structure), _function_inputs(mixture)
    for i in range(0, n_draws, size):
        own = slice(i, min(i + size, n_draws))
        part = {name: value[own] for name, value in variables.items()}
        given_class = function(*inputs, *_draws_as_classes(mixture, part))
        log_likelihood[own], responsibilities[own], weights[own] = _batch(
            mixture, part, given_class, own.stop - i
        )
    parameters = {"weights": weights}
    if mixture.membership is not None:
        parameters["membership_coefficients"] = mixture.membership.coefficients(
            _contrasts(mixture, variables, n_draws)
        )
    parameters["coefficients"] = mixture.panel.coefficients(mixture.deviations(variables))
    parameters["covariance"] = mixture.covariance(variables)
    return Evaluation(parameters, log_likelihood, responsibilities)


def _batch(
    mixture: Mixture,
    variables: Mapping[str, FloatArray],
    given_class: FloatArray,
    n_draws: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log-likelihoods (B, G), responsibilities (B, G, K) and weights (B, K)."""
    panel, k = mixture.panel, mixture.structure.n_components
    probabilities, weights = _class_probabilities(mixture, variables, n_draws)
    # Classes first: NumPy is slow along a short last axis.
    joint = np.ascontiguousarray(given_class.reshape(-1, n_draws, k).transpose(2, 1, 0))
    joint += probabilities.transpose(2, 0, 1)
    top = joint.max(axis=0)
    relative = np.exp(joint - top)
    total = relative.sum(axis=0)
    log_likelihood = panel.unit_weights * (np.log(total) + top)
    return log_likelihood, np.moveaxis(relative / total, 0, -1), weights


def _class_probabilities(
    mixture: Mixture, variables: Mapping[str, FloatArray], n_draws: int
) -> tuple[FloatArray, FloatArray]:
    """Log class probabilities (B, 1 or G, K) and weights (B, K)."""
    if mixture.membership is None:
        weights = variables.get("weights", np.ones((n_draws, 1)))
        with np.errstate(divide="ignore"):
            return np.log(weights)[:, None, :], weights
    contrasts = _contrasts(mixture, variables, n_draws)
    log_probabilities = mixture.membership.log_probabilities(contrasts)
    share = mixture.panel.unit_weights / mixture.panel.unit_weights.sum()
    return log_probabilities, np.einsum("g,sgk->sk", share, np.exp(log_probabilities))


def _contrasts(mixture: Mixture, variables: Mapping[str, FloatArray], n_draws: int) -> FloatArray:
    empty = np.zeros((n_draws, 0, mixture.structure.n_concomitants))
    return variables.get("membership", empty)


def _draws_as_classes(mixture: Mixture, variables: Mapping[str, FloatArray]) -> list[FloatArray]:
    """Draws laid out as further classes, so that the model's own expressions serve."""
    s = mixture.structure
    repeats = s.n_components // s.n_covariances
    squares = np.repeat(variables["precision_squares"], repeats, axis=1)
    deviations = mixture.deviations(variables).reshape(-1, s.n_covariates, s.n_outcomes)
    laid: list[FloatArray] = [deviations, squares.reshape(-1, s.n_squares)]
    if s.n_below:
        below = np.repeat(variables["precision_below"], repeats, axis=1)
        laid.append(below.reshape(-1, s.n_below))
    return laid


def _function_inputs(mixture: Mixture) -> list[FloatArray]:
    inputs = mixture.inputs()
    names = ["observed", "covariates", "degrees_of_freedom", "log_determinant_constant"]
    names += ["squares_map", *(["below_map"] if mixture.structure.n_below else [])]
    return [inputs[name] for name in names]


@cache
def _class_function(structure: Structure) -> Callable[..., FloatArray]:
    """Compile l_gk (G, C) of the model's expressions, see `class_log_density`."""
    m, has_below = structure.n_outcomes, bool(structure.n_below)
    outcomes, covariates = pt.tensor3("outcomes"), pt.tensor3("covariates")
    degrees_of_freedom, constant = pt.vector("degrees_of_freedom"), pt.scalar("constant")
    squares_map, below_map = pt.matrix("squares_map"), pt.matrix("below_map")
    deviations, squares = pt.tensor3("deviations"), pt.matrix("squares")
    below = pt.matrix("below")
    given_class = class_log_density(
        outcomes,
        covariates,
        degrees_of_freedom,
        deviations,
        bartlett.whitener(squares, below if has_below else None, (squares_map, below_map), m),
        bartlett.log_determinant(squares, constant, m, structure.n_squares),
    )
    inputs = [outcomes, covariates, degrees_of_freedom, constant, squares_map]
    inputs += [below_map] if has_below else []
    inputs += [deviations, squares, *([below] if has_below else [])]
    function: Callable[..., Any] = pytensor.function(inputs, given_class, mode=_MODE)
    return function


@cache
def outcomes_function(structure: Structure) -> Callable[..., FloatArray]:
    """Compile the log-density of the model's observed variable, its data as inputs."""
    model = template(structure)
    outcomes = model["outcomes"]
    log_density = pm.logp(outcomes, model.rvs_to_values[outcomes], warn_rvs=False)
    # Free variables as inputs: a point on the simplex's edge has no unconstrained image.
    names = (*structure.shapes, *structure.input_shapes)
    inputs = {model[name]: model[name].type(name) for name in names}
    function: Callable[..., Any] = pytensor.function(
        list(inputs.values()),
        clone_replace(log_density, inputs),
        mode=_MODE,
        on_unused_input="ignore",
    )
    return function
