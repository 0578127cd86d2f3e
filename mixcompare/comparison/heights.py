"""How far EM's estimate lies above every draw in posterior density, and how far it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.backends import get_backend
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit
from mixcompare.fits.heights import allowance
from mixcompare.fits.summary import convergence

# A posterior's log density varies by at most so many times a normal one's.
_MOST_SPREAD: Final = 4.0


@dataclass(frozen=True, slots=True)
class Heights:
    """Log posterior densities: log-likelihood and log-prior of the parameters, all constants in.

    Attributes
    ----------
    em, best_draw
        At EM's estimate and at the highest draw.
    allowed
        By how much EM's may be above the draw's, see `mixcompare.fits.heights.allowance`.
    """

    em: float
    best_draw: float
    allowed: float

    @property
    def gap(self) -> float:
        """By how much EM's estimate lies above the highest draw."""
        return self.em - self.best_draw

    @property
    def missed(self) -> bool:
        """Whether no chain can have been near EM's estimate."""
        return self.gap > self.allowed


def heights(em: Fit, posterior_fit: Fit, chance: float) -> Heights:
    """Hold EM's estimate against the draws, priors by PyMC's arithmetic.

    Parameters
    ----------
    chance
        See `mixcompare.fits.heights.allowance`.
    """
    at = {name: values[None] for name, values in em.estimate.items()}
    drawn = posterior_fit.log_likelihood_by_draw + sum(posterior_fit.draws.log_prior.values())
    effective = float(convergence(drawn[..., None], ("ess_bulk",))["ess_bulk"][0])
    # A skewed posterior's draws spread further than d dimensions of a normal one do, and chains
    # that are still on their way much further.
    d = em.n_parameters
    spread = min(2 * float(drawn.var(axis=1, ddof=1).mean()), _MOST_SPREAD * d)
    return Heights(
        em=float(log_density(em, at)[0]),
        best_draw=float(drawn.max()),
        allowed=allowance(max(d, spread), effective, chance),
    )


def log_density(em: Fit, parameters: Mapping[str, FloatArray]) -> FloatArray:
    """(S,) log posterior densities of parameters (S, ...) themselves, by PyMC's arithmetic."""
    mixture = build_mixture(em.problem)
    priors = mixture.log_prior_by_parameter(mixture.free_values(parameters), parameters)
    units = get_backend("pymc").scorer(em.problem).unit_log_likelihood(parameters)
    return np.asarray(units.sum(axis=1) + sum(priors.values()))
