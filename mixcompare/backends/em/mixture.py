"""Compiled passes over a Gaussian mixture: units of one row and an intercept.

Importing this module does not import numba; making a `CompiledMixture` does.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from scipy.linalg.lapack import dtrtri

from mixcompare.backends.em.moments import Moments
from mixcompare.backends.em.standardise import Standardised
from mixcompare.panel import FloatArray


def is_mixture(data: Standardised) -> bool:
    """Whether each unit is one row, all with the same value of a single covariate."""
    _, rows, p, _ = data.shape
    if (rows, p) != (1, 1):
        return False
    x = data.covariates
    return bool(np.all(x == x[0]) and x[0] != 0 and np.all(data.degrees_of_freedom == 1))


class CompiledMixture:
    """The compiled passes over one mixture's rows.

    Parameters
    ----------
    data
        What is packed into tiles, once; see `is_mixture`.
    """

    def __init__(self, data: Standardised) -> None:
        from mixcompare.backends.em import mixture_kernels  # numba takes long to import

        self._kernels: ModuleType = mixture_kernels
        self._intercept = float(data.covariates[0, 0, 0])
        self._units, _, _, self._m = data.shape
        weights = data.unit_weights
        self._unit_weights = np.empty(0) if weights is None else weights
        self._tiles: FloatArray = mixture_kernels.pack(data.outcomes[:, 0])

    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (K, 1, 1) and (K, 1, m), for (G, K) weights."""
        origin = np.zeros((tau.shape[1], 1, self._m))
        return self._moments_about(origin, tau).normal_equations()

    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> FloatArray:
        """(K, m, m) weighted cross-products of the residuals."""
        return self._moments_about(coefficients, tau).squares

    def moments(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
    ) -> tuple[Moments, tuple[float, float]] | None:
        """Moments of the next M-step, and the weighted sums of Q and entropy, in one pass.

        Nothing of the size of units times classes is made. None where log-weights differ
        between units: their own M-step needs the responsibilities.
        """
        if log_weights.ndim > 1:
            return None
        nothing = np.empty((0, 0))
        arguments = (coefficients, roots, log_weights, log_norms)
        return self._pass(arguments, nothing, nothing, np.empty(0))

    def e_step(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float]]:
        """Responsibilities (G, K), unit log-likelihood (G,), joint (G, K), Q and entropy."""
        shape = (len(coefficients), self._units)
        joint, tau, unit = np.empty(shape), np.empty(shape), np.empty(self._units)
        arguments = (coefficients, roots, log_weights, log_norms)
        _, sums = self._pass(arguments, joint, tau, unit)
        return tau.T, unit, joint.T, sums

    def _pass(
        self,
        arguments: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
        joint: FloatArray,
        tau: FloatArray,
        unit: FloatArray,
    ) -> tuple[Moments, tuple[float, float]]:
        coefficients, roots, log_weights, log_norms = arguments
        by_unit = np.empty((len(coefficients), 0))
        if log_weights.ndim > 1:
            by_unit, log_weights = np.ascontiguousarray(log_weights.T), np.zeros(len(coefficients))
        size = 4 * self._tiles.shape[1]
        inverse_roots = np.zeros((len(roots), size, size))
        for own, root in zip(inverse_roots, roots, strict=True):
            own[: self._m, : self._m] = np.tril(dtrtri(root, lower=1)[0])
        room = self._room(len(coefficients))
        sums = self._kernels.e_step(
            self._tiles,
            self._units,
            self._unit_weights,
            self._means(coefficients),
            inverse_roots,
            log_weights - 0.5 * log_norms,
            by_unit,
            joint,
            tau,
            unit,
            *room,
        )
        return self._moments(coefficients, *room), sums

    def _moments_about(self, coefficients: FloatArray, tau: FloatArray) -> Moments:
        weights = np.ascontiguousarray(tau, dtype=float)
        room = self._room(len(coefficients))
        self._kernels.moments(self._tiles, weights, self._means(coefficients), *room)
        return self._moments(coefficients, *room)

    def _means(self, coefficients: FloatArray) -> FloatArray:
        means = np.zeros((len(coefficients), 4 * self._tiles.shape[1]))
        means[:, : self._m] = self._intercept * coefficients[:, 0]
        return means

    def _room(self, n_classes: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        size = 4 * self._tiles.shape[1]
        shape = (n_classes, size, size)
        return np.zeros(n_classes), np.zeros(shape[:2]), np.zeros(shape)

    def _moments(
        self, around: FloatArray, total: FloatArray, first: FloatArray, second: FloatArray
    ) -> Moments:
        m, x = self._m, self._intercept
        gram = x * x * total[:, None, None]
        cross = x * first[:, None, :m]
        return Moments(total, total, around, gram, cross, second[:, :m, :m])
