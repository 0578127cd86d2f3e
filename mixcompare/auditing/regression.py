"""Weighted least squares by class, on any version of the raw rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from mixcompare.auditing.rows import Rows
from mixcompare.base.arrays import FloatArray

# Sizes below which a class's share, a column or a variance is taken for rounding.
_DETERMINED = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Weighted least squares by class.

    Attributes
    ----------
    gram
        (K, p + m, p + m) weighted cross-products of covariates and outcomes.
    least_squares, coefficients
        (K, p, m) of the normal equations, and what the program makes of them.
    weights
        (G, K) or (N, K) of the units or rows.
    determined
        (K,) whether the class has rows enough that its fit is not a matter of rounding.
    """

    gram: FloatArray
    least_squares: FloatArray
    coefficients: FloatArray
    weights: FloatArray
    determined: NDArray[np.bool_]

    def at(self, coefficients: FloatArray) -> Regression:
        """The same cross-products with other coefficients."""
        return replace(self, coefficients=coefficients)

    @property
    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """(K, p, p) and (K, p, m) sides of the normal equations."""
        p = self.least_squares.shape[1]
        return self.gram[:, :p, :p], self.gram[:, :p, p:]


def regress(rows: Rows, version: str, weights: FloatArray) -> Regression:
    """Weighted least squares for every class, from cross-products of scaled columns.

    Weights that are not numbers give coefficients that are none.
    """
    p = rows.n_covariates
    gram = weighted_gram(rows, version, weights)
    if not np.isfinite(gram).all():
        none = np.full((len(gram), p, gram.shape[-1] - p), np.nan)
        return Regression(gram, none, none, weights, np.zeros(len(gram), dtype=bool))
    coefficients = np.stack([_solve(g[:p, :p], g[:p, p:]) for g in gram])
    determined = _determined(
        gram[:, :p, :p], cross_products(gram, coefficients), rows.mass(weights)
    )
    return Regression(gram, coefficients, coefficients, weights, determined)


def weighted_gram(rows: Rows, version: str, weights: FloatArray) -> FloatArray:
    """(K, p + m, p + m) cross-products of a version's columns, weighted by unit or by row."""
    source = rows.versions[version]
    if rows.are_units(weights):
        flat = source.gram.reshape(len(source.gram), -1)
        return np.asarray(weights.T @ flat).reshape(-1, *source.gram.shape[1:])
    both = np.concatenate([source.covariates, source.outcomes], axis=1)
    return np.stack([both.T @ (w[:, None] * both) for w in weights.T])


def _determined(gram: FloatArray, scatter: FloatArray, mass: FloatArray) -> NDArray[np.bool_]:
    """Relative to the largest class, to the columns' size one, and to the pooled variance one."""
    if not np.isfinite(scatter).all():
        return np.zeros(len(gram), dtype=bool)
    scale = np.maximum(mass, np.finfo(float).tiny)
    smallest = np.linalg.eigvalsh(gram)[:, 0] / scale
    variance = np.diagonal(scatter, axis1=1, axis2=2).min(axis=1) / scale
    full = (smallest > _DETERMINED) & (variance > _DETERMINED)
    return full & (mass > _DETERMINED * mass.max())


def _solve(left: FloatArray, right: FloatArray) -> FloatArray:
    try:
        return np.asarray(cho_solve(cho_factor(left), right))
    except np.linalg.LinAlgError:
        pass
    try:
        return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0])
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def cross_products(gram: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Cross-products of the residuals at given coefficients."""
    k, _, m = coefficients.shape
    outcome = np.broadcast_to(np.eye(m), (k, m, m))
    map_ = np.concatenate([-coefficients, outcome], axis=1)
    return np.asarray(map_.mT @ gram @ map_)
