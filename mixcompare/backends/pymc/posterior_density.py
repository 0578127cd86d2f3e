"""The posterior's density at any point of coordinates without bounds, for bridge sampling.

The coordinates are the sampler's (`mixcompare.backends.pymc.transforms`), joined to one
vector. The density is that of the model's likelihood times its normalised prior, so that its
integral is the marginal likelihood, and the coordinates' change of volume is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
from scipy.special import gammaln

from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.mixture import Mixture, build_mixture
from mixcompare.backends.pymc.renumbering import renumber
from mixcompare.backends.pymc.transforms import constrained, split_point, unconstrained
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel

_LOG_2PI: Final = float(np.log(2 * np.pi))
_BATCH_VALUES: Final = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorDensity:
    """Log-likelihood plus log-prior of one mixture as a function of D coordinates."""

    mixture: Mixture

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The coordinates' parts, in order."""
        return self.mixture.structure.free_shapes

    def coordinates(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """(S, D) coordinates of draws.

        Parameters
        ----------
        parameters
            Blocks by name, (S, K, ...) in original units.
        """
        free = unconstrained(self._free(parameters))
        n = len(parameters["coefficients"])
        return np.concatenate([free[name].reshape(n, -1) for name in self.shapes], axis=1)

    def __call__(self, points: FloatArray) -> FloatArray:
        """(S,) unnormalised log-densities of the posterior at points (S, D)."""
        panel, k = self.mixture.panel, self.mixture.structure.n_components
        size = max(1, _BATCH_VALUES // (len(panel.unit_weights) * k))
        parts = [self._batch(points[i : i + size]) for i in range(0, len(points), size)]
        return np.concatenate(parts)

    def copies(self) -> FloatArray:
        """(K!, D, D) maps from a point to its copies with the components renumbered."""
        s, points = self.mixture.structure, np.eye(self.mixture.structure.n_free)
        orders = np.asarray(list(permutations(range(s.n_components))))
        # Renumbering is linear: the copies of unit vectors are the columns of its matrix.
        return np.stack(
            [renumber(points, np.tile(order, (len(points), 1)), s).T for order in orders]
        )

    def _batch(self, points: FloatArray) -> FloatArray:
        n = len(points)
        variables = constrained(split_point(points, self.shapes))
        likelihood = evaluate(self.mixture, variables, n).log_likelihood.sum(axis=1)
        return np.asarray(likelihood + log_prior(self.mixture, variables))

    def _free(self, parameters: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The free variables (S, ...) of draws in original units."""
        mixture, s = self.mixture, self.mixture.structure
        deviations = mixture.panel.deviations(parameters["coefficients"])
        n, m = len(deviations), s.n_outcomes
        distinct = parameters["covariance"][:, : s.n_covariances].reshape(-1, m, m)
        standard = mixture.panel.standard_covariance(distinct)
        squares, below = mixture.bartlett.from_covariance(standard)
        values = {
            "weights": parameters["weights"],
            "common_deviations": deviations[:, 0, s.n_varying :].reshape(n, -1),
            "deviations": deviations[:, :, : s.n_varying].reshape(n, s.n_components, -1),
            "precision_squares": squares.reshape(n, s.n_covariances, -1),
            "precision_below": below.reshape(n, s.n_covariances, -1),
        }
        if mixture.membership is not None:
            odds = parameters["membership_coefficients"]
            values["membership"] = mixture.membership.from_coefficients(odds)
        return {name: values[name] for name in s.shapes}


def posterior_density(spec: MixtureSpec, prepared: PreparedPanel) -> PosteriorDensity:
    """The posterior's density of a specification on a panel."""
    return PosteriorDensity(build_mixture(spec, prepared))


def log_prior(mixture: Mixture, variables: Mapping[str, FloatArray]) -> FloatArray:
    """Normalised log prior densities (S,) in the coordinates without bounds.

    Parameters
    ----------
    variables
        The model's free variables, (S, ...) each.
    """
    inputs = mixture.inputs()
    squares, df = variables["precision_squares"], inputs["squares_df"]
    # That of the logarithm of a chi-squared variable.
    each = df / 2 * np.log(squares / 2) - squares / 2 - gammaln(df / 2)
    total = each.sum(axis=(1, 2))
    if "precision_below" in variables:
        total = total - 0.5 * (_LOG_2PI + variables["precision_below"] ** 2).sum(axis=(1, 2))
    if "weights" in variables:
        total = total + _weights(variables["weights"], inputs["concentration"])
    offset = inputs.get("offset", np.zeros(0))
    if "common_deviations" in variables:
        common = variables["common_deviations"]
        standard = inputs["common_offset"] + common @ inputs["common_spread"].T
        total = total + _normal(standard, float(inputs["common_log_volume"]))
        if offset.size:
            offset = offset + (common @ inputs["common_share"].T)[:, None, :]
    if "deviations" in variables:
        standard = offset + variables["deviations"] @ inputs["spread"].T
        total = total + _normal(standard, float(inputs["log_volume"]))
    if "membership" in variables:
        standard = variables["membership"] @ inputs["membership_spread"].T
        total = total + _normal(standard, float(inputs["membership_log_volume"]))
    return np.asarray(total)


def _weights(weights: FloatArray, concentration: FloatArray) -> FloatArray:
    """Dirichlet density of the logarithms less their mean, without the last."""
    k = weights.shape[-1]
    constant = gammaln(concentration.sum()) - gammaln(concentration).sum() + np.log(k)
    return np.asarray(constant + (concentration * np.log(weights)).sum(axis=-1))


def _normal(standard: FloatArray, log_volume: float) -> FloatArray:
    """Densities (S,) of independent rows of which `standard` (S, ..., q) is standard normal."""
    by_row = log_volume - 0.5 * (_LOG_2PI + standard**2).sum(axis=-1)
    return np.asarray(by_row.reshape(len(standard), -1).sum(axis=-1))
