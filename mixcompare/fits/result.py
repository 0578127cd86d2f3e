"""What a backend hands back: plain arrays, of which the tree of a fit is made when it is asked for.

Shapes: K classes, G units, C carriers, P reported parameters, S starts, I iterations; draws have
the axes (chain, draw) in front. Blocks of parameters go by the names of their
`mixcompare.model.layout.Layout`, in the data's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcompare.base.arrays import FloatArray, IntArray, evenly_spaced
from mixcompare.fits.kinds import Kind

# Of what there is by draw and unit, so many numbers are kept as they are. Of more, responsibilities
# are kept for some of the draws, and log-likelihoods in 32 bits.
KEPT_VALUES: Final = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class StandardErrors:
    """How sure an optimum's parameters are.

    Attributes
    ----------
    covariance, inverse_information
        (P, P) of the parameters, by the method and from the observed information; NaN where they
        are withheld.
    sandwich
        (P,) standard errors clustered by unit; None where units have one row each.
    method, reason
        How they were computed, and why some are withheld; empty if none is.
    """

    covariance: FloatArray
    inverse_information: FloatArray
    sandwich: FloatArray | None
    method: str
    reason: str

    @property
    def each(self) -> FloatArray:
        """(P,) standard errors by the method."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Where every start of a search for an optimum ended, classes numbered as the best one's.

    Attributes
    ----------
    parameters
        (S, ...) blocks; NaN where a start was unusable.
    ends
        (S,) each: log_likelihood, log_prior, iterations, status, message, criterion, kind,
        optimum (0 the best, -1 none), spurious, spurious_rows, spurious_ratio.
    log_likelihood_history, weights_history
        (S, I) and (S, I, K), NaN where nothing was kept or a start had stopped.
    found_again
        Whether the best optimum was found from more than one start.
    cautions
        What the search says of itself.
    """

    parameters: Mapping[str, FloatArray]
    ends: Mapping[str, Any]
    log_likelihood_history: FloatArray
    weights_history: FloatArray
    found_again: bool
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """A posterior's draws as sampled, with exchangeable labels.

    Attributes
    ----------
    parameters
        (chain, draw, ...) blocks.
    occupancy
        (chain, D, C, K) class probabilities in single precision, of the draws `kept`.
    log_prior
        (chain, draw) by block, without Jacobians.
    permutation
        (chain, draw, K) that aligns the draws to one another.
    statistics
        (chain, draw) or (chain,) of the sampler.
    """

    parameters: Mapping[str, FloatArray]
    occupancy: FloatArray
    log_prior: Mapping[str, FloatArray]
    permutation: IntArray
    statistics: Mapping[str, Any]

    @property
    def numbers(self) -> IntArray:
        """(chain, draw) numbers of the draws, chain after chain."""
        chains, each = self.permutation.shape[:2]
        return np.arange(chains * each).reshape(chains, each)

    @property
    def kept(self) -> IntArray:
        """(D,) draws of each chain that have their class probabilities here, evenly spaced."""
        return evenly_spaced(self.permutation.shape[1], self.occupancy.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Optima:
    """O distinct maxima of a posterior's density, up to labels, as climbs have found them.

    Those of the highest evidence are first, and those that are not proper last. Densities are
    those of the sampler's coordinates, in which chains move.

    Attributes
    ----------
    parameters
        (O, ...) blocks in the data's units, classes numbered from the largest weight on.
    log_posterior
        (O,) log-densities with all constants.
    log_likelihood
        (O,) summed over the units.
    log_evidence
        (O,) Laplace's approximation of the log marginal likelihood of the maximum and all its
        copies by other labels; NaN where it is not proper.
    proper
        (O,) whether the density is level there and falls in every direction.
    climbs_by_start
        (O, kinds) how many climbs of each kind of start ended there; none where only draws have
        led to it.
    starts
        The kinds of starts: about the pooled fit, rough classes of the units, prior draws.
    iterations
        (O,) mean number of iterations of these climbs; NaN without.
    n_climbs
        How many climbs there were, those among them that could not begin.
    seconds
        Wall time of the search.
    """

    parameters: Mapping[str, FloatArray]
    log_posterior: FloatArray
    log_likelihood: FloatArray
    log_evidence: FloatArray
    proper: NDArray[np.bool_]
    climbs_by_start: IntArray
    starts: tuple[str, ...]
    iterations: FloatArray
    n_climbs: int
    seconds: float

    @property
    def climbs(self) -> IntArray:
        """(O,) how many climbs ended at each."""
        return np.asarray(self.climbs_by_start.sum(axis=1))

    @property
    def share(self) -> FloatArray:
        """(O,) share of all climbs that ended at each."""
        return np.asarray(self.climbs / self.n_climbs)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A fit's numbers and what is to be said of them.

    Attributes
    ----------
    kind
        What kind of fit it is.
    parameters
        Blocks at the optimum, or their means over the aligned draws.
    occupancy
        (C, K) class probabilities there, or their means.
    log_likelihood
        (G,) at the optimum, or (chain, draw, G), times the units' weights. Those of draws are
        multiples of `resolution`.
    status
        ``"converged"``, ``"iteration limit"``, ``"ascent violated"``, ``"saddle"`` (a saddle
        point that EM could not leave), ``"spurious"`` (a maximum that a few rows make) or
        ``"separated"`` (log-odds of the membership that run off to infinity) (EM);
        ``"not converged"``
        (MCMC) or ``"approximate"`` (draws from an approximation of the posterior).
    message
        The status in a sentence, with its evidence.
    cautions
        What should be known before the result is used: whole sentences, with capital and full stop,
        which can be joined by spaces.
    measures
        Of the optimum: estimator, log_prior, score_distance.
    errors, search
        Of an optimum.
    history
        (I, ...) iterates from the best start: blocks, log_likelihood, expected_log_likelihood,
        entropy, log_prior, and if asked for responsibilities and standard_errors (I, P).
    draws, optima
        Of a posterior; no optima where chains did not wait for a search.
    """

    kind: Kind
    parameters: Mapping[str, FloatArray]
    occupancy: FloatArray
    log_likelihood: FloatArray
    status: str
    message: str
    cautions: tuple[str, ...] = ()
    measures: Mapping[str, Any] = field(default_factory=dict)
    errors: StandardErrors | None = None
    search: Search | None = None
    history: Mapping[str, FloatArray] = field(default_factory=dict)
    draws: Draws | None = None
    optima: Optima | None = None


def kept_draws(chains: int, draws: int, values: int) -> IntArray:
    """(D,) draws of each chain whose class probabilities are kept, evenly spaced.

    Parameters
    ----------
    values
        Class probabilities of one draw. Over all chains `KEPT_VALUES` are kept; of each chain
        those of one draw at least.
    """
    return evenly_spaced(draws, min(draws, max(1, KEPT_VALUES // (chains * values))))


def resolution(log_likelihood: FloatArray) -> float | None:
    """The power of two of which log-likelihoods by draw and unit are multiples in 32 bits.

    At most 2^-30 of the largest's next power of two, so that none moves by more than 1e-9 of it.

    Returns
    -------
    None if they are so few, see `KEPT_VALUES`, that they are kept in 64 bits, or some are infinite.
    """
    largest = max(float(log_likelihood.max()), -float(log_likelihood.min()))
    if log_likelihood.size <= KEPT_VALUES or not 0 < largest < np.inf:
        return None
    return float(2.0 ** (np.ceil(np.log2(largest)) - 30))
