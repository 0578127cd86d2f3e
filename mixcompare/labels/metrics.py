"""Measures of agreement between classifications, on arrays; knows no backend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray


def adjusted_rand_index(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
    """Agreement of two partitions, corrected for chance (Hubert & Arabie 1985, eq. 5).

    Parameters
    ----------
    first, second
        (G,) class numbers; their names do not matter.

    Returns
    -------
    1 for equal partitions, about 0 for independent ones.
    """
    names_a, a = np.unique(first, return_inverse=True)
    names_b, b = np.unique(second, return_inverse=True)
    shape = len(names_a), len(names_b)
    table = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)
    together, rows, columns, every = (
        float((counts * (counts - 1) // 2).sum())
        for counts in (table, table.sum(axis=1), table.sum(axis=0), table.sum(keepdims=True))
    )
    expected = rows * columns / every if len(a) > 1 else 0.0
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def brier_score(probabilities: FloatArray, classes: FloatArray) -> float:
    """Mean squared distance of class probabilities from the classes (Brier 1950), 0 to 2.

    Parameters
    ----------
    probabilities
        (G, K).
    classes
        (G, K) indicators of the true classes, in the same order.
    """
    return float(((probabilities - classes) ** 2).sum(axis=1).mean())


def total_variation(first: FloatArray, second: FloatArray) -> FloatArray:
    """(G,) total variation distances between class probabilities (G, K), in 0..1."""
    return np.asarray(0.5 * np.abs(first - second).sum(axis=1))


def relative_entropy(responsibilities: FloatArray, counts: FloatArray | None = None) -> float:
    """Relative entropy of a classification, 1 for certain classes (Ramaswamy et al. 1993).

    Parameters
    ----------
    responsibilities
        (G, K). With one class the classification is certain.
    counts
        (G,) how often each unit counts; by default once.
    """
    units, k = responsibilities.shape
    if k == 1:
        return 1.0
    each = np.ones(units) if counts is None else counts
    logs = np.log(responsibilities, where=responsibilities > 0, out=np.zeros_like(responsibilities))
    return float(1 + (each @ (responsibilities * logs)).sum() / (each.sum() * np.log(k)))
