"""Compiled passes over a Gaussian mixture: units of one row and an intercept.

Importing this module does not import numba; making a `CompiledMixture` does.
"""

from __future__ import annotations

from math import prod
from types import ModuleType

import numpy as np
from scipy.linalg.lapack import dtrtri

from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.emissions.normal.regression import separate
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.emissions.normal.statistics import Scatter
from mixcompare.backends.em.emissions.normal.tiled_rows import TiledRows
from mixcompare.backends.em.expected import Posterior
from mixcompare.backends.em.kernels.passes import At
from mixcompare.base.arrays import FloatArray


def is_mixture(data: Standardised) -> bool:
    """Whether each unit is one row, all with the same value of a single covariate."""
    _, rows, p, _ = data.shape
    if (rows, p) != (1, 1):
        return False
    x = np.asarray(data.covariates)
    return bool(np.all(x == x[0]) and x[0] != 0 and np.all(data.degrees_of_freedom == 1))


class CompiledMixture:
    """As `Compiled`, for one mixture's rows, see `is_mixture`."""

    def __init__(self, data: Standardised) -> None:
        # numba takes long to import
        from mixcompare.backends.em.kernels import mixture_kernels

        self._kernels: ModuleType = mixture_kernels
        self._intercept = data.covariates[:1].item()
        self._units, _, _, self._m = data.shape
        self._tiles: FloatArray = mixture_kernels.pack(np.asarray(data.outcomes)[:, 0])

    @property
    def rows(self) -> tuple[FloatArray, TiledRows]:
        """The constant covariate, and the outcomes read out of the tiles."""
        units, size = self._units, 4 * self._tiles.shape[1]
        tiles = self._tiles.reshape(len(self._tiles), size, -1)
        covariates = np.broadcast_to(self._intercept, (units, 1, 1))
        return covariates, TiledRows(tiles, units, np.arange(self._m)[None])

    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (..., K, 1, 1) and (..., K, 1, m), for (..., G, K) weights."""
        origin = np.zeros((*tau.shape[:-2], tau.shape[-1], 1, self._m))
        return self._moments_about(origin, tau).normal_equations()

    def regressions(self, tau: FloatArray) -> FloatArray:
        """Coefficients (..., K, 1, m) that solve them class by class, NaN where not identified."""
        return separate(*self.normal_equations(tau))

    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> Scatter:
        """Weighted cross-products of the residuals."""
        return Scatter(self._moments_about(coefficients, tau).squares)

    def moments(self, at: At, unit_weights: FloatArray | None) -> tuple[Moments, FloatArray] | None:
        """Moments of the next M-step, and weighted sums as of `e_step`, in one pass.

        Nothing of the size of units times classes is made. None where log-weights differ between
        units: their own M-step needs the responsibilities.
        """
        if at.log_weights.shape[-2] > 1:
            return None
        starts = prod(at.log_norms.shape[:-1])
        nothing = np.empty((starts, 0, 0))
        return self._pass(at, unit_weights, (nothing, nothing, np.empty((starts, 0))))

    def e_step(
        self,
        at: At,
        squares: FloatArray | None = None,  # noqa: ARG002
    ) -> tuple[Posterior, FloatArray]:
        """What is found by unit, and its sums."""
        *starts, k = at.log_norms.shape
        shape = (prod(starts), k, self._units)
        joint, tau, unit = np.empty(shape), np.empty(shape), np.empty((shape[0], self._units))
        _, sums = self._pass(at, None, (joint, tau, unit))
        return at.posterior(tau, unit, joint), sums

    def occupancy(self, at: At) -> FloatArray:
        """Class probabilities (..., G, K) as `e_step` gives them."""
        *starts, k = at.log_norms.shape
        tau, unit = np.empty((prod(starts), k, self._units)), np.empty((prod(starts), self._units))
        # A tile's joint density is written first, so that class probabilities may take its place.
        self._pass(at, None, (tau, tau, unit))
        return at.posterior(tau, unit, tau).occupancy

    def _pass(
        self,
        at: At,
        unit_weights: FloatArray | None,
        by_unit: tuple[FloatArray, FloatArray, FloatArray],
    ) -> tuple[Moments, FloatArray]:
        *starts, k = at.log_norms.shape
        s = prod(starts)
        constant, added = at.split_log_weights()
        size = 4 * self._tiles.shape[1]
        inverse_roots = np.zeros((s * k, size, size))
        for i, root in enumerate(at.roots.reshape(-1, self._m, self._m)):
            inverse_roots[i, : self._m, : self._m] = np.tril(dtrtri(root, lower=1)[0])
        room, sums = self._room(s, k), np.empty((s, 3))
        self._kernels.e_steps(
            self._tiles,
            self._units,
            np.empty((1, 0)) if unit_weights is None else np.atleast_2d(unit_weights),
            (
                self._means(at.coefficients),
                inverse_roots.reshape(s, k, size, size),
                constant - 0.5 * at.log_norms.reshape(s, k),
                added,
            ),
            by_unit,
            room,
            sums,
        )
        return self._moments(at.coefficients, *room), sums.reshape(*starts, 3)

    def _moments_about(self, coefficients: FloatArray, tau: FloatArray) -> Moments:
        units, k = tau.shape[-2:]
        weights = np.ascontiguousarray(tau, dtype=float).reshape(-1, units, k)
        room = self._room(len(weights), k)
        self._kernels.moments(self._tiles, weights, self._means(coefficients), *room)
        return self._moments(coefficients, *room)

    def _means(self, coefficients: FloatArray) -> FloatArray:
        """(S, K, 4 strips) means, filled up with zeros."""
        k = coefficients.shape[-3]
        flat = coefficients.reshape(-1, k, self._m)
        means = np.zeros((len(flat), k, 4 * self._tiles.shape[1]))
        means[..., : self._m] = self._intercept * flat
        return means

    def _room(self, starts: int, n_classes: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        size = 4 * self._tiles.shape[1]
        shape = (starts, n_classes, size, size)
        return np.zeros(shape[:2]), np.zeros(shape[:3]), np.zeros(shape)

    def _moments(
        self, around: FloatArray, total: FloatArray, first: FloatArray, second: FloatArray
    ) -> Moments:
        m, x = self._m, self._intercept
        shape = around.shape[:-2]
        total = total.reshape(shape)
        cross = x * first[..., None, :m].reshape(*shape, 1, m)
        squares = second[..., :m, :m].reshape(*shape, m, m)
        return Moments(total, total, around, x * x * total[..., None, None], cross, squares)
