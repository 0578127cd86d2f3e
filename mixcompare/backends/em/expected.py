"""To which classes carriers belong: given to start from, or what an E-step finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from scipy.special import entr

from mixcompare.backends.em.classes.class_model import ClassModel, Posterior
from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.theta import Index, Theta
from mixcompare.base.arrays import FloatArray, IntArray


class Finder(Protocol):
    """The model whose E-step it is; see `mixcompare.backends.em.mixture.Mixture`."""

    @property
    def classes(self) -> ClassModel:
        """The classes' own model."""

    def of(self, starts: Index) -> Self:
        """The model of some of the starts that run together."""

    def posterior(self, theta: Theta) -> Posterior:
        """What an E-step finds for each carrier."""

    def unbounded(self, theta: Theta) -> FloatArray:
        """(S, n) vectors in which a step of any length leads to valid parameters."""


@dataclass(frozen=True, eq=False)
class Given:
    """Class probabilities (S, C, K) of the carriers that starts begin from."""

    units: Units
    occupancy: FloatArray

    def __getitem__(self, index: Index) -> Given:
        return Given(self.units.of(index), self.occupancy[index])

    @cached_property
    def counts(self) -> FloatArray:
        """(S, C, K) these times the units' weights."""
        return self.units.weigh(self.occupancy)

    @property
    def by_class(self) -> FloatArray:
        """(S, K) their sums over the carriers."""
        return np.asarray(self.counts.sum(axis=-2))


@dataclass(frozen=True, eq=False)
class Expected:
    """What an E-step finds, in raw units with all constants in.

    All arrays may have the same further axes in front, for starts that run together; an
    index selects along these.

    Attributes
    ----------
    model, at
        The model and parameters that it is of.
    found
        By carrier; None if it is to be made when it is asked for.
    """

    model: Finder
    at: Theta
    found: Posterior | None = None

    def __getitem__(self, index: Index) -> Self:
        found = None if self.found is None else Posterior(*(part[index] for part in self.found))
        return replace(self, model=self.model.of(index), at=self.at[index], found=found)

    def of_one(self, start: int) -> Self:
        """One start's, which holds nothing of the others."""
        one = self[start]
        if one.found is None or len(self.at.weights) == 1:
            return one
        return replace(one, found=Posterior(*(part.copy() for part in one.found)))

    def with_rows(self, rows: IntArray, others: Self) -> Self:
        """The same E-steps, of which others take the place of some; takes over the arrays."""
        for part, new in zip(self.found or (), others.found or (), strict=True):
            part[rows] = new
        return replace(self, at=self.at.with_rows(rows, others.at))

    @property
    def lighter(self) -> Self:
        """The same, which makes what is by carrier when it is asked for."""
        return replace(self, found=None)

    @cached_property
    def _posterior(self) -> Posterior:
        return self.found or self.model.posterior(self.at)

    @property
    def units(self) -> Units:
        """How often units count."""
        return self.model.classes.units

    @property
    def occupancy(self) -> FloatArray:
        """(C, K) posterior class probabilities tau."""
        return self._posterior.occupancy

    @property
    def unit_log_likelihood(self) -> FloatArray:
        """(G,) log-likelihoods."""
        return self._posterior.unit_log_likelihood

    @property
    def joint(self) -> FloatArray:
        """(C, K) ``log pi_k + log f_k(carrier c)``."""
        return self._posterior.joint

    @cached_property
    def counts(self) -> FloatArray:
        """(C, K) posterior class probabilities times the units' weights."""
        return self.units.weigh(self.occupancy)

    @property
    def by_class(self) -> FloatArray:
        """(K,) their sums over the carriers."""
        return np.asarray(self.counts.sum(axis=-2))

    @cached_property
    def log_likelihood(self) -> FloatArray:
        """Sum over the units."""
        return self.units.sum(self.unit_log_likelihood)

    @property
    def weighted_log_likelihood(self) -> FloatArray:
        """(G,) each unit's log-likelihood times its weight."""
        weights = self.units.weights
        return self.unit_log_likelihood * (1.0 if weights is None else weights)

    @cached_property
    def expected_log_likelihood(self) -> FloatArray:
        """Q of these parameters at their own class probabilities."""
        held = self.occupancy > 0  # 0 times log 0
        return self.units.sum((self.occupancy * np.where(held, self.joint, 0.0)).sum(axis=-1))

    @cached_property
    def entropy(self) -> FloatArray:
        """Entropy of the class probabilities; with Q it sums to the log-likelihood."""
        return self.units.sum(entr(self.occupancy).sum(axis=-1))
