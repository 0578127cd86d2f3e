"""Where chains start that know of no search, in the coordinates in which samplers move.

``overdispersed``: the pooled fit, the same for every class, plus noise from U(-1, 1) on every
coordinate: weights on the simplex transform's scale, log-odds per standard deviation of a
whitened unit covariate, deviations in pooled residual standard deviations of a whitened
direction, precisions on the log scale around the pooled residual covariance. That is wide
beside the posterior of any class, and no such start knows of EM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.options import Options
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import OptionError
from mixcompare.fits.fit import Fit

# Where a chain starts, of its random numbers and its place among the chains.
type Start = Callable[[np.random.Generator, int], dict[str, FloatArray]]
# Draws of the free variables (C, S, ...) and statistics, as samplers name these.
type Sampled = tuple[Mapping[str, Any], Mapping[str, Any]]

# Chains that start at one estimate must still differ; classes may have next to no weight.
_NEAR: Final = 0.1
_LEAST_WEIGHT: Final = 1e-6


def starts(mixture: Mixture, options: Options) -> Start:
    """The starts of chains that do not wait for a search, see `near`."""
    if options.init == "em":
        return near(mixture, options.initial)
    return {"overdispersed": overdispersed, "prior": prior_draw}[options.init](mixture)


def overdispersed(mixture: Mixture) -> Start:
    """Starts around the pooled fit, each with noise of its own."""
    return _around(mixture, mixture.pooled(), 1.0)


def prior_draw(mixture: Mixture) -> Start:
    """Starts from the prior."""
    return lambda rng, _: {name: value[0] for name, value in mixture.prior_draws(rng, 1).items()}


def near(mixture: Mixture, initial: Any) -> Start:
    """Starts close to given parameters, in their labelling.

    Raises
    ------
    OptionError
        If these do not suit the model.
    """
    if isinstance(initial, Fit):
        initial = initial.estimate
    if not isinstance(initial, Mapping):
        raise OptionError(
            f"initial must be a Fit or a mapping of parameters, not {type(initial).__name__}."
        )
    arrays = {str(name): np.asarray(value, dtype=float) for name, value in initial.items()}
    wanted = _parameter_shapes(mixture)
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != wanted:
        raise OptionError(f"initial must have arrays of the shapes {wanted}, not {shapes}.")
    arrays["weights"] = np.maximum(arrays["weights"], _LEAST_WEIGHT)
    arrays["weights"] /= arrays["weights"].sum()
    try:
        free = mixture.free_values({name: array[None] for name, array in arrays.items()})
        return _around(mixture, {name: value[0] for name, value in free.items()}, _NEAR)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise OptionError(f"initial does not suit the model: {error}") from error


def _parameter_shapes(mixture: Mixture) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters, as those of the pooled fit have them."""
    pooled = {name: value[None] for name, value in mixture.pooled().items()}
    shapes = {name: array.shape[1:] for name, array in mixture.parameters(pooled, 1).items()}
    return {"weights": (mixture.n_components,), **shapes}


def _around(mixture: Mixture, values: Mapping[str, FloatArray], width: float) -> Start:
    centre = mixture.unconstrained(values)
    return lambda rng, _: {
        name: value + rng.uniform(-width, width, size=value.shape) for name, value in centre.items()
    }
