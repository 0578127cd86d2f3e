"""How far EM's estimate lies above every draw in posterior density, and how far it may.

In a normal posterior of d dimensions the log density of a draw lies half a chi-squared variable
with d degrees of freedom below that of the mode (Gelman et al. 2013, section 4.1). Of n independent
draws the highest is more than c below it with probability ``P(chi2_d > 2 c)^n``, and no other
point is above the mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import chdtri

from mixcompare.backends import get_backend
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit
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
        By how much EM's may be above the draw's, see `allowance`.
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
        See `allowance`.
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


def allowance(dimensions: float, effective: float, chance: float) -> float:
    """By how much a mode is above the highest of n draws at the most, in log density.

    It solves ``P(chi2_d > 2 c)^n = chance`` for c, of a normal posterior.

    Parameters
    ----------
    dimensions
        d, of which a normal posterior's log density has the variance d / 2.
    effective
        n, the effective number of draws; 1 where it is less or not known, for which the allowance
        is the largest.
    chance
        How often the highest of n draws around the mode lies further below it.
    """
    n = max(1.0, effective) if np.isfinite(effective) else 1.0
    return float(chdtri(dimensions, min(chance, 1.0) ** (1 / n)) / 2)
