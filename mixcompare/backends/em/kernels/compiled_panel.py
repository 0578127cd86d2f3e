"""Compiled passes over the units of a panel.

Importing this module does not import numba; making a `Compiled` does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.emissions.normal.statistics import Scatter
from mixcompare.backends.em.emissions.normal.tiled_rows import TiledRows
from mixcompare.backends.em.expected import Posterior
from mixcompare.backends.em.kernels.passes import At
from mixcompare.base.arrays import FloatArray, IntArray


class Compiled:
    """The compiled passes over one panel's units, packed into tiles once.

    Weights tau of units are (G, K). All arrays may have the same further axes in front, for starts
    that run together.
    """

    def __init__(self, data: Standardised) -> None:
        # numba takes long to import
        from mixcompare.backends.em.kernels import (
            expectation_kernels,
            packing_kernels,
            panel_kernels,
        )

        self._kernels: ModuleType = panel_kernels
        self._e_step: Callable[..., None] = expectation_kernels.e_step
        _, _, self._p, self._m = data.shape
        self._nu = data.degrees_of_freedom
        rows = np.ascontiguousarray(data.covariates), np.ascontiguousarray(data.outcomes)
        used = np.concatenate([part.any(axis=0) for part in rows], axis=1)
        self._tiles: FloatArray = np.empty((0, 0, 0))
        self._places: IntArray | None = None
        if np.tril(used, -1).any():
            # Short units are rows still, and a triangle has half the work.
            self._first, self._offset, size = _layout(np.triu(np.ones_like(used)))
            self._tiles = packing_kernels.pack_triangles(*rows, self._offset, size)
        if not len(self._tiles):
            self._first, self._offset, size = _layout(used)
            self._tiles = packing_kernels.pack(*rows, self._first, self._offset, size)
            held = np.arange(used.shape[1]) >= self._first[:, None]
            self._places = np.where(held, self._offset[:, None] + np.arange(used.shape[1]), -1)
        # Triangles have no fewer values than products with their covariates; rows have.
        products = self._p * (self._p + 1) // 2 + self._p * self._m
        self._products: FloatArray = np.empty((0, 0, 0))
        if products <= size:
            place = (self._tiles, self._first, self._offset)
            self._products = panel_kernels.products(*place, self._p, self._m)

    @property
    def rows(self) -> tuple[TiledRows, TiledRows] | None:
        """Covariates (G, r, p) and outcomes (G, r, m), if the tiles hold them, not triangles."""
        if self._places is None:
            return None
        x, y = self._places[:, : self._p], self._places[:, self._p :]
        units = len(self._nu)
        return TiledRows(self._tiles, units, x), TiledRows(self._tiles, units, y)

    def normal_equations(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (..., K, p, p) and (..., K, p, m), for (..., G, K) weights."""
        p, m = self._p, self._m
        total = self._kernels.normal_equations(
            self._tiles, self._first, self._offset, p, m, self._products, _by_class(tau)
        ).reshape(*tau.shape[:-2], tau.shape[-1], p, p + m)
        return total[..., :p], total[..., p:]

    def regressions(self, tau: FloatArray) -> FloatArray:
        """Weighted least-squares coefficients (..., K, p, m), NaN where not identified."""
        p, m = self._p, self._m
        solved = self._kernels.regressions(
            self._tiles, self._first, self._offset, p, m, self._products, _by_class(tau)
        )
        return np.asarray(solved.reshape(*tau.shape[:-2], tau.shape[-1], p, m))

    def scatter(self, coefficients: FloatArray, tau: FloatArray) -> Scatter:
        """Weighted cross-products of the residuals; squares where there is a single outcome."""
        m, squares = self._m, None
        by_class = _by_class(tau)
        if m > 1:
            flat = np.ascontiguousarray(coefficients).reshape(-1, self._p, m)
            place = (self._tiles, self._first, self._offset)
            total = self._kernels.scatter(*place, flat, by_class)
        else:
            squares = self._squares(coefficients)
            total = self._kernels.weighted_squares(squares, by_class)
        return Scatter(total.reshape(*coefficients.shape[:-2], m, m), squares=squares)

    def e_step(self, at: At, squares: FloatArray | None = None) -> tuple[Posterior, FloatArray]:
        """What is found by unit, and (3,) log-likelihood, Q and entropy if all units count once.

        Squares are those of `scatter` at the same coefficients, if an M-step found them.
        """
        *starts, k, p, m = at.coefficients.shape
        s, units = prod(starts), len(self._nu)
        joint, tau = np.empty((s, k, units)), np.empty((s, k, units))
        unit, sums = np.empty((s, units)), np.empty((s, 3))
        if squares is None:
            squares = self._squares(at.coefficients) if m == 1 else np.empty((0, 0, 0))
        self._e_step(
            (self._tiles, self._first, self._offset),
            self._nu,
            np.ascontiguousarray(at.coefficients).reshape(s, k, p, m),
            at.roots.reshape(s, k, m, m),
            at.split_log_weights(),
            at.log_norms.reshape(s, k),
            squares,
            (joint, tau, unit),
            sums,
        )
        return at.posterior(tau, unit, joint), sums.reshape(*starts, 3)

    def occupancy(self, at: At) -> FloatArray:
        """Class probabilities (G, K) as `e_step` gives them."""
        return self.e_step(at)[0].occupancy

    def _squares(self, coefficients: FloatArray) -> FloatArray:
        """(tiles, S K, TILE) squared residuals of a single outcome."""
        flat = np.ascontiguousarray(coefficients).reshape(-1, self._p, 1)
        squares: FloatArray = self._kernels.squares(self._tiles, self._first, self._offset, flat)
        return squares


def _by_class(tau: FloatArray) -> FloatArray:
    """(S K, G) weights of every class of every start."""
    return np.ascontiguousarray(tau.mT, dtype=float).reshape(-1, tau.shape[-2])


def _layout(used: NDArray[np.bool_]) -> tuple[IntArray, IntArray, int]:
    """First column used in each factor row, each row's place in a tile, the tile's size.

    Row i of a triangle starts at column i or later; ``offset[i] + column`` is the column's
    place. Used (r, p + m) are elements of the factors that are not zero in all units.
    """
    q = used.shape[1]
    first = np.where(used.any(axis=1), used.argmax(axis=1), q)
    lengths = q - first
    return first, np.cumsum(lengths) - lengths - first, int(lengths.sum())
