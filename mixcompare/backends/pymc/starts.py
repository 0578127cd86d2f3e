"""Where chains start, in the unconstrained coordinates in which samplers move.

Chains start at the pooled fit, the same for every class, plus noise from U(-1, 1) on every
coordinate: weights on the simplex transform's scale, log-odds per standard deviation of a
whitened unit covariate, deviations in pooled residual standard deviations of a whitened
direction, precisions on the log scale around the pooled residual covariance. That is wide
beside the posterior of any class, and no start knows of EM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.backends.pymc.transforms import unconstrained
from mixcompare.panel import FloatArray

type Start = Callable[[np.random.Generator], dict[str, FloatArray]]


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


def _around(values: Mapping[str, FloatArray], width: float) -> Start:
    centre = unconstrained(values)

    def start(rng: np.random.Generator) -> dict[str, FloatArray]:
        return {
            name: value + rng.uniform(-width, width, size=value.shape)
            for name, value in centre.items()
        }

    return start
