"""The posterior's density at any point of coordinates without bounds, for bridge sampling.

The coordinates are the sampler's, joined to one vector. The density is that of the model's
likelihood times its normalised prior, so that its integral is the marginal likelihood, and the
coordinates' change of volume is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
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
        """(S, D) coordinates of draws.

        Parameters
        ----------
        parameters
            Arrays (S, K, ...) in original units by the name of their block.
        """
        return self.mixture.join(self.mixture.unconstrained(self.mixture.free_values(parameters)))

    def __call__(self, points: FloatArray) -> FloatArray:
        """(S,) unnormalised log-densities of the posterior at points (S, D)."""
        size = max(1, _BATCH_VALUES // (self.n_carriers * self.mixture.n_components))
        parts = [self._batch(points[i : i + size]) for i in range(0, len(points), size)]
        return np.concatenate(parts)

    def copies(self) -> FloatArray:
        """(K!, D, D) maps from a point to its copies with the components renumbered."""
        mixture, points = self.mixture, np.eye(self.mixture.n_free)
        orders = np.asarray(list(permutations(range(mixture.n_components))))
        # Renumbering is linear: the copies of unit vectors are the columns of its matrix.
        return np.stack(
            [mixture.renumbered(points, np.tile(order, (len(points), 1))).T for order in orders]
        )

    def _batch(self, points: FloatArray) -> FloatArray:
        variables = self.mixture.constrained(self.mixture.split(points))
        likelihood = evaluate(self.mixture, variables, len(points)).log_likelihood.sum(axis=1)
        return np.asarray(likelihood + self.mixture.log_prior(variables))


def posterior_density(problem: Problem) -> PosteriorDensity:
    """The posterior's density of a problem."""
    return PosteriorDensity(build_mixture(problem), len(problem.carriers.unit))
