"""Weighted least squares by class, on any version of the raw rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from mixcompare.auditing.rows import Rows
from mixcompare.panel import FloatArray

# Sizes below which a class's share, a column or a variance is taken for rounding.
_DETERMINED = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Weighted least squares by class.

    Attributes
    ----------
    coefficients, scatter
        (K, p, m), and cross-products (K, m, m) of the residuals.
    mass
        (K,) weight of all rows.
    determined
        (K,) whether the class has rows enough that its fit is not a matter of rounding.
    """

    coefficients: FloatArray
    scatter: FloatArray
    mass: FloatArray
    determined: NDArray[np.bool_]


def regress(rows: Rows, version: str, weights: FloatArray) -> Regression:
    """Weighted least squares for every class, from cross-products of scaled columns."""
    source = rows.versions[version]
    p = rows.n_covariates
    if len(weights) == len(source.gram):
        gram = np.tensordot(weights, source.gram, axes=(0, 0))
        mass = rows.n_rows @ weights
    else:
        both = np.concatenate([source.covariates, source.outcomes], axis=1)
        gram = np.stack([both.T @ (w[:, None] * both) for w in weights.T])
        mass = weights.sum(axis=0)
    coefficients = np.stack([_solve(g[:p, :p], g[:p, p:]) for g in gram])
    scatter = cross_products(gram, coefficients)
    return Regression(coefficients, scatter, mass, _determined(gram[:, :p, :p], scatter, mass))


def _determined(gram: FloatArray, scatter: FloatArray, mass: FloatArray) -> NDArray[np.bool_]:
    """Relative to the largest class, to the columns' size one, and to the pooled variance one."""
    scale = np.maximum(mass, np.finfo(float).tiny)
    smallest = np.linalg.eigvalsh(gram)[:, 0] / scale
    variance = np.diagonal(scatter, axis1=1, axis2=2).min(axis=1) / scale
    full = (smallest > _DETERMINED) & (variance > _DETERMINED)
    return full & (mass > _DETERMINED * mass.max())


def _solve(left: FloatArray, right: FloatArray) -> FloatArray:
    try:
        return np.asarray(cho_solve(cho_factor(left), right))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0])


def cross_products(gram: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Cross-products of the residuals at given coefficients."""
    k, _, m = coefficients.shape
    outcome = np.broadcast_to(np.eye(m), (k, m, m))
    map_ = np.concatenate([-coefficients, outcome], axis=1)
    return np.asarray(map_.mT @ gram @ map_)
