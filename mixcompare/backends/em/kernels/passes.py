"""What compiled passes over the units offer to the steps."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mixcompare.backends.em.classes.class_model import Posterior
from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.emissions.normal.statistics import Scatter
from mixcompare.backends.em.emissions.normal.tiled_rows import Rows
from mixcompare.base.arrays import FloatArray


class Passes(Protocol):
    """Passes over all units; see `mixcompare.backends.em.kernels.panel.Compiled`.

    All arrays may have the same further axes in front, for starts that run together.
    """

    @property
    def rows(self) -> tuple[Rows, Rows] | None:
        """Covariates (G, r, p) and outcomes (G, r, m), if they can be read out of the tiles."""

    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products of the covariates with themselves and the outcomes."""

    def regressions(self, tau: FloatArray) -> FloatArray:
        """Coefficients that solve them class by class, NaN where not identified."""

    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> Scatter:
        """Weighted cross-products of the residuals."""

    def e_step(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
        squares: FloatArray | None = None,
    ) -> tuple[Posterior, FloatArray]:
        """What is found by unit, and (3,) log-likelihood, Q and entropy if all units count once.

        Log-weights are (1, K) or, where they differ between units, (G, K); squares are those
        of `scatter` at the same coefficients.
        """

    def occupancy(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
    ) -> FloatArray:
        """The first of what `e_step` gives, without room for the others where that can be."""

    def moments(
        self,
        coefficients: FloatArray,
        roots: FloatArray,
        log_weights: FloatArray,
        log_norms: FloatArray,
        unit_weights: FloatArray | None,
    ) -> tuple[Moments, FloatArray] | None:
        """What the next M-step needs, and the sums; None if not offered."""


def split_log_weights(log_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(S, K) by class and (S, K, G) by unit of (S, 1 or G, K): one is zero or has no units."""
    starts, rows, k = log_weights.shape
    if rows == 1:
        return np.ascontiguousarray(log_weights[:, 0]), np.empty((starts, k, 0))
    return np.zeros((starts, k)), np.ascontiguousarray(log_weights.mT)
