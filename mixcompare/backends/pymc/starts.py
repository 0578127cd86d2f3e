"""Where chains start, in the unconstrained coordinates in which samplers move.

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
from mixcompare.backends.pymc.transforms import unconstrained
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import OptionError
from mixcompare.fits.fit import Fit

type Start = Callable[[np.random.Generator], dict[str, FloatArray]]

# Chains that start at one estimate must still differ; classes may have next to no weight.
_NEAR: Final = 0.1
_LEAST_WEIGHT: Final = 1e-6


def starts(mixture: Mixture, options: Options) -> Start:
    """The starts that the options ask for.

    Raises
    ------
    OptionError
        If the initial parameters do not suit the model.
    """
    if options.init == "em":
        return near(mixture, options.initial)
    return {"overdispersed": overdispersed, "prior": prior_draw}[options.init](mixture)


def overdispersed(mixture: Mixture) -> Start:
    """Starts around the pooled fit, each with noise of its own."""
    structure = mixture.structure
    values = {name: np.zeros(shape) for name, shape in structure.shapes.items()}
    squares, below = mixture.bartlett.from_covariance(np.eye(structure.n_outcomes)[None])
    if "weights" in values:
        values["weights"] += 1 / structure.n_components
    values["precision_squares"] += squares
    if "precision_below" in values:
        values["precision_below"] += below
    return _around(values, 1.0)


def prior_draw(mixture: Mixture) -> Start:
    """Starts from the prior."""
    draws = prior_draws(mixture)
    return lambda rng: {name: value[0] for name, value in draws(rng, 1).items()}


def prior_draws(mixture: Mixture) -> Callable[[np.random.Generator, int], dict[str, FloatArray]]:
    """Draws of the unconstrained free variables from the prior, as many at a time as asked for."""
    inputs, shapes = mixture.inputs(), mixture.structure.shapes

    def draw(rng: np.random.Generator, n: int) -> dict[str, FloatArray]:
        noise = {name: rng.standard_normal((n, *shape)) for name, shape in shapes.items()}
        values = dict(noise)
        if "weights" in values:
            values["weights"] = rng.dirichlet(inputs["concentration"], n)
        if "membership" in values:
            values["membership"] = _solved(inputs["membership_spread"], noise["membership"])
        offset = inputs.get("offset", np.zeros(0))
        if "common_deviations" in values:
            standard = noise["common_deviations"] - inputs["common_offset"]
            values["common_deviations"] = _solved(inputs["common_spread"], standard)
            if offset.size:
                share = values["common_deviations"] @ inputs["common_share"].T
                offset = offset + share[:, None, :]
        if "deviations" in values:
            values["deviations"] = _solved(inputs["spread"], noise["deviations"] - offset)
        degrees = np.broadcast_to(inputs["squares_df"], (n, *shapes["precision_squares"]))
        values["precision_squares"] = rng.chisquare(degrees)
        return unconstrained(values)

    return draw


def _solved(spread: FloatArray, standard: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(spread, standard[..., None])[..., 0])


def near(mixture: Mixture, initial: Any) -> Start:
    """Starts close to given parameters, in their labelling.

    Raises
    ------
    OptionError
        If these do not suit the model.
    """
    if isinstance(initial, Fit):
        initial = initial.layout.take(initial.tree["estimate"].to_dataset())
    if not isinstance(initial, Mapping):
        raise OptionError(
            f"initial must be a Fit or a mapping of parameters, not {type(initial).__name__}."
        )
    arrays = {str(name): np.asarray(value, dtype=float) for name, value in initial.items()}
    wanted = _parameter_shapes(mixture)
    found = {name: array.shape for name, array in arrays.items()}
    if found != wanted:
        raise OptionError(f"initial must have arrays of the shapes {wanted}, not {found}.")
    arrays["weights"] = np.maximum(arrays["weights"], _LEAST_WEIGHT)
    arrays["weights"] /= arrays["weights"].sum()
    try:
        return _around(mixture.free_values(**arrays), _NEAR)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise OptionError(f"initial does not suit the model: {error}") from error


def _parameter_shapes(mixture: Mixture) -> dict[str, tuple[int, ...]]:
    s = mixture.structure
    k, p, m, c = s.n_components, s.n_covariates, s.n_outcomes, s.n_concomitants
    membership = {"membership_coefficients": (k, c)} if c else {}
    return {"weights": (k,), **membership, "coefficients": (k, p, m), "covariance": (k, m, m)}


def _around(values: Mapping[str, FloatArray], width: float) -> Start:
    centre = unconstrained(values)

    def start(rng: np.random.Generator) -> dict[str, FloatArray]:
        return {
            name: value + rng.uniform(-width, width, size=value.shape)
            for name, value in centre.items()
        }

    return start
