"""What compiled passes over the units offer to the steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import NamedTuple

import numpy as np

from mixcompare.backends.em.classes.class_model import Posterior
from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.emissions.normal.regression import separate
from mixcompare.backends.em.emissions.normal.statistics import Scatter
from mixcompare.backends.em.emissions.normal.tiled_rows import Rows
from mixcompare.base.arrays import FloatArray


class At(NamedTuple):
    """Parameters as E-steps take them; all may have the same axes in front.

    Attributes
    ----------
    coefficients, roots
        (K, p, m), and (K, m, m) lower triangular factors of the covariances.
    log_weights
        (1, K), or (G, K) where they differ between units.
    log_norms
        (K,) by which twice the log-density falls per degree of freedom.
    """

    coefficients: FloatArray
    roots: FloatArray
    log_weights: FloatArray
    log_norms: FloatArray

    def split_log_weights(self) -> tuple[FloatArray, FloatArray]:
        """(S, K) by class and (S, K, G) by unit: one is zero or has no units."""
        *starts, rows, k = self.log_weights.shape
        flat = self.log_weights.reshape(-1, rows, k)
        if rows == 1:
            return np.ascontiguousarray(flat[:, 0]), np.empty((prod(starts), k, 0))
        return np.zeros((prod(starts), k)), np.ascontiguousarray(flat.mT)

    def posterior(self, tau: FloatArray, unit: FloatArray, joint: FloatArray) -> Posterior:
        """From arrays (S, K, G), (S, G) and (S, K, G), whose memory it keeps."""
        starts, k = self.log_norms.shape[:-1], self.log_norms.shape[-1]
        shape = (*starts, k, unit.shape[-1])
        return Posterior(
            tau.reshape(shape).mT, unit.reshape(*starts, unit.shape[-1]), joint.reshape(shape).mT
        )


class Passes(ABC):
    """Passes over all units, whose weights tau are (G, K).

    All arrays may have the same further axes in front, for starts that run together.
    """

    @property
    @abstractmethod
    def rows(self) -> tuple[Rows, Rows] | None:
        """Covariates (G, r, p) and outcomes (G, r, m), if they can be read out of the tiles."""

    @abstractmethod
    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (K, p, p) of the covariates and (K, p, m) with the outcomes."""

    def regressions(self, tau: FloatArray) -> FloatArray:
        """Coefficients (K, p, m) that solve them class by class, NaN where not identified."""
        return separate(*self.normal_equations(tau))

    @abstractmethod
    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> Scatter:
        """Weighted cross-products of the residuals; squares where there is a single outcome."""

    @abstractmethod
    def e_step(self, at: At, squares: FloatArray | None = None) -> tuple[Posterior, FloatArray]:
        """What is found by unit, and (3,) log-likelihood, Q and entropy if all units count once.

        Squares are those of `scatter` at the same coefficients, if an M-step found them.
        """

    def occupancy(self, at: At) -> FloatArray:
        """Class probabilities (G, K) as `e_step` gives them, in less room where that can be."""
        return self.e_step(at)[0].occupancy

    def moments(
        self,
        at: At,  # noqa: ARG002
        unit_weights: FloatArray | None,  # noqa: ARG002
    ) -> tuple[Moments, FloatArray] | None:
        """Moments of the next M-step, and weighted sums as of `e_step`; None if not offered."""
        return None
