"""The log marginal likelihood by bridge sampling, on arrays; knows no model and no backend.

The posterior's draws and those of a normal approximation q to it meet halfway: for any
function h, ``p(y) = E_q[p(y, x) h(x)] / E_posterior[q(x) h(x)]``, and the h of least error,
which contains p(y) itself, is found by iteration (Meng & Wong 1996; Gronau et al. 2017).

A mixture's posterior has K! copies of every mode, and an approximation of one copy misses the
others: the estimate is then too small by up to log K!. The remedy is to make q as symmetric as
the posterior, the mean of its own K! copies (Fruehwirth-Schnatter 2004). Both densities then
have the same value at all copies of a point, so that neither kind of draws has to be relabelled
at random: it makes no difference which copy of a point a draw is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.summary import convergence

type LogDensity = Callable[[FloatArray], FloatArray]

_TOLERANCE: Final = 1e-10
_MOST_ITERATIONS: Final = 1000
_LOG_2PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """An estimate of the log marginal likelihood.

    Attributes
    ----------
    value
        NaN if the iteration did not settle.
    error
        Its standard error: the relative one of the marginal likelihood itself.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """The mean of a normal density's copies.

    Attributes
    ----------
    mean, root
        (D,) and lower triangular (D, D) with ``root @ root.T`` the covariance.
    copies
        (R, D, D) linear maps of determinant 1 or -1 from a point to each of its copies,
        itself among them.
    """

    mean: FloatArray
    root: FloatArray
    copies: FloatArray

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """(n, D) draws, all from the first copy, which serve where all copies are alike."""
        return np.asarray(self.mean + rng.normal(size=(n, len(self.mean))) @ self.root.T)

    def log_density(self, points: FloatArray) -> FloatArray:
        """(n,) log-densities, normalised."""
        highest = np.full(len(points), -np.inf)
        total = np.zeros(len(points))
        shift = solve_triangular(self.root, self.mean, lower=True)
        for copy in self.copies:
            standard = points @ solve_triangular(self.root, copy, lower=True).T - shift
            exponent = -0.5 * np.einsum("nd,nd->n", standard, standard)
            higher = np.maximum(highest, exponent)
            total = total * np.exp(highest - higher) + np.exp(exponent - higher)
            highest = higher
        constant = 0.5 * len(self.mean) * _LOG_2PI + np.log(np.diag(self.root)).sum()
        return np.asarray(highest + np.log(total) - np.log(len(self.copies)) - constant)


def fit_proposal(points: FloatArray, copies: FloatArray) -> Proposal:
    """A normal density with the moments of aligned draws, and its copies.

    Parameters
    ----------
    points
        (n, D) draws of one labelling.
    copies
        See `Proposal`.
    """
    covariance = np.atleast_2d(np.cov(points, rowvar=False))
    return Proposal(points.mean(axis=0), np.linalg.cholesky(covariance), copies)


def bridge_sampling(
    draws: FloatArray,
    log_density: LogDensity,
    copies: FloatArray | None = None,
    *,
    rng: np.random.Generator,
) -> LogEvidence:
    """Estimate the logarithm of a density's integral from draws of it.

    The first half of every chain makes the proposal and the second half the estimate, since
    a proposal that knows the draws it meets makes it too large (Overstall & Forster 2010).

    Parameters
    ----------
    draws
        (C, S, D) draws of C chains without bounds, aligned to one labelling.
    log_density
        Logarithms (n,) of the unnormalised density at points (n, D), the same at all copies
        of a point.
    copies
        (R, D, D), see `Proposal`; only the point itself by default.
    rng
        Of the proposal's draws, as many as there are in `draws`.
    """
    chains, length, d = draws.shape
    half = length // 2
    maps = np.eye(d)[None] if copies is None else copies
    proposal = fit_proposal(draws[:, :half].reshape(-1, d), maps)
    met = draws[:, half:].reshape(-1, d)
    made = proposal.draw(chains * length, rng)
    return bridge(
        (log_density(met) - proposal.log_density(met)).reshape(chains, -1),
        log_density(made) - proposal.log_density(made),
    )


def bridge(ratio_met: FloatArray, ratio_made: FloatArray) -> LogEvidence:
    """The iterative estimator from log ratios ``log p(y, x) - log q(x)``.

    Meng & Wong's (1996) optimal bridge as Gronau et al. (2017) iterate it, with the number of
    the posterior's draws replaced by their effective number. The error is Fruehwirth-Schnatter's
    (2004) relative mean-squared error, whose term of the posterior allows for the draws'
    dependence.

    Parameters
    ----------
    ratio_met
        (C, S) at the posterior's draws.
    ratio_made
        (N,) at the proposal's.
    """
    # Ratios near one: the evidence itself may be far beyond any floating-point number.
    centre = float(np.median(ratio_met))
    met, made = ratio_met - centre, ratio_made - centre
    effective = _effective(met)
    share = effective / (effective + made.size)
    log_own, log_other = np.log(share), np.log1p(-share)
    estimate = 0.0
    for _ in range(_MOST_ITERATIONS):
        upper = made - np.logaddexp(log_own + made, log_other + estimate)
        lower = -np.logaddexp(log_own + met, log_other + estimate)
        renewed = float(_log_mean(upper) - _log_mean(lower))
        settled = abs(renewed - estimate) <= _TOLERANCE * (1 + abs(renewed))
        estimate = renewed
        if settled:
            break
    else:
        return LogEvidence(np.nan, np.nan)
    return LogEvidence(
        estimate + centre, _error(met - estimate, made - estimate, log_own, log_other)
    )


def _error(met: FloatArray, made: FloatArray, log_own: float, log_other: float) -> float:
    """Relative error of the estimate from log ratios of normalised densities."""
    upper = np.exp(made - np.logaddexp(log_own + made, log_other))
    lower = np.exp(-np.logaddexp(log_own + met, log_other))
    by_proposal = upper.var(ddof=1) / upper.size / upper.mean() ** 2
    spread = convergence(lower[..., None])["mcse_mean"][0] if np.ptp(lower) > 0 else 0.0
    return float(np.sqrt(by_proposal + (spread / lower.mean()) ** 2))


def _effective(values: FloatArray) -> float:
    """Effective number of draws (C, S), at most their number."""
    if np.ptp(values) == 0:
        return float(values.size)
    return float(min(values.size, convergence(values[..., None])["ess_bulk"][0]))


def _log_mean(values: FloatArray) -> FloatArray:
    return np.asarray(logsumexp(values) - np.log(values.size))


def mean_evidence(
    by_run: Sequence[float] | FloatArray, errors: FloatArray | None = None
) -> LogEvidence:
    """The mean of independent estimates of a marginal likelihood, with its error.

    The error is the larger of two: by the spread of the runs, which few runs can have small by
    chance, and by what each run knows of its own error, which may not be all of it.

    Parameters
    ----------
    by_run
        (R,) log marginal likelihoods, as of independent runs of sequential Monte Carlo. It is
        the marginal likelihoods themselves, not their logarithms, that are unbiased.
    errors
        (R,) standard errors of these, if known.
    """
    values = np.asarray(by_run, dtype=float)
    top = values.max()
    relative = np.exp(values - top)
    share = relative / relative.sum()
    known = [] if errors is None else [float(np.linalg.norm(share * errors))]
    if len(values) > 1:
        known.append(float(share.std(ddof=1) * np.sqrt(len(values))))
    return LogEvidence(float(top + np.log(relative.mean())), max(known, default=np.nan))
