"""The E-step, as a pure function on standardised data.

The pass over the units is NumPy here, which is the reference, or compiled where the data
bring their own (`Standardised.compiled`). Parameters may have axes in front, for starts that
run together; what is found has them too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import entr, logsumexp

from mixcompare.backends.em import membership
from mixcompare.backends.em.covariances import roots
from mixcompare.backends.em.moments import Moments
from mixcompare.backends.em.parameters import Index, Parameters
from mixcompare.backends.em.standardise import Standardised
from mixcompare.backends.em.statistics import residuals
from mixcompare.base.arrays import FloatArray, IntArray

_LOG_2PI = float(np.log(2 * np.pi))
# exp of less is denormal or nearly so, which slows every product that follows.
_LOG_ZERO = -600.0

type Arrays = tuple[FloatArray, FloatArray, FloatArray]
type Arguments = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class EStep:
    """What an E-step finds, in raw units with all constants in.

    All arrays may have the same further axes in front, for starts that run together; an
    index selects along these.

    Attributes
    ----------
    data, at
        The data and parameters that it is of.
    arrays
        By unit: responsibilities, log-likelihood and joint log-density; None if they are to
        be made when one of them is asked for.
    sums
        (3,) log-likelihood, Q and entropy, where they were summed along the way.
    moments
        All that the next M-step needs, where it was summed along the way.
    """

    data: Standardised
    at: Parameters
    arrays: Arrays | None = None
    sums: FloatArray | None = None
    moments: Moments | None = None

    def __getitem__(self, index: Index) -> EStep:
        return EStep(
            self.data.of(index),
            self.at[index],
            None if self.arrays is None else _selected(self.arrays, index),
            None if self.sums is None else self.sums[index],
            None if self.moments is None else self.moments[index],
        )

    def of_one(self, start: int) -> EStep:
        """One start's, which holds nothing of the others."""
        one = self[start]
        if one.arrays is None or len(self.at.weights) == 1:
            return one
        tau, unit, joint = (array.copy() for array in one.arrays)
        return replace(one, arrays=(tau, unit, joint))

    def with_rows(self, rows: IntArray, others: EStep) -> EStep:
        """The same E-steps, of which others take the place of some; takes over the arrays."""
        for own, new in zip(self.arrays or (), others.arrays or (), strict=True):
            own[rows] = new
        sums, moments = self.sums, self.moments
        if sums is not None:
            sums = sums.copy()
            sums[rows] = others.sums
        if moments is not None and others.moments is not None:
            moments = moments.with_rows(rows, others.moments)
        return EStep(self.data, self.at.with_rows(rows, others.at), self.arrays, sums, moments)

    @cached_property
    def _arrays(self) -> Arrays:
        return self.arrays or _arrays(self.data, self.at)

    @property
    def responsibilities(self) -> FloatArray:
        """(G, K) posterior class probabilities tau."""
        return self._arrays[0]

    @property
    def unit_log_likelihood(self) -> FloatArray:
        """(G,) log-likelihoods."""
        return self._arrays[1]

    @property
    def joint(self) -> FloatArray:
        """(G, K) ``log pi_k + log f_k(unit g)``."""
        return self._arrays[2]

    @cached_property
    def log_likelihood(self) -> FloatArray:
        """Sum over the units."""
        if self.sums is not None:
            return self.sums[..., 0]
        return self._total(self.unit_log_likelihood)

    @property
    def weighted_log_likelihood(self) -> FloatArray:
        """(G,) each unit's log-likelihood times its weight."""
        weights = self.data.unit_weights
        return self.unit_log_likelihood * (1.0 if weights is None else weights)

    @cached_property
    def expected_log_likelihood(self) -> FloatArray:
        """Q of these parameters at their own responsibilities."""
        if self.sums is not None:
            return self.sums[..., 1]
        held = self.responsibilities > 0  # 0 times log 0
        return self._total((self.responsibilities * np.where(held, self.joint, 0.0)).sum(axis=-1))

    @cached_property
    def entropy(self) -> FloatArray:
        """Entropy of the responsibilities; with Q it sums to the log-likelihood."""
        if self.sums is not None:
            return self.sums[..., 2]
        return self._total(entr(self.responsibilities).sum(axis=-1))

    def _total(self, by_unit: FloatArray) -> FloatArray:
        weights = self.data.unit_weights
        total: FloatArray = (by_unit if weights is None else by_unit * weights).sum(axis=-1)
        return total


def class_log_density(data: Standardised, parameters: Parameters) -> FloatArray:
    """(..., G, K) log-densities of the units given the class, in raw units.

    ``-1/2 [nu m log(2 pi) + nu log|Sigma| + tr(Sigma^-1 S)]`` with the residual
    cross-product S taken from triangular factors, never from differences of moments. NaN where
    Sigma is singular up to rounding.
    """
    units, _, p, m = data.shape
    nu = data.degrees_of_freedom
    every = zip(
        parameters.coefficients.reshape(-1, p, m),
        parameters.covariance.reshape(-1, m, m),
        strict=True,
    )
    columns = []
    for b, sigma in every:
        root = roots(sigma)
        flat = residuals(data, b).reshape(-1, m)
        scaled = solve_triangular(root, flat.T, lower=True, check_finite=False).T
        distance = np.square(scaled).reshape(units, -1).sum(axis=1)
        log_determinant = 2 * (np.log(np.diag(root)).sum() + data.log_scale)
        columns.append(-0.5 * (nu * (m * _LOG_2PI + log_determinant) + distance))
    return np.stack(columns).reshape(*parameters.coefficients.shape[:-2], units).mT


def e_step(data: Standardised, parameters: Parameters) -> EStep:
    """Posterior class probabilities and the log-likelihood, by log-sum-exp."""
    passes, arguments = data.compiled, _arguments(data, parameters)
    if passes is None or arguments is None:
        return EStep(data, parameters, _reference(data, parameters))
    summed = passes.moments(*arguments, data.unit_weights)
    if summed is not None:
        moments, sums = summed
        return EStep(data, parameters, None, sums, moments)
    *arrays, sums = passes.e_step(*arguments)
    tau, unit, joint = arrays
    counted = sums if data.unit_weights is None else None
    return EStep(data, parameters, (tau, unit, joint), counted)


def responsibilities_at(data: Standardised, parameters: Parameters) -> FloatArray:
    """(..., G, K) posterior class probabilities alone, as `e_step` finds them."""
    passes, arguments = data.compiled, _arguments(data, parameters)
    if passes is None or arguments is None:
        return _reference(data, parameters)[0]
    return passes.responsibilities(*arguments)


def log_class_weights(data: Standardised, parameters: Parameters) -> FloatArray:
    """Log-probabilities of the classes, (..., 1, K) or, with unit covariates, (..., G, K)."""
    odds = parameters.membership_coefficients
    if odds is not None and data.concomitants is not None:
        return membership.log_class_probabilities(data.concomitants, odds)
    with np.errstate(divide="ignore"):  # a user's start may have a weight of zero
        return np.log(parameters.weights)[..., None, :]


def _selected(arrays: Arrays, index: Index) -> Arrays:
    tau, unit, joint = arrays
    return tau[index], unit[index], joint[index]


def _arrays(data: Standardised, parameters: Parameters) -> Arrays:
    passes, arguments = data.compiled, _arguments(data, parameters)
    if passes is None or arguments is None:
        return _reference(data, parameters)
    return passes.e_step(*arguments)[:3]


def _reference(data: Standardised, parameters: Parameters) -> Arrays:
    joint = log_class_weights(data, parameters) + class_log_density(data, parameters)
    unit = np.asarray(logsumexp(joint, axis=-1))
    log_responsibilities = joint - unit[..., None]
    kept = log_responsibilities > _LOG_ZERO
    return np.exp(log_responsibilities, where=kept, out=np.zeros_like(joint)), unit, joint


def _arguments(data: Standardised, parameters: Parameters) -> Arguments | None:
    """What compiled passes take: coefficients, roots, log-weights and log-norms.

    None without such passes, and where something is NaN, which the kernels' maximum over the
    classes would lose.
    """
    if data.compiled is None or not np.isfinite(parameters.coefficients.sum()):
        return None
    if data.shape[-1] == 1:  # as `else`, without its cost
        lower = np.sqrt(parameters.covariance)
        log_determinants = np.log(parameters.covariance[..., 0, 0])
    else:
        lower = roots(parameters.covariance)
        if np.isnan(lower.ravel()[0]):
            return None
        log_determinants = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
    log_norms = log_determinants + (data.shape[-1] * _LOG_2PI + 2 * data.log_scale)
    return parameters.coefficients, lower, log_class_weights(data, parameters), log_norms
