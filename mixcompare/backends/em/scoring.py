"""Scores of parameters by the EM's own arithmetic, in the coordinates of what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mixcompare.backends.em.expectation import class_log_density, e_step, responsibilities_at
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised, standardise
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, eq=False)
class Scorer:
    """See `mixcompare.backends.protocol.Scorer`.

    The pooled fit and scales of the problem keep the arithmetic safe, which few new rows could
    not.
    """

    problem: Problem

    def log_density(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) log-densities of the carriers' rows given each class."""
        data = self._data(new)
        return class_log_density(data, data.from_raw(Parameters(**parameters)))

    def unit_log_likelihood(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, G) log-likelihoods of the units times their weights."""
        data = self._data(new)
        return e_step(data, data.from_raw(Parameters(**parameters))).weighted_log_likelihood

    def occupancy(
        self, parameters: Mapping[str, FloatArray], new: Problem | None = None
    ) -> FloatArray:
        """(S, C, K) class probabilities of the carriers given all outcomes of their units."""
        data = self._data(new)
        return responsibilities_at(data, data.from_raw(Parameters(**parameters)))

    def lower_bounds(self, path: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """The bound that EM climbs, along iterates.

        With ``q`` the responsibilities of one iterate and ``theta`` the parameters of the next,
        the bound is ``Q(theta | q) + H(q)``; its distance to the log-likelihood at theta is the
        Kullback-Leibler divergence of q from the responsibilities there (Neal & Hinton 1998).

        Parameters
        ----------
        path
            S iterates by block.

        Returns
        -------
        (S,) log-likelihoods, and (S - 1,) bounds at the second iterate and later, before their
        E-steps.
        """
        data = self._fitted
        reached = e_step(data, data.from_raw(Parameters(**path)))
        old, new = reached[:-1], reached[1:]
        held = old.responsibilities > 0  # 0 times log 0
        by_unit = np.where(held, old.responsibilities * new.joint, 0.0).sum(axis=-1)
        weights = data.unit_weights
        expected = (by_unit if weights is None else by_unit * weights).sum(axis=-1)
        return reached.log_likelihood, np.asarray(expected + old.entropy)

    @cached_property
    def _fitted(self) -> Standardised:
        return standardise(self.problem.spec, self.problem.factors)

    def _data(self, new: Problem | None) -> Standardised:
        """What is scored: the fitted rows, or new ones in their coordinates."""
        fitted = self._fitted
        if new is None:
            return fitted
        rows, concomitants = new.factors, new.factors.concomitants
        x, y = rows.covariate_factor, rows.outcome_factor
        if concomitants is not None and fitted.unmix is not None:
            concomitants = concomitants @ fitted.unmix
        return replace(
            fitted,
            covariates=x @ fitted.unwhiten,
            outcomes=(y - x @ fitted.pooled) / fitted.scale,
            degrees_of_freedom=rows.degrees_of_freedom.astype(float),
            unit_weights=rows.unit_weights,
            concomitants=concomitants,
        )
