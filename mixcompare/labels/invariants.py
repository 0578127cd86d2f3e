"""Quantities of a classification that no relabelling can change."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray


def co_clustering(responsibilities: FloatArray) -> FloatArray:
    """(G, G) posterior probabilities that two units are in the same class.

    The mean over the draws of ``sum_k tau[g, k] tau[h, k]``, since units are independent
    given the parameters (Binder 1978; Fritsch & Ickstadt 2009); 1 on the diagonal.

    Parameters
    ----------
    responsibilities
        (..., G, K) class probabilities by draw.
    """
    units, k = responsibilities.shape[-2:]
    draws = responsibilities.reshape(-1, units, k)
    wide = np.moveaxis(draws, 1, 0).reshape(units, -1)
    matrix = wide @ wide.T / len(draws)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def pair_probabilities(responsibilities: FloatArray, pairs: IntArray) -> FloatArray:
    """(..., P) probabilities by draw that the two units of each pair (P, 2) are together."""
    first, second = responsibilities[..., pairs[:, 0], :], responsibilities[..., pairs[:, 1], :]
    return np.asarray((first * second).sum(axis=-1))


def expected_pairs(responsibilities: FloatArray) -> FloatArray:
    """(...) expected share of all pairs of units that are in the same class, by draw.

    The mean of the co-clustering matrix off its diagonal, from class sizes alone.
    """
    units = responsibilities.shape[-2]
    sizes = responsibilities.sum(axis=-2)
    with_itself = np.einsum("...gk,...gk->...", responsibilities, responsibilities)
    return np.asarray((np.square(sizes).sum(axis=-1) - with_itself) / max(units * (units - 1), 1))
