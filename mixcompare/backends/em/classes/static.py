"""Classes that units keep: constant probabilities or a multinomial logit of unit covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp

from mixcompare.backends.em.classes import membership
from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.expected import Expected, Posterior
from mixcompare.backends.em.theta import LOG_2PI, Blocks
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import OptionError
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.resolved_priors import ResolvedPriors

# exp of less is denormal or nearly so, which slows every product that follows.
_LOG_ZERO = -600.0


@dataclass(frozen=True, eq=False)
class StaticClasses:
    """One class per unit, so that units are the carriers.

    Blocks are ``weights`` (K,) and, with unit covariates, ``membership_coefficients`` (K, c),
    the log-odds against the first class, zero for itself; weights are average class
    probabilities then.

    Attributes
    ----------
    n_components
        Number of classes, K.
    units
        How often units count.
    concomitants, unmix
        (G, c) whitened unit covariates, and (c, c) such that raw log-odds are
        ``membership_coefficients @ unmix.T``; or None.
    priors
        For a mode of the posterior; None for maximum likelihood. The Dirichlet's adds
        ``concentration - 1`` units to every class (Fraley & Raftery 2007, section 2).
    """

    n_components: int
    units: Units
    concomitants: FloatArray | None = None
    unmix: FloatArray | None = None
    priors: ResolvedPriors | None = None

    @classmethod
    def of(
        cls, n_components: int, prepared: Prepared, priors: ResolvedPriors | None
    ) -> StaticClasses:
        """The classes of a panel's units."""
        units = Units(prepared.n_units, prepared.unit_weights)
        if prepared.concomitants is None:
            return cls(n_components, units, priors=priors)
        # Orthonormal columns over the units.
        weighted = prepared.concomitants * np.sqrt(prepared.replicated)[:, None]
        triangle = np.linalg.qr(weighted, mode="r") / np.sqrt(prepared.total_units)
        unmix = solve_triangular(triangle, np.eye(len(triangle)))
        return cls(n_components, units, prepared.concomitants @ unmix, unmix, priors)

    def with_units(self, units: Units) -> StaticClasses:
        """The same with other unit weights."""
        return replace(self, units=units)

    def with_components(self, number: int) -> StaticClasses:
        """The same with another number of classes."""
        return replace(self, n_components=number)

    def on_other_units(self, prepared: Prepared) -> StaticClasses:
        """The same for units that were not fitted."""
        concomitants = prepared.concomitants
        if concomitants is not None and self.unmix is not None:
            concomitants = concomitants @ self.unmix
        units = Units(prepared.n_units, prepared.unit_weights)
        return replace(self, units=units, concomitants=concomitants)

    @property
    def has_prior(self) -> bool:
        """Whether the model's priors enter."""
        return self.priors is not None

    @cached_property
    def _precision(self) -> FloatArray | None:
        """(c, c) prior precision of the zero-sum log-odds of whitened unit covariates."""
        raw = None if self.priors is None else self.priors.membership_precision
        return raw if raw is None or self.unmix is None else self.unmix.T @ raw @ self.unmix

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the blocks."""
        shapes: dict[str, tuple[int, ...]] = {"weights": (self.n_components,)}
        if self.concomitants is not None:
            shapes["membership_coefficients"] = (self.n_components, self.concomitants.shape[1])
        return shapes

    def even(self) -> Blocks:
        """Equal weights, whatever the unit covariates."""
        return {"weights": np.full(self.n_components, 1 / self.n_components)}

    def log_probabilities(self, theta: Blocks) -> FloatArray:
        """(..., 1, K) or, with unit covariates, (..., G, K)."""
        odds = theta.get("membership_coefficients")
        if odds is not None and self.concomitants is not None:
            return membership.log_class_probabilities(self.concomitants, odds)
        with np.errstate(divide="ignore"):  # a user's start may have a weight of zero
            return np.log(theta["weights"])[..., None, :]

    def expect(self, log_density: FloatArray, theta: Blocks) -> Posterior:
        """Posterior class probabilities and the log-likelihood, by log-sum-exp."""
        joint = self.log_probabilities(theta) + log_density
        unit = np.asarray(logsumexp(joint, axis=-1))
        log_occupancy = joint - unit[..., None]
        kept = log_occupancy > _LOG_ZERO
        occupancy = np.exp(log_occupancy, where=kept, out=np.zeros_like(joint))
        return Posterior(occupancy, unit, joint)

    def m_step(self, expected: Expected, previous: Blocks | None) -> Blocks:
        """Average occupancy, or log-odds by Newton's method."""
        units = expected.units
        if self.concomitants is None:
            by_class = expected.by_class
            added = 0.0 if self.priors is None else self.priors.concentration - 1
            if not added:
                return {"weights": by_class / units.total[..., None]}
            total = units.total + added * by_class.shape[-1]
            return {"weights": np.asarray((by_class + added) / total[..., None])}
        counts = expected.counts
        before = None if previous is None else previous["membership_coefficients"]
        if before is None:
            before = np.zeros((len(counts), counts.shape[-1], self.concomitants.shape[1]))
        each = zip(counts, before, strict=True)
        odds = np.stack(
            [membership.maximise(self.concomitants, *at, self._precision) for at in each]
        )
        return self._with_weights(odds, units)

    def _with_weights(self, odds: FloatArray, units: Units | None = None) -> Blocks:
        """Blocks of log-odds (..., K, c), with class probabilities averaged over the units."""
        assert self.concomitants is not None
        units = units or self.units
        each = np.exp(membership.log_class_probabilities(self.concomitants, odds))
        weights = units.weigh(each).sum(axis=-2) / units.total[..., None]
        return {"weights": np.asarray(weights), "membership_coefficients": odds}

    def log_prior(self, theta: Blocks) -> tuple[FloatArray | float, ...]:
        """Of a Dirichlet, or of the zero-sum log-odds, beside which weights have none."""
        priors = self.priors
        if priors is None:
            return ()
        odds = theta.get("membership_coefficients")
        if odds is not None:
            assert self.unmix is not None
            assert priors.membership_precision is not None
            return (_log_zero_sum(priors.membership_precision, odds @ self.unmix.T),)
        weights, a = theta["weights"], priors.concentration
        k = weights.shape[-1]
        with np.errstate(divide="ignore"):
            kernel = (a - 1) * np.log(weights).sum(axis=-1) if a != 1 else 0.0
        return float(gammaln(k * a)), -float(k * gammaln(a)), kernel

    def unbounded(self, theta: Blocks) -> FloatArray:
        """(S, n) log-odds of the classes."""
        odds = theta.get("membership_coefficients")
        if odds is None:
            weights = theta["weights"]
            with np.errstate(divide="ignore"):  # an empty class has no logarithm, no proposal
                odds = np.log(weights / weights[..., -1:])
        return odds.reshape(len(odds), -1)

    def bounded(self, vectors: FloatArray, like: Blocks) -> Blocks:
        """The inverse of `unbounded`."""
        odds = like.get("membership_coefficients")
        if odds is not None:
            return self._with_weights(vectors.reshape(len(vectors), *odds.shape[1:]))
        relative = np.exp(vectors - vectors.max(axis=1, keepdims=True))
        return {"weights": relative / relative.sum(axis=1, keepdims=True)}

    def permute(self, theta: Blocks, permutation: IntArray) -> Blocks:
        """The same model with its classes renumbered; log-odds are against the new first one."""
        blocks = {"weights": theta["weights"][..., permutation]}
        odds = theta.get("membership_coefficients")
        if odds is not None:
            odds = odds[..., permutation, :]
            blocks["membership_coefficients"] = odds - odds[..., :1, :]
        return blocks

    def to_raw(self, theta: Blocks) -> Blocks:
        """Parameters in the data's own units."""
        odds = theta.get("membership_coefficients")
        if odds is None or self.unmix is None:
            return theta
        return {**theta, "membership_coefficients": odds @ self.unmix.T}

    def from_raw(self, theta: Blocks) -> Blocks:
        """Parameters in standardised units."""
        odds = theta.get("membership_coefficients")
        if odds is None or self.unmix is None:
            return theta
        return {**theta, "membership_coefficients": np.linalg.solve(self.unmix, odds.mT).mT}

    def check_initial(self, theta: Blocks) -> Blocks:
        """Weights that sum to one; OptionError if one is negative or all are zero."""
        weights = theta["weights"]
        if not (np.all(weights >= 0) and weights.sum() > 0):
            raise OptionError("initial weights must not be negative, and one must be positive.")
        blocks = {"weights": weights / weights.sum()}
        odds = theta.get("membership_coefficients")
        if odds is not None:
            blocks["membership_coefficients"] = odds - odds[0]
        return blocks

    @cached_property
    def design(self) -> FloatArray:
        """(G, c) unit covariates of the log-odds; a constant where there are none."""
        return np.ones((self.units.number, 1)) if self.concomitants is None else self.concomitants

    def moved(self, theta: Blocks, step: FloatArray) -> Blocks:
        """Parameters a step of the log-odds of all classes but the first away."""
        k, c = self.n_components, self.design.shape[1]
        odds = np.concatenate([np.zeros(c), step]).reshape(k, c)
        before = theta.get("membership_coefficients")
        if before is not None:
            return self._with_weights(before + odds)
        weights = theta["weights"] * np.exp(odds[:, 0] - odds.max())
        return {"weights": weights / weights.sum()}

    def prior_curvature(self, theta: Blocks) -> tuple[FloatArray, FloatArray]:
        """By the log-odds; weights are a function of these, without a Jacobian."""
        k, c = self.n_components, self.design.shape[1]
        size = (k - 1) * c
        if self.priors is None:
            return np.zeros(size), np.zeros((size, size))
        odds = theta.get("membership_coefficients")
        if odds is not None and self._precision is not None:
            penalty = np.kron(np.eye(k) - 1 / k, self._precision)
            return np.asarray(-(penalty @ odds.ravel())[c:]), np.asarray(penalty[c:, c:])
        # sum_k (a - 1) log pi_k, with pi a function of the log-odds
        pi, units = theta["weights"], self.priors.concentration - 1
        total = units * k
        spread = (np.diag(pi) - np.outer(pi, pi))[1:, 1:]
        return (units - total * pi)[1:], np.asarray(total * spread)

    def derivative(self, theta: Blocks, name: str, position: tuple[int, ...]) -> FloatArray:
        """Of one scalar in raw units by the log-odds of all classes but the first."""
        k, *inside = position
        if name == "weights":
            return np.asarray(self._weights_by_odds(theta)[k])
        assert self.unmix is not None
        row = np.zeros((self.n_components - 1, len(self.unmix)))
        row[k - 1] = self.unmix[inside[0]]
        return np.asarray(row.ravel())

    def _weights_by_odds(self, theta: Blocks) -> FloatArray:
        """(K, (K-1) c) derivatives of the average class probabilities."""
        k = self.n_components
        each = np.exp(self.log_probabilities(theta)).reshape(-1, k)
        design = self.design[: len(each)]
        counts = np.ones(len(each)) if len(each) == 1 else self.units.counts
        design = design * (counts / counts.sum())[:, None]
        by_class = np.einsum("gk,kl,gc->klc", each, np.eye(k)[:, 1:], design)
        by_others = np.einsum("gk,gl,gc->klc", each, each[:, 1:], design)
        return np.asarray(by_class - by_others).reshape(k, (k - 1) * design.shape[1])


def _log_zero_sum(precision: FloatArray, odds: FloatArray) -> FloatArray:
    k, c = odds.shape[-2:]
    centred = odds - odds.mean(axis=-2, keepdims=True)
    quadratic = np.einsum("...ki,ij,...kj->...", centred, precision, centred)
    return np.asarray(0.5 * ((k - 1) * (np.linalg.slogdet(precision)[1] - c * LOG_2PI) - quadratic))
