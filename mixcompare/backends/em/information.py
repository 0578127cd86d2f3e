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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor

from mixcompare.backends.em import membership
from mixcompare.backends.em.covariances import basis_of
from mixcompare.backends.em.expectation import responsibilities_at
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.regression import positions
from mixcompare.backends.em.scores import Chunk, ClassRows, Sums, chunks
from mixcompare.backends.em.standardise import Standardised
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.covariances import elements
from mixcompare.model.spec import MixtureSpec


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

    def own(self, k: int) -> IntArray:
        """Coefficients and covariance elements of component k."""
        return np.concatenate([self.coefficients(k), self.covariance(k)])

    @property
    def shared_columns(self) -> IntArray:
        """The log-odds, and what several classes have in common, in order."""
        every = np.concatenate([self.own(k) for k in range(self.n_components)])
        places, times = np.unique(every, return_counts=True)
        return np.concatenate([self.odds, places[times > 1]])

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


class Curvature(NamedTuple):
    """The objective's derivatives at a point, in standardised units.

    Attributes
    ----------
    outer
        (n, n) weighted sum over the units of the outer products of their scores; None where
        it was not asked for.
    score
        (n,) gradient of the objective: weighted sum of the units' scores, and of the log-prior.
    information
        (n, n) minus the Hessian of the objective.
    """

    outer: FloatArray | None
    score: FloatArray
    information: FloatArray


def score_and_information(
    spec: MixtureSpec, data: Standardised, parameters: Parameters, *, keep_outer: bool = True
) -> Curvature:
    """Derivatives of the objective at a point, summed over chunks of units.

    With thousands of parameters each (n, n) array is large: the outer products are kept only
    where they are asked for.
    """
    tau = responsibilities_at(data, parameters)
    place, basis = layout(spec, data), basis_of(spec, data.shape[-1])
    precisions = np.linalg.inv(parameters.covariance)
    score, information = _prior_curvature(data, parameters, place, basis)
    outer = np.zeros_like(information)
    sums = [Sums.nothing(data.shape) for _ in precisions]
    for chunk in chunks(data, parameters, tau, len(place.own(0))):
        parts = [chunk.of_class(k) for k in range(place.n_components)]
        scores = [
            part.scores(precision, basis) for part, precision in zip(parts, precisions, strict=True)
        ]
        sums = [total + part.sums() for total, part in zip(sums, parts, strict=True)]
        _add_odds(information, chunk, place)
        _subtract_squares(information, chunk, parts, scores, place)
        score += _add_outer(outer, chunk, parts, scores, place)
    _add_complete(information, sums, precisions, basis, place)
    information += outer
    return Curvature(outer if keep_outer else None, score, information)


def complete_information(
    spec: MixtureSpec, data: Standardised, parameters: Parameters
) -> FloatArray:
    """(n, n) expected complete-data information: what it would be if the classes were known."""
    tau = responsibilities_at(data, parameters)
    place, basis = layout(spec, data), basis_of(spec, data.shape[-1])
    _, information = _prior_curvature(data, parameters, place, basis)
    sums = [Sums.nothing(data.shape) for _ in range(place.n_components)]
    for chunk in chunks(data, parameters, tau, len(place.own(0))):
        sums = [total + chunk.of_class(k).sums() for k, total in enumerate(sums)]
        _add_odds(information, chunk, place)
    precisions = np.linalg.inv(parameters.covariance)
    _add_complete(information, sums, precisions, basis, place)
    return information


def factor(
    information: FloatArray, *, overwrite: bool = False
) -> tuple[tuple[FloatArray, bool], FloatArray] | None:
    """Cholesky factor, as of `scipy.linalg.cho_factor`, at a unit diagonal, and (n,) its scales.

    None if the information is not positive definite. It may be overwritten, for as large an array.
    """
    size = np.sqrt(np.abs(np.diag(information)))
    if not (np.all(np.isfinite(information)) and np.all(size > 0)):
        return None
    scaled = np.divide(information, size[:, None], out=information if overwrite else None)
    scaled /= size
    try:
        triangle, lower = cho_factor(scaled, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    return (triangle, bool(lower)), size


def _add_odds(information: FloatArray, chunk: Chunk, place: Layout) -> None:
    """Add what a chunk's classes tell of their probabilities."""
    at_odds = np.ix_(place.odds, place.odds)
    information[at_odds] += membership.information(chunk.design, chunk.weights, chunk.prior)


def _add_complete(
    information: FloatArray,
    sums: Sequence[Sums],
    precisions: FloatArray,
    basis: FloatArray,
    place: Layout,
) -> None:
    """Add the complete-data information of coefficients and covariances."""
    for k, (total, precision) in enumerate(zip(sums, precisions, strict=True)):
        b, s = place.coefficients(k), place.covariance(k)
        by_basis = precision @ basis @ precision
        mixed = np.einsum("ij,ajk->ika", total.cross, by_basis).reshape(len(b), len(s))
        information[np.ix_(b, b)] += np.kron(total.gram, precision)
        information[np.ix_(b, s)] += mixed
        information[np.ix_(s, b)] += mixed.T
        own = _covariance_curvature(precision, basis, total.scatter, total.mass)[1]
        information[np.ix_(s, s)] += own


def _subtract_squares(
    information: FloatArray,
    chunk: Chunk,
    parts: Sequence[ClassRows],
    scores: Sequence[FloatArray],
    place: Layout,
) -> None:
    """Subtract the expected squares of complete-data scores."""
    for k, (part, own) in enumerate(zip(parts, scores, strict=True)):
        from_class = (np.arange(place.n_components) == k) - chunk.prior[part.held]
        whole = np.concatenate([chunk.by_odds(from_class, part.held), own], axis=1)
        columns = np.concatenate([place.odds, place.own(k)])
        information[np.ix_(columns, columns)] -= (whole * part.counts[:, None]).T @ whole


def _add_outer(
    total: FloatArray,
    chunk: Chunk,
    parts: Sequence[ClassRows],
    scores: Sequence[FloatArray],
    place: Layout,
) -> FloatArray:
    """Outer products of the units' scores; returns the scores' weighted sum (n,)."""
    shared = place.shared_columns
    root = np.sqrt(chunk.weights)
    common = np.zeros((len(root), len(shared)))
    common[:, : len(place.odds)] = chunk.by_odds(chunk.tau - chunk.prior, slice(None))
    blocks = [(np.arange(len(root)), shared, common)]
    for k, (part, own) in enumerate(zip(parts, scores, strict=True)):
        inside, columns = own * part.tau[:, None], place.own(k)
        alone = ~np.isin(columns, shared)
        if not alone.all():
            common[np.ix_(part.held, np.searchsorted(shared, columns[~alone]))] += inside[:, ~alone]
        if alone.any():
            blocks.append((part.held, columns[alone], inside[:, alone]))
    score = np.zeros(len(total))
    for held, columns, block in blocks:
        block *= root[held, None]
        score[columns] += root[held] @ block
    for i, (held, columns, block) in enumerate(blocks):
        total[np.ix_(columns, columns)] += block.T @ block
        for others, more, other in blocks[i + 1 :]:
            _, here, there = np.intersect1d(held, others, assume_unique=True, return_indices=True)
            product = block[here].T @ other[there]
            total[np.ix_(columns, more)] += product
            total[np.ix_(more, columns)] += product.T
    return score


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
    flat = by_basis.reshape(len(basis), -1)
    traces = flat @ by_basis.mT.reshape(len(basis), -1).T
    bent = np.einsum("aij,bjk,kl,li->ab", by_basis, by_basis, precision, scatter, optimize=True)
    return 0.5 * (slope - rows * trace), 0.5 * (bent + bent.T) - 0.5 * rows * traces
