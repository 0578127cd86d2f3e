"""Observed information of the mixture, and score, whatever the families.

Louis (1982): the observed information is the expected complete-data information less
the covariance of the complete-data score, unit by unit,

    I = -sum_g [ sum_k tau_gk (H_gk + s_gk s_gk') - s_g s_g' ],   s_g = sum_k tau_gk s_gk,

with s_gk and H_gk the score and Hessian of ``log pi_k f_k(unit g)``, each unit counted by its
weight. The parameters are the log-odds of the classes against the first (their coefficients,
with membership covariates) and the free parameters of the emissions. At a mode of the posterior
the curvature of the log-prior is added; weights are a function of their log-odds there, without a
Jacobian.

A score of all parameters would be a row of thousands of numbers for each unit, nearly all of
them of classes that the unit cannot be in. So units are taken in chunks, which have for each class
the scores of those that may be in it, by that class's own parameters alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor

from mixcompare.backends.em.classes import membership
from mixcompare.backends.em.emissions.emission import Derivatives
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray, IntArray

# A chunk takes a quarter of what the data take, but no less and no more values than these.
_LEAST_VALUES, _CHUNK_VALUES = 2**19, 2**21
# A unit's part in a class of less changes no digit, even with a score of 1e5.
_NOT_IN_CLASS = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class FreeLayout:
    """Where each block of free parameters stands in the vector.

    Log-odds of a class have n_odds coefficients; each emission's classes have places (K, d) among
    its own free parameters.
    """

    n_components: int
    n_odds: int
    responses: tuple[IntArray, ...]

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return int(self.spans[-1].stop)

    @property
    def odds(self) -> IntArray:
        """Log-odds of all classes but the first, class by class."""
        return np.arange((self.n_components - 1) * self.n_odds)

    @property
    def spans(self) -> list[slice]:
        """Where each emission's free parameters stand."""
        sizes = [int(places.max(initial=-1)) + 1 for places in self.responses]
        ends = len(self.odds) + np.cumsum([0, *sizes])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def by_class(self, k: int) -> IntArray:
        """Free parameters of class k's densities."""
        pairs = zip(self.responses, self.spans, strict=True)
        return np.concatenate([places[k] + span.start for places, span in pairs])

    @property
    def shared_columns(self) -> IntArray:
        """The log-odds, and what several classes have in common, in order."""
        every = np.concatenate([self.by_class(k) for k in range(self.n_components)])
        places, times = np.unique(every, return_counts=True)
        return np.concatenate([self.odds, places[times > 1]])


def free_layout(model: Mixture) -> FreeLayout:
    """Layout of the model's free parameters."""
    return FreeLayout(
        model.n_components,
        model.classes.design.shape[1],
        tuple(emission.places for emission in model.emissions),
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


def score_and_information(model: Mixture, theta: Theta, *, keep_outer: bool = True) -> Curvature:
    """Derivatives of the objective at a point, summed over chunks of units.

    With thousands of parameters each (n, n) array is large: the outer products are kept only
    where they are asked for.
    """
    outer, score, information = _summed(model, theta, complete=False)
    information += outer
    return Curvature(outer if keep_outer else None, score, information)


def complete_information(model: Mixture, theta: Theta) -> FloatArray:
    """(n, n) expected complete-data information: what it would be if the classes were known."""
    return _summed(model, theta, complete=True)[2]


def _summed(
    model: Mixture, theta: Theta, *, complete: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Outer products of the units' scores, their sum, and the information without these products.

    Of the complete data alone the information and that of the prior.
    """
    place, derivatives = free_layout(model), model.derivatives(theta)
    score, information = _prior_curvature(model, theta, place, derivatives)
    outer = np.zeros((0, 0) if complete else information.shape)
    sums = None
    for chunk in chunks(model, theta, place, derivatives):
        parts = [chunk.of_class(k) for k in range(place.n_components)]
        sums = _added(sums, parts)
        _add_odds(information, chunk, place)
        if not complete:
            _subtract_squares(information, chunk, parts, place)
            score += _add_outer(outer, chunk, parts, place)
        del parts
    for each, of_classes, span in zip(derivatives, sums or (), place.spans, strict=True):
        each.add_information(of_classes, information[span, span])
    return outer, score, information


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


class ClassPart(NamedTuple):
    """The units of a chunk that may be in one class.

    Held (U,) are their places in the chunk, counts (U,) class probabilities tau times the units'
    weights, scores (U, d) derivatives of the log-density by the class's free parameters, and sums
    are by emission, see `Derivatives`.
    """

    held: IntArray
    tau: FloatArray
    counts: FloatArray
    scores: FloatArray
    sums: Sequence[FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some units of a model.

    Class probabilities are tau (U, K) after the outcomes and prior (U, K) before; the design (U, c)
    is that of the log-odds, and weights (U,) say how often each unit counts.
    """

    derivatives: Sequence[Derivatives]
    units: slice
    tau: FloatArray
    prior: FloatArray
    design: FloatArray
    weights: FloatArray

    def of_class(self, k: int) -> ClassPart:
        """The units that may be in class k."""
        held = np.flatnonzero(self.tau[:, k] > _NOT_IN_CLASS)
        places, tau = held + self.units.start, self.tau[held, k]
        counts = tau * self.weights[held]
        pairs = [each.of_class(k, places, counts) for each in self.derivatives]
        scores, sums = zip(*pairs, strict=True)
        whole = scores[0] if len(scores) == 1 else np.concatenate(scores, axis=1)
        return ClassPart(held, tau, counts, whole, sums)

    def by_odds(self, from_class: FloatArray, held: IntArray | slice) -> FloatArray:
        """(U, (K - 1) c) scores of the log-odds from those (U, K) of the log-probabilities."""
        product = from_class[:, 1:, None] * self.design[held, None]
        return product.reshape(len(product), product.shape[1] * product.shape[2])


def chunks(
    model: Mixture, theta: Theta, place: FreeLayout, derivatives: Sequence[Derivatives]
) -> Iterator[Chunk]:
    """The model's units in chunks."""
    tau = model.occupancy(theta)
    n_units, k = tau.shape
    beside = sum(emission.chunk_values for emission in model.emissions)
    values = min(_CHUNK_VALUES, max(_LEAST_VALUES, model.size // 4))
    length = max(1, values // (k * len(place.by_class(0)) + beside))
    prior = np.broadcast_to(np.exp(model.classes.log_probabilities(theta.classes)), tau.shape)
    weights, design = model.units.counts, model.classes.design
    for first in range(0, n_units, length):
        units = slice(first, first + length)
        yield Chunk(derivatives, units, tau[units], prior[units], design[units], weights[units])


def _added(total: list[FloatArray] | None, parts: Sequence[ClassPart]) -> list[FloatArray]:
    """Each emission's sums (K, ...) by class, with those of a chunk added."""
    sums = [np.array(by_class) for by_class in zip(*(part.sums for part in parts), strict=True)]
    return sums if total is None else [a + b for a, b in zip(total, sums, strict=True)]


def _add_odds(information: FloatArray, chunk: Chunk, place: FreeLayout) -> None:
    """Add what a chunk's classes tell of their probabilities."""
    at_odds = np.ix_(place.odds, place.odds)
    information[at_odds] += membership.information(chunk.design, chunk.weights, chunk.prior)


def _subtract_squares(
    information: FloatArray, chunk: Chunk, parts: Sequence[ClassPart], place: FreeLayout
) -> None:
    """Subtract the expected squares of complete-data scores."""
    for k, part in enumerate(parts):
        from_class = (np.arange(place.n_components) == k) - chunk.prior[part.held]
        whole = np.concatenate([chunk.by_odds(from_class, part.held), part.scores], axis=1)
        columns = np.concatenate([place.odds, place.by_class(k)])
        information[np.ix_(columns, columns)] -= (whole * part.counts[:, None]).T @ whole


def _add_outer(
    total: FloatArray, chunk: Chunk, parts: Sequence[ClassPart], place: FreeLayout
) -> FloatArray:
    """Outer products of the units' scores; returns the scores' weighted sum (n,)."""
    shared = place.shared_columns
    root = np.sqrt(chunk.weights)
    common = np.zeros((len(root), len(shared)))
    common[:, : len(place.odds)] = chunk.by_odds(chunk.tau - chunk.prior, slice(None))
    blocks = [(np.arange(len(root)), shared, common)]
    for k, part in enumerate(parts):
        inside, columns = part.scores * part.tau[:, None], place.by_class(k)
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
    model: Mixture, theta: Theta, place: FreeLayout, derivatives: Sequence[Derivatives]
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log-prior and minus its Hessian."""
    gradient, curvature = np.zeros(place.size), np.zeros((place.size, place.size))
    if model.has_prior:
        slope, bend = model.classes.prior_curvature(theta.classes)
        gradient[place.odds] = slope
        curvature[np.ix_(place.odds, place.odds)] = bend
        for each, span in zip(derivatives, place.spans, strict=True):
            each.add_prior(gradient[span], curvature[span, span])
    return gradient, curvature
