"""The model's parameters and likelihood at given values, in original units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace

from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.model import model_of
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
        Arrays named as the blocks of the model's parameters, (S, K, ...).
    log_likelihood
        (S, G) log-likelihood of every unit, times its weight.
    responsibilities
        (S, C, K) class probabilities of the carriers.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    responsibilities: FloatArray


def evaluate(mixture: Mixture, variables: Arrays, n_draws: int) -> Evaluation:
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
    size = max(1, _BATCH_VALUES // max(emission.n_values for emission in mixture.emissions))
    arrays: tuple[FloatArray, ...] = ()
    for i in range(0, n_draws, size):
        batch = slice(i, min(i + size, n_draws))
        part = {name: value[batch] for name, value in variables.items()}
        density = mixture.log_density(part, batch.stop - i)
        values = mixture.classes.marginal(part, density)
        arrays = arrays or tuple(np.empty((n_draws, *value.shape[1:])) for value in values)
        for array, value in zip(arrays, values, strict=True):
            array[batch] = value
    log_likelihood, responsibilities, weights = arrays
    parameters = {"weights": weights, **mixture.parameters(variables, n_draws)}
    return Evaluation(parameters, log_likelihood, responsibilities)


def outcomes_function(mixture: Mixture) -> Callable[..., FloatArray]:
    """Compile the log-density (G,) of the model's observed variable.

    Its inputs are the free variables and the data, so that it serves all mixtures of these terms.
    """
    if mixture.terms not in _FUNCTIONS:
        _FUNCTIONS[mixture.terms] = _compile(mixture)
    return _FUNCTIONS[mixture.terms]


_FUNCTIONS: Final[dict[tuple[Any, ...], Callable[..., FloatArray]]] = {}


def _compile(mixture: Mixture) -> Callable[..., FloatArray]:
    model = model_of(mixture)
    outcomes = model["outcomes"]
    log_density = pm.logp(outcomes, model.rvs_to_values[outcomes], warn_rvs=False)
    # Free variables as inputs: a point on the simplex's edge has no unconstrained image.
    names = (*mixture.shapes, *mixture.inputs())
    inputs = {model[name]: model[name].type(name) for name in names}
    function: Callable[..., Any] = pytensor.function(
        list(inputs.values()),
        clone_replace(log_density, inputs),
        mode=_MODE,
        on_unused_input="ignore",
        allow_input_downcast=True,  # the model's data have smaller whole numbers
    )
    return function
