"""Observed information of the mixture in closed form, and standard errors from it.

Louis (1982): the observed information is the expected complete-data information less
the covariance of the complete-data score, unit by unit,

    I = -sum_g [ sum_k tau_gk (H_gk + s_gk s_gk') - s_g s_g' ],   s_g = sum_k tau_gk s_gk,

with s_gk and H_gk the score and Hessian of ``log pi_k f_k(unit g)``, each unit counted by its
weight. The parameters are the log-odds of the classes against the first (their coefficients,
with membership covariates), the coefficients, and the free elements of each covariance, in
which every structure is linear. At a mode of the posterior the curvature of the log-prior is
added; weights are a function of their log-odds there, without a Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor

from mixcompare.backends.em import membership
from mixcompare.backends.em.covariances import basis_of
from mixcompare.backends.em.expectation import e_step, log_class_weights
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.regression import positions
from mixcompare.backends.em.standardise import Standardised
from mixcompare.backends.em.statistics import residuals
from mixcompare.covariances import elements
from mixcompare.panel import FloatArray, IntArray
from mixcompare.spec import MixtureSpec


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where each block of parameters stands in the vector.

    Attributes
    ----------
    n_components
        Number of classes.
    n_odds
        Coefficients of one class's log-odds.
    coefficient_places
        (K, p m) places of the coefficients among themselves.
    n_covariance
        Free elements of one covariance.
    shared
        Whether the classes share it.
    """

    n_components: int
    n_odds: int
    coefficient_places: IntArray
    n_covariance: int
    shared: bool

    @property
    def size(self) -> int:
        """Number of free parameters."""
        blocks = 1 if self.shared else self.n_components
        return self._covariances_from + blocks * self.n_covariance

    @property
    def odds(self) -> IntArray:
        """Log-odds of all classes but the first, class by class."""
        return np.arange((self.n_components - 1) * self.n_odds)

    def coefficients(self, k: int) -> IntArray:
        """Coefficients of component k, row by row of B_k."""
        return np.asarray(len(self.odds) + self.coefficient_places[k])

    def covariance(self, k: int) -> IntArray:
        """Covariance elements of component k."""
        block = 0 if self.shared else k
        return self._covariances_from + block * self.n_covariance + np.arange(self.n_covariance)

    @property
    def _covariances_from(self) -> int:
        return len(self.odds) + int(self.coefficient_places.max()) + 1


def layout(spec: MixtureSpec, data: Standardised) -> Layout:
    """Layout of the model's parameter vector."""
    _, _, p, m = data.shape
    return Layout(
        spec.n_components,
        1 if data.concomitants is None else data.concomitants.shape[1],
        positions(spec.n_components, p, m, data.n_common),
        len(elements(spec.covariance, m)),
        spec.covariance_by == "shared",
    )


def odds_design(data: Standardised) -> FloatArray:
    """(G, c) unit covariates of the log-odds; a constant where there are none."""
    return np.ones((data.shape[0], 1)) if data.concomitants is None else data.concomitants


type Curvature = tuple[FloatArray, FloatArray, FloatArray]


def score_and_information(
    spec: MixtureSpec, data: Standardised, parameters: Parameters
) -> Curvature:
    """Curvature of the objective at a point, in standardised units.

    Returns
    -------
    scores
        (G, n) of the units' log-likelihoods, each of one unit whatever its weight.
    total
        (n,) gradient of the objective: weighted sum of the scores, and of the log-prior.
    information
        (n, n) minus the Hessian of the objective.
    """
    tau = e_step(data, parameters).responsibilities
    place = layout(spec, data)
    basis = basis_of(spec, data.shape[-1])
    counts = np.ones(data.shape[0]) if data.unit_weights is None else data.unit_weights
    each = np.broadcast_to(np.exp(log_class_weights(data, parameters)), tau.shape)
    design = odds_design(data)
    scores = np.zeros((data.shape[0], place.size))
    information = np.zeros((place.size, place.size))
    at_odds = np.ix_(place.odds, place.odds)
    information[at_odds] = membership.information(design, counts, each)
    for k in range(place.n_components):
        own = np.zeros_like(scores)
        from_class = (np.arange(1, place.n_components) == k) - each[:, 1:]
        by_odds = from_class[:, :, None] * design[:, None]
        own[:, place.odds] = by_odds.reshape(len(own), len(place.odds))
        block = _class_block(data, parameters, k, basis, tau[:, k] * counts)
        b, s = place.coefficients(k), place.covariance(k)
        own[:, b], own[:, s] = block.score_coefficients, block.score_covariance
        _add(information, block, b, s)
        weighted = tau[:, [k]] * own
        information -= own.T @ (counts[:, None] * weighted)
        scores += weighted
    information += scores.T @ (counts[:, None] * scores)
    gradient, curvature = _prior_curvature(data, parameters, place, basis)
    return scores, counts @ scores + gradient, information + curvature


def complete_information(
    spec: MixtureSpec, data: Standardised, parameters: Parameters
) -> FloatArray:
    """(n, n) expected complete-data information: what it would be if the classes were known."""
    tau = e_step(data, parameters).responsibilities
    place, basis = layout(spec, data), basis_of(spec, data.shape[-1])
    counts = np.ones(data.shape[0]) if data.unit_weights is None else data.unit_weights
    each = np.broadcast_to(np.exp(log_class_weights(data, parameters)), tau.shape)
    _, information = _prior_curvature(data, parameters, place, basis)
    at_odds = np.ix_(place.odds, place.odds)
    information[at_odds] += membership.information(odds_design(data), counts, each)
    for k in range(place.n_components):
        block = _class_block(data, parameters, k, basis, tau[:, k] * counts)
        _add(information, block, place.coefficients(k), place.covariance(k))
    return information


def factor(information: FloatArray) -> tuple[tuple[FloatArray, bool], FloatArray] | None:
    """Cholesky factor, as of `scipy.linalg.cho_factor`, at a unit diagonal, and (n,) its scales.

    None if the information is not positive definite.
    """
    size = np.sqrt(np.abs(np.diag(information)))
    if not (np.all(np.isfinite(information)) and np.all(size > 0)):
        return None
    try:
        return cho_factor(information / np.outer(size, size)), size
    except np.linalg.LinAlgError:
        return None


def _prior_curvature(
    data: Standardised,
    parameters: Parameters,
    place: Layout,
    basis: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log-prior and minus its Hessian."""
    gradient, curvature = np.zeros(place.size), np.zeros((place.size, place.size))
    prior = data.prior
    if prior is None:
        return gradient, curvature
    odds = parameters.membership_coefficients
    if odds is not None and prior.membership_precision is not None:
        k, c = odds.shape
        penalty = np.kron(np.eye(k) - 1 / k, prior.membership_precision)
        gradient[place.odds] = -(penalty @ odds.ravel())[c:]
        curvature[np.ix_(place.odds, place.odds)] = penalty[c:, c:]
    else:
        # sum_k (a - 1) log pi_k, with pi a function of the log-odds
        pi, total = parameters.weights, prior.units * place.n_components
        gradient[place.odds] = (prior.units - total * pi)[1:]
        spread = (np.diag(pi) - np.outer(pi, pi))[1:, 1:]
        curvature[np.ix_(place.odds, place.odds)] = total * spread
    for k in range(place.n_components):
        b = place.coefficients(k)
        gradient[b] += prior.shift - prior.precision @ parameters.coefficients[k].ravel()
        curvature[np.ix_(b, b)] += prior.precision
    b = place.coefficients(0)
    gradient[b] += prior.common_shift - prior.common_precision @ parameters.coefficients[0].ravel()
    curvature[np.ix_(b, b)] += prior.common_precision
    for k in range(1 if place.shared else place.n_components):
        s = place.covariance(k)
        precision = np.linalg.inv(parameters.covariance[k])
        slope, bend = _covariance_curvature(precision, basis, prior.scatter, prior.rows)
        gradient[s] += slope
        curvature[np.ix_(s, s)] += bend
    return gradient, curvature


def _covariance_curvature(
    precision: FloatArray, basis: FloatArray, scatter: FloatArray, rows: float
) -> tuple[FloatArray, FloatArray]:
    """Gradient and minus Hessian of ``-1/2 [rows log|Sigma| + tr(Sigma^-1 scatter)]``."""
    by_basis = precision @ basis  # (q, m, m)
    trace = np.einsum("aii->a", by_basis)
    slope = np.einsum("aij,ij->a", by_basis @ precision, scatter)
    traces = np.einsum("aij,bji->ab", by_basis, by_basis)
    bent = np.einsum("aij,bjk,kl,li->ab", by_basis, by_basis, precision, scatter, optimize=True)
    return 0.5 * (slope - rows * trace), 0.5 * (bent + bent.T) - 0.5 * rows * traces


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One class's unit scores, and its expected complete-data information."""

    score_coefficients: FloatArray
    score_covariance: FloatArray
    coefficients: FloatArray
    cross: FloatArray
    covariance: FloatArray


def _add(information: FloatArray, block: _Block, b: IntArray, s: IntArray) -> None:
    """Add one class's complete-data information at the places of its parameters."""
    information[np.ix_(b, b)] += block.coefficients
    information[np.ix_(b, s)] += block.cross
    information[np.ix_(s, b)] += block.cross.T
    information[np.ix_(s, s)] += block.covariance


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
    sandwich = precision @ basis @ precision  # (q, m, m)
    trace = np.einsum("aij,ji->a", basis, precision)
    total, mass = np.tensordot(tau, scatter, 1), float(tau @ nu)
    weighted_cross = np.tensordot(tau, cross, 1)
    return _Block(
        score_coefficients=(cross @ precision).reshape(units, p * m),
        score_covariance=0.5 * (np.einsum("aij,gij->ga", sandwich, scatter) - np.outer(nu, trace)),
        coefficients=np.kron(gram, precision),
        cross=np.einsum("ij,ajk->ika", weighted_cross, sandwich).reshape(p * m, q),
        covariance=_covariance_curvature(precision, basis, total, mass)[1],
    )
