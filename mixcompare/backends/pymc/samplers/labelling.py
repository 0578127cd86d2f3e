"""One numbering of the classes among all: a part of space that renumbering moves into its copies.

Of all K! copies of a point, one is nearest to a reference. Those that are nearest themselves are a
part of space, and its copies, which renumbering makes of it, fill the rest. A density that
no renumbering changes is the same in each, so that moves may stay in one: those that would leave
it are refused, which leaves the density's part in it unchanged. There one mode is what K! are
in all of space, and the spread of points is that of the mode and not of its copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import solve_triangular

from mixcompare.base.arrays import FloatArray, IntArray

# Renumbered points move the reference, by which they are renumbered.
_ROUNDS: Final = 8
# By how much points must be nearer to one another than in all of space, as a logarithm of volume.
_NEARER: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """The points that are nearer to a reference than any of their copies.

    Attributes
    ----------
    mean, root
        (D,) and lower triangular (D, D): nearness is in units of ``root @ root.T``.
    copies
        (K!, D, D), see `mixcompare.backends.pymc.mixture.Mixture.copies`; the first alone where
        all of space is one labelling.
    """

    mean: FloatArray
    root: FloatArray
    copies: FloatArray

    def nearest(self, points: FloatArray) -> IntArray:
        """(n,) which of their copies are in it; 0, the point itself, where it is."""
        shift = solve_triangular(self.root, self.mean, lower=True)
        least, nearest = np.full(len(points), np.inf), np.zeros(len(points), dtype=np.intp)
        for i, copy in enumerate(self.copies):
            away = points @ solve_triangular(self.root, copy, lower=True).T - shift
            distance = np.einsum("nd,nd->n", away, away)
            nearest[distance < least] = i
            least = np.minimum(least, distance)
        return nearest

    def renumbered(self, points: FloatArray) -> tuple[FloatArray, bool]:
        """Their copies in it, and whether any were outside."""
        nearest, renumbered = self.nearest(points), points.copy()
        for i in np.unique(nearest[nearest > 0]):
            renumbered[nearest == i] = points[nearest == i] @ self.copies[i].T
        return renumbered, bool(nearest.any())


def labelling_of(
    points: FloatArray, first: FloatArray, copies: FloatArray
) -> tuple[Labelling, FloatArray]:
    """The labelling in which points (n, D) are next to one another, and their copies in it.

    It is found from a first reference (D,) on: points are renumbered by the reference, and the
    reference is then that of the renumbered points. Where copies overlap it is all of space: points
    are then hardly nearer to one another in a labelling than its part of space makes them, and
    many moves would leave it.
    """
    whole, alike = _spread(points), points
    labelling = Labelling(first, whole, copies)
    for _ in range(_ROUNDS):
        alike, moved = labelling.renumbered(alike)
        labelling = Labelling(alike.mean(axis=0), _spread(alike), copies)
        if not moved:
            break
    nearer = np.log(np.diag(whole)).sum() - np.log(np.diag(labelling.root)).sum()
    if nearer < np.log(len(copies)) + _NEARER:
        return Labelling(points.mean(axis=0), whole, copies[:1]), points
    return labelling, labelling.renumbered(alike)[0]


def _spread(points: FloatArray) -> FloatArray:
    """The covariance's root, whose correlations few points are not trusted with."""
    n, d = points.shape
    covariance = np.atleast_2d(np.cov(points, rowvar=False, bias=True))
    mixed = n / (n + d)
    return np.linalg.cholesky(mixed * covariance + (1 - mixed) * np.diag(np.diag(covariance)))
