"""Scores of the units, class by class and in chunks of units.

A score of all parameters would be a row of thousands of numbers for each unit, nearly all of
them of classes that the unit cannot be in. A chunk has for each class the scores of the units
that may be in it, by that class's own parameters alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mixcompare.backends.em.expectation import log_class_weights
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised
from mixcompare.base.arrays import FloatArray, IntArray

_CHUNK_VALUES = 2**21
# A unit's part in a class of less changes no digit, even with a score of 1e5.
_NOT_IN_CLASS = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """A class's weighted sums.

    Attributes
    ----------
    gram, cross, scatter
        ``X'X`` (p, p), ``X'E`` (p, m) and ``E'E`` (m, m) of covariates X and residuals E.
    mass
        Degrees of freedom.
    """

    gram: FloatArray
    cross: FloatArray
    scatter: FloatArray
    mass: float

    @classmethod
    def nothing(cls, shape: tuple[int, int, int, int]) -> Sums:
        """Of no units of a panel of this shape."""
        _, _, p, m = shape
        return cls(np.zeros((p, p)), np.zeros((p, m)), np.zeros((m, m)), 0.0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.gram + other.gram,
            self.cross + other.cross,
            self.scatter + other.scatter,
            self.mass + other.mass,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ClassRows:
    """The units of a chunk that may be in one class.

    Attributes
    ----------
    held
        (U,) their places in the chunk.
    tau
        (U,) responsibilities.
    counts
        (U,) these times the units' weights.
    covariates, rest
        (U, r, p) factor rows and (U, r, m) residuals.
    degrees
        (U,) degrees of freedom.
    """

    held: IntArray
    tau: FloatArray
    counts: FloatArray
    covariates: FloatArray
    rest: FloatArray
    degrees: FloatArray

    def scores(self, precision: FloatArray, basis: FloatArray) -> FloatArray:
        """(U, p m + q) derivatives of the log-density by coefficients and covariance elements."""
        units, (q, m, _) = len(self.held), basis.shape
        solved = self.rest @ precision
        by_coefficients = (self.covariates.mT @ solved).reshape(units, self.covariates.shape[2] * m)
        products = (solved.mT @ solved).reshape(units, m * m)
        trace = np.einsum("aij,ji->a", basis, precision)
        by_covariance = products @ basis.reshape(q, -1).T - np.outer(self.degrees, trace)
        return np.concatenate([by_coefficients, 0.5 * by_covariance], axis=1)

    def sums(self) -> Sums:
        """Weighted sums over these units."""
        root = np.sqrt(self.counts)[:, None, None]
        x = (self.covariates * root).reshape(-1, self.covariates.shape[-1])
        e = (self.rest * root).reshape(-1, self.rest.shape[-1])
        return Sums(x.T @ x, x.T @ e, e.T @ e, float(self.counts @ self.degrees))


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some units of a panel.

    Attributes
    ----------
    data, parameters
        Of all units.
    units
        Which units.
    tau, prior
        (U, K) responsibilities and class probabilities before the outcomes.
    design
        (U, c) unit covariates of the log-odds.
    weights
        (U,) how often each unit counts.
    """

    data: Standardised
    parameters: Parameters
    units: slice
    tau: FloatArray
    prior: FloatArray
    design: FloatArray
    weights: FloatArray

    def of_class(self, k: int) -> ClassRows:
        """The units that may be in class k."""
        held = np.flatnonzero(self.tau[:, k] > _NOT_IN_CLASS)
        data, places = self.data, held + self.units.start
        covariates, tau = data.covariates[places], self.tau[held, k]
        return ClassRows(
            held,
            tau,
            tau * self.weights[held],
            covariates,
            data.outcomes[places] - covariates @ self.parameters.coefficients[k],
            data.degrees_of_freedom[places],
        )

    def by_odds(self, from_class: FloatArray, held: IntArray | slice) -> FloatArray:
        """(U, (K - 1) c) scores of the log-odds from those (U, K) of the log-probabilities."""
        product = from_class[:, 1:, None] * self.design[held, None]
        return product.reshape(len(product), product.shape[1] * product.shape[2])


def chunks(
    data: Standardised, parameters: Parameters, tau: FloatArray, n_own: int
) -> Iterator[Chunk]:
    """The panel's units in chunks.

    Parameters
    ----------
    tau
        (G, K) responsibilities.
    n_own
        Parameters of one class, which the chunks' length depends on.
    """
    n_units, n_rows, p, m = data.shape
    length = max(1, _CHUNK_VALUES // (tau.shape[1] * n_own + n_rows * (p + m) + m * m))
    prior = np.broadcast_to(np.exp(log_class_weights(data, parameters)), tau.shape)
    weights = np.broadcast_to(1.0 if data.unit_weights is None else data.unit_weights, n_units)
    design = odds_design(data)
    for first in range(0, n_units, length):
        units = slice(first, first + length)
        yield Chunk(
            data, parameters, units, tau[units], prior[units], design[units], weights[units]
        )


def odds_design(data: Standardised) -> FloatArray:
    """(G, c) unit covariates of the log-odds; a constant where there are none."""
    return np.ones((data.shape[0], 1)) if data.concomitants is None else data.concomitants
