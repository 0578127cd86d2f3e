"""Observed information of the mixture in closed form, and standard errors from it.

Louis (1982): the observed information is the expected complete-data information less
the covariance of the complete-data score, unit by unit,

    I = -sum_g [ sum_k tau_gk (H_gk + s_gk s_gk') - s_g s_g' ],   s_g = sum_k tau_gk s_gk,

with s_gk and H_gk the score and Hessian of ``log pi_k f_k(unit g)``. The parameters are the
log-ratios of the weights to the last one, the coefficients, and the free elements of
each covariance, in which every structure is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixcompare.backends.em.standardise import Parameters, Standardised
from mixcompare.backends.em.steps import e_step, residuals
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each block of parameters stands in the vector."""

    n_components: int
    n_coefficients: int
    n_covariance: int
    shared: bool

    @property
    def size(self) -> int:
        """Number of free parameters."""
        blocks = 1 if self.shared else self.n_components
        return self.n_weights + self.n_components * self.n_coefficients + blocks * self.n_covariance

    @property
    def n_weights(self) -> int:
        """Number of free weights, K - 1."""
        return self.n_components - 1

    def coefficients(self, k: int) -> slice:
        """Coefficients of component k, row by row of B_k."""
        start = self.n_weights + k * self.n_coefficients
        return slice(start, start + self.n_coefficients)

    def covariance(self, k: int) -> slice:
        """Covariance elements of component k."""
        block = 0 if self.shared else k
        start = self.n_weights + self.n_components * self.n_coefficients + block * self.n_covariance
        return slice(start, start + self.n_covariance)


def covariance_basis(spec: MixtureSpec, m: int) -> FloatArray:
    """(q, m, m) matrices whose combinations are the covariances of the structure."""
    if spec.covariance == "spherical":
        return np.eye(m)[None]
    pairs = [(i, j) for i in range(m) for j in range(i + 1)]
    kept = pairs if spec.covariance == "full" else [(i, j) for i, j in pairs if i == j]
    basis = np.zeros((len(kept), m, m))
    for a, (i, j) in enumerate(kept):
        basis[a, i, j] = basis[a, j, i] = 1.0
    return basis


def layout(spec: MixtureSpec, data: Standardised) -> Layout:
    """Layout of the model's parameter vector."""
    _, _, p, m = data.shape
    n_covariance = len(covariance_basis(spec, m))
    return Layout(spec.n_components, p * m, n_covariance, spec.covariance_by == "shared")


def score_and_information(
    spec: MixtureSpec, data: Standardised, parameters: Parameters
) -> tuple[FloatArray, FloatArray]:
    """Unit scores (G, n) and the observed information (n, n), in standardised units."""
    tau = e_step(data, parameters).responsibilities
    place = layout(spec, data)
    basis = covariance_basis(spec, data.shape[-1])
    pi = parameters.weights
    n_units = data.shape[0]
    scores = np.zeros((n_units, place.size))
    information = np.zeros((place.size, place.size))
    free = slice(0, place.n_weights)
    information[free, free] = n_units * (np.diag(pi) - np.outer(pi, pi))[:-1, :-1]
    for k in range(place.n_components):
        own = np.zeros((n_units, place.size))
        own[:, free] = (np.arange(place.n_components) == k)[:-1] - pi[:-1]
        block = _class_block(data, parameters, k, basis, tau[:, k])
        b, s = place.coefficients(k), place.covariance(k)
        own[:, b], own[:, s] = block.score_coefficients, block.score_covariance
        information[b, b] += block.coefficients
        information[b, s] += block.cross
        information[s, b] += block.cross.T
        information[s, s] += block.covariance
        weighted = tau[:, [k]] * own
        information -= own.T @ weighted
        scores += weighted
    return scores, information + scores.T @ scores


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One class's unit scores, and its expected complete-data information."""

    score_coefficients: FloatArray
    score_covariance: FloatArray
    coefficients: FloatArray
    cross: FloatArray
    covariance: FloatArray


def _class_block(
    data: Standardised, parameters: Parameters, k: int, basis: FloatArray, tau: FloatArray
) -> _Block:
    units, _, p, m = data.shape
    precision = np.linalg.inv(parameters.covariance[k])
    rest = residuals(data, parameters.coefficients[k])
    cross = np.einsum("gri,grj->gij", data.covariates, rest)
    scatter = np.einsum("gri,grj->gij", rest, rest)
    gram = np.einsum("g,gri,grj->ij", tau, data.covariates, data.covariates, optimize=True)
    nu, q = data.degrees_of_freedom, len(basis)
    by_basis = precision @ basis  # (q, m, m)
    sandwich = by_basis @ precision
    trace = np.einsum("aii->a", by_basis)
    total, mass = np.tensordot(tau, scatter, 1), float(tau @ nu)
    traces = np.einsum("aij,bji->ab", by_basis, by_basis)
    quadratic = np.einsum("aij,bjk,kl,li->ab", by_basis, by_basis, precision, total, optimize=True)
    weighted_cross = np.tensordot(tau, cross, 1)
    return _Block(
        score_coefficients=(cross @ precision).reshape(units, p * m),
        score_covariance=0.5 * (np.einsum("aij,gij->ga", sandwich, scatter) - np.outer(nu, trace)),
        coefficients=np.kron(gram, precision),
        cross=np.einsum("ij,ajk->ika", weighted_cross, sandwich).reshape(p * m, q),
        covariance=0.5 * (quadratic + quadratic.T) - 0.5 * mass * traces,
    )
