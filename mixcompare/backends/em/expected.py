"""To which classes carriers belong, as an E-step finds it or a start gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import entr

from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.theta import Theta
from mixcompare.backends.em.together import Index, Together
from mixcompare.base.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Posterior(Together):
    """What an E-step finds for each carrier of a class.

    Class probabilities (C, K) given the outcomes, log-likelihoods (G,) of units, and jointly (C, K)
    logarithms of class probability times density given the class.
    """

    occupancy: FloatArray
    unit_log_likelihood: FloatArray
    joint: FloatArray


class _Mixture(Protocol):
    """The model whose E-step it is; see `mixcompare.backends.em.mixture.Mixture`."""

    @property
    def units(self) -> Units: ...
    def of(self, starts: Index) -> Self: ...
    def posterior(self, theta: Theta) -> Posterior: ...
    def unbounded(self, theta: Theta) -> FloatArray: ...


@dataclass(frozen=True, eq=False)
class Expected(Together):
    """What an E-step finds, in raw units with all constants in.

    Attributes
    ----------
    model, at
        The model and parameters that it is of.
    by_carrier
        What it finds; None if it is to be made when it is asked for.
    sums
        (3,) log-likelihood, Q and entropy, where they were summed along the way.
    moments
        All that the next M-step of the emissions needs, where it was summed along the way, with
        ``units`` (K,) that belong to each class.
    """

    model: _Mixture
    at: Theta
    by_carrier: Posterior | None = None
    sums: FloatArray | None = None
    moments: Any = None

    def __getitem__(self, index: Index) -> Self:
        return replace(super().__getitem__(index), model=self.model.of(index))

    def of_one(self, start: int) -> Self:
        """One start's, which holds nothing of the others."""
        one = self[start]
        return one if len(self.at.weights) == 1 else one.copy()

    @property
    def lighter(self) -> Self:
        """The same, which makes what is by carrier when it is asked for."""
        return replace(self, by_carrier=None, moments=None)

    @cached_property
    def _posterior(self) -> Posterior:
        return self.by_carrier or self.model.posterior(self.at)

    @property
    def units(self) -> Units:
        """How often units count."""
        return self.model.units

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
        sums = self.counts.sum(axis=-2) if self.moments is None else self.moments.units
        return np.asarray(sums)

    @cached_property
    def log_likelihood(self) -> FloatArray:
        """Sum over the units."""
        if self.sums is not None:
            return self.sums[..., 0]
        return self.units.sum(self.unit_log_likelihood)

    @property
    def weighted_log_likelihood(self) -> FloatArray:
        """(G,) each unit's log-likelihood times its weight."""
        weights = self.units.weights
        return self.unit_log_likelihood * (1.0 if weights is None else weights)

    @cached_property
    def expected_log_likelihood(self) -> FloatArray:
        """Q of these parameters at their own class probabilities."""
        if self.sums is not None:
            return self.sums[..., 1]
        held = self.occupancy > 0  # 0 times log 0
        return self.units.sum((self.occupancy * np.where(held, self.joint, 0.0)).sum(axis=-1))

    @cached_property
    def entropy(self) -> FloatArray:
        """Entropy of the class probabilities; with Q it sums to the log-likelihood."""
        if self.sums is not None:
            return self.sums[..., 2]
        return self.units.sum(entr(self.occupancy).sum(axis=-1))
