"""Class probabilities that depend on unit covariates, in coordinates fit for sampling.

``P(class k | w) = exp(w' a_k) / sum_l exp(w' a_l)`` with coefficients that sum to zero over the
classes, which treats all classes alike. K such vectors have K - 1 free ones: ``a = H' V T'``
with H the Helmert matrix, whose K - 1 orthonormal rows sum to zero, and T a change of
covariates that whitens units and prior together (see `mixcompare.backends.pymc.whitening`). The
prior of ``a``, ``exp(-sum_k a_k' P a_k / 2)``, makes the rows of V independent normals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, helmert

from mixcompare.backends.pymc.whitening import whiten
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.prepared import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class MembershipMap:
    """Constants of the membership's coordinates.

    Attributes
    ----------
    concomitants
        (G, c) unit covariates ``W T``.
    unmix
        (c, c) T.
    spread
        (c, c) S such that ``S v`` is standard normal under the prior, for each row v of V.
    contrasts
        (K - 1, K) H.
    """

    concomitants: FloatArray
    unmix: FloatArray
    spread: FloatArray
    contrasts: FloatArray

    def log_probabilities(self, membership: FloatArray) -> FloatArray:
        """(..., G, K) log class probabilities of V (..., K - 1, c)."""
        scores = self.concomitants @ np.swapaxes(membership, -1, -2) @ self.contrasts
        top = scores.max(axis=-1, keepdims=True)
        return np.asarray(scores - top - np.log(np.exp(scores - top).sum(-1, keepdims=True)))

    def coefficients(self, membership: FloatArray) -> FloatArray:
        """(..., K, c) log-odds against the first class of V (..., K - 1, c)."""
        a = self.contrasts.T @ membership @ self.unmix.T
        return np.asarray(a - a[..., :1, :])

    def from_coefficients(self, coefficients: FloatArray) -> FloatArray:
        """V (..., K - 1, c) of log-odds (..., K, c) against any class."""
        contrasts = np.swapaxes(self.contrasts @ coefficients, -1, -2)
        return np.asarray(np.swapaxes(np.linalg.solve(self.unmix, contrasts), -1, -2))


def membership_map(prepared: Prepared, precision: FloatArray, n_components: int) -> MembershipMap:
    """Constants for a panel with membership covariates, and P (c, c) of the prior."""
    assert prepared.concomitants is not None
    root = np.sqrt(prepared.replicated)[:, None]
    prior_root = cholesky(precision)
    # With equal weights the logit's information is W'W / K: so much counts the prior.
    z, unmix = whiten(
        prepared.concomitants * root, np.sqrt(n_components) * prior_root, prepared.total_units
    )
    return MembershipMap(z / root, unmix, prior_root @ unmix, helmert_contrasts(n_components))


def helmert_contrasts(n_components: int) -> FloatArray:
    """(K - 1, K) orthonormal rows that sum to zero."""
    return np.asarray(helmert(n_components)) if n_components > 1 else np.zeros((0, 1))
