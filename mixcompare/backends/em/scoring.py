"""Scores of parameters by the EM's own arithmetic, in the coordinates of what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixcompare.backends.em.build import mixture_of, on_other_rows
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem

type Named = Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Scorer:
    """See `mixcompare.backends.protocol.Scorer`.

    The pooled fit and scales of the problem keep the arithmetic safe, which few new rows could
    not.
    """

    problem: Problem

    def log_density(self, parameters: Named, new: Problem | None = None) -> FloatArray:
        """(S, C, K) log-densities of the carriers' rows given each class."""
        model, theta = self._at(parameters, new)
        return model.log_density(theta)

    def unit_log_likelihood(self, parameters: Named, new: Problem | None = None) -> FloatArray:
        """(S, G) log-likelihoods of the units times their weights."""
        model, theta = self._at(parameters, new)
        return model.expect(theta).weighted_log_likelihood

    def occupancy(self, parameters: Named, new: Problem | None = None) -> FloatArray:
        """(S, C, K) class probabilities of the carriers given all outcomes of their units."""
        model, theta = self._at(parameters, new)
        return model.occupancy(theta)

    def lower_bounds(self, path: Named) -> tuple[FloatArray, FloatArray]:
        """The bound that EM climbs, along iterates.

        With ``q`` the responsibilities of one iterate and ``theta`` the parameters of the next,
        the bound is ``Q(theta | q) + H(q)``; its distance to the log-likelihood at theta is the
        Kullback-Leibler divergence of q from the responsibilities there (Neal & Hinton 1998).

        Of S iterates, (S,) log-likelihoods, and (S - 1,) bounds at the second and later, before
        their E-steps.
        """
        model, theta = self._at(path, None)
        reached = model.expect(theta)
        old, new = reached[:-1], reached[1:]
        held = old.occupancy > 0  # 0 times log 0
        by_unit = np.where(held, old.occupancy * new.joint, 0.0).sum(axis=-1)
        return reached.log_likelihood, np.asarray(old.units.sum(by_unit) + old.entropy)

    @cached_property
    def _fitted(self) -> Mixture:
        return mixture_of(self.problem.spec, self.problem.prepared)

    def _at(self, parameters: Named, new: Problem | None) -> tuple[Mixture, Theta]:
        """What is scored, the fitted rows or new ones in their coordinates, and at what."""
        model = self._fitted
        if new is not None:
            model = on_other_rows(model, new.prepared)
        return model, model.from_raw(model.theta(parameters))
