"""Renumbering the classes of points in the sampler's coordinates.

What belongs to one class is a row of a matrix (K, F): its log weight, less the classes' mean,
or its log-odds; its coefficients' deviations; its precision, if that is its own. Renumbering
the classes permutes the rows; priors and likelihood are the same at all K! copies of a point.
"""

from __future__ import annotations

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.membership import helmert_contrasts
from mixcompare.backends.pymc.structure import Structure
from mixcompare.backends.pymc.transforms import split_point
from mixcompare.base.arrays import FloatArray
from mixcompare.labels import IntArray

_OWN = ("deviations", "precision_squares", "precision_below")


def split_classes(points: FloatArray, structure: Structure) -> FloatArray:
    """Rows (n, K, F) of points (n, D) that belong to the classes."""
    parts = split_point(points, structure.free_shapes)
    rows = [parts[name] for name in _by_class(structure) if name in _OWN]
    if "weights" in parts:
        free = parts["weights"]
        rows.append(np.concatenate([free, -free.sum(axis=1, keepdims=True)], axis=1)[..., None])
    if "membership" in parts:
        contrasts = helmert_contrasts(structure.n_components)
        rows.append(contrasts.T @ parts["membership"])
    return np.concatenate(rows, axis=2)


def join_classes(points: FloatArray, rows: FloatArray, structure: Structure) -> FloatArray:
    """Points (n, D) with rows (n, K, F) in place of their own."""
    parts = split_point(points, structure.free_shapes)
    at = 0
    for name in _by_class(structure):
        width = structure.shapes[name][-1] if name != "weights" else 1
        own = rows[..., at : at + width]
        if name == "weights":
            own = own[:, :-1, 0]
        elif name == "membership":
            own = helmert_contrasts(structure.n_components) @ own
        parts[name] = own
        at += width
    return np.concatenate([part.reshape(len(points), -1) for part in parts.values()], axis=1)


def _by_class(structure: Structure) -> list[str]:
    """Variables that belong to classes, in the order of the columns of their rows."""
    own = [name for name in _OWN if name in structure.shapes]
    if structure.n_covariances != structure.n_components:
        own = [name for name in own if not name.startswith("precision")]
    return own + [name for name in ("weights", "membership") if name in structure.shapes]


def renumber(points: FloatArray, permutation: IntArray, structure: Structure) -> FloatArray:
    """Points (n, D) whose class k is the class ``permutation[:, k]`` of those given."""
    if structure.n_components == 1:
        return points
    rows = split_classes(points, structure)
    return join_classes(points, labels.permute(rows, permutation, axis=1), structure)


def shuffle(points: FloatArray, structure: Structure, rng: np.random.Generator) -> FloatArray:
    """Points (n, D) with the classes of each numbered at random."""
    order = rng.uniform(size=(len(points), structure.n_components)).argsort(axis=1)
    return renumber(points, order, structure)
