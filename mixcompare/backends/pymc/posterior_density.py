"""The posterior's density at any point of coordinates without bounds, for bridge sampling.

The coordinates are the sampler's, joined to one vector. The density is that of the model's
likelihood times its normalised prior, so that its integral is the marginal likelihood, and the
coordinates' change of volume is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem

_BATCH_VALUES: Final = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorDensity:
    """Log-likelihood plus log-prior of one mixture as a function of D coordinates."""

    mixture: Mixture
    n_carriers: int

    def coordinates(self, parameters: Arrays) -> FloatArray:
        """(S, D) coordinates of parameters (S, K, ...) in original units, by their block's name."""
        return self.mixture.join(self.mixture.unconstrained(self.mixture.free_values(parameters)))

    def log_prior(self, parameters: Arrays) -> FloatArray:
        """(S,) log prior densities of the coordinates, of parameters as `coordinates` takes."""
        return self.mixture.log_prior(self.mixture.free_values(parameters))

    def __call__(self, points: FloatArray) -> FloatArray:
        """(S,) unnormalised log-densities of the posterior at points (S, D)."""
        mixture, values = self.mixture, []
        size = max(1, _BATCH_VALUES // (self.n_carriers * mixture.n_components))
        for i in range(0, len(points), size):
            variables = mixture.constrained(mixture.split(points[i : i + size]))
            draws = evaluate(mixture, variables, len(points[i : i + size]))
            values.append(draws.log_likelihood.sum(axis=1) + mixture.log_prior(variables))
        return np.concatenate(values)


def posterior_density(problem: Problem) -> PosteriorDensity:
    """The posterior's density of a problem."""
    return PosteriorDensity(build_mixture(problem), len(problem.carriers.unit))
