"""What compiled passes over the units take."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from mixcompare.backends.em.expected import Posterior
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
