"""The E-step and the M-step, as pure functions on standardised data.

The passes over the units are NumPy here, which is the reference, or compiled where the data
bring their own (`Standardised.compiled`); what is small is the same code for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import entr, logsumexp

from mixcompare.backends.em import membership, regression
from mixcompare.backends.em.moments import Moments
from mixcompare.backends.em.standardise import Parameters, Passes, Standardised
from mixcompare.backends.em.statistics import Counted, Statistics, residuals
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

_LOG_2PI = float(np.log(2 * np.pi))
# exp of less is denormal or nearly so, which slows every product that follows.
_LOG_ZERO = -600.0


class DegenerateComponentError(Exception):
    """A component has emptied or its covariance has collapsed."""


type Arrays = tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class EStep:
    """What an E-step finds, in raw units with all constants in.

    Attributes
    ----------
    evaluate
        Gives the arrays by unit, which are made when one of them is asked for.
    sums
        Q and the entropy, where they were summed along the way.
    unit_weights
        (G,) how often each unit counts in sums; None where all count once.
    moments
        All that the next M-step needs, where it was summed along the way.
    """

    evaluate: Callable[[], Arrays]
    sums: tuple[float, float] | None = None
    unit_weights: FloatArray | None = None
    moments: Moments | None = None

    @cached_property
    def _arrays(self) -> Arrays:
        return self.evaluate()

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
    def log_likelihood(self) -> float:
        """Sum over the units."""
        if self.moments is not None and self.sums is not None:
            return sum(self.sums)
        return self._total(self.unit_log_likelihood)

    @property
    def weighted_log_likelihood(self) -> FloatArray:
        """(G,) each unit's log-likelihood times its weight."""
        weights = self.unit_weights
        return self.unit_log_likelihood * (1.0 if weights is None else weights)

    @cached_property
    def expected_log_likelihood(self) -> float:
        """Q of these parameters at their own responsibilities."""
        if self.sums is not None:
            return self.sums[0]
        held = self.responsibilities > 0  # 0 times log 0
        return self._total((self.responsibilities * np.where(held, self.joint, 0.0)).sum(axis=1))

    @cached_property
    def entropy(self) -> float:
        """Entropy of the responsibilities; with Q it sums to the log-likelihood."""
        if self.sums is not None:
            return self.sums[1]
        return self._total(entr(self.responsibilities).sum(axis=1))

    def _total(self, by_unit: FloatArray) -> float:
        weights = self.unit_weights
        return float(by_unit.sum() if weights is None else weights @ by_unit)


def class_log_density(data: Standardised, parameters: Parameters) -> FloatArray:
    """(G, K) log-densities of the units given the class, in raw units.

    ``-1/2 [nu m log(2 pi) + nu log|Sigma| + tr(Sigma^-1 S)]`` with the residual
    cross-product S taken from triangular factors, never from differences of moments.
    """
    units, _, _, m = data.shape
    nu = data.degrees_of_freedom
    columns = []
    for b, sigma in zip(parameters.coefficients, parameters.covariance, strict=True):
        root = np.linalg.cholesky(sigma)
        flat = residuals(data, b).reshape(-1, m)
        scaled = solve_triangular(root, flat.T, lower=True, check_finite=False).T
        distance = np.square(scaled).reshape(units, -1).sum(axis=1)
        log_determinant = 2 * (np.log(np.diag(root)).sum() + data.log_scale)
        columns.append(-0.5 * (nu * (m * _LOG_2PI + log_determinant) + distance))
    return np.stack(columns, axis=1)


def e_step(data: Standardised, parameters: Parameters) -> EStep:
    """Posterior class probabilities and the log-likelihood, by log-sum-exp."""
    log_weights = log_class_weights(data, parameters)
    # The kernels' maximum over the classes would lose a NaN.
    if data.compiled is not None and np.isfinite(parameters.coefficients).all():
        return _compiled_e_step(data, data.compiled, parameters, log_weights)
    joint = log_weights + class_log_density(data, parameters)
    unit = logsumexp(joint, axis=1)
    log_responsibilities = joint - unit[:, None]
    kept = log_responsibilities > _LOG_ZERO
    responsibilities = np.exp(log_responsibilities, where=kept, out=np.zeros_like(joint))
    return EStep(lambda: (responsibilities, unit, joint), unit_weights=data.unit_weights)


def log_class_weights(data: Standardised, parameters: Parameters) -> FloatArray:
    """Log-probabilities of the classes, (K,) or, with membership covariates, (G, K)."""
    odds = parameters.membership_coefficients
    if odds is not None and data.concomitants is not None:
        return membership.log_class_probabilities(data.concomitants, odds)
    with np.errstate(divide="ignore"):  # a user's start may have a weight of zero
        return np.log(parameters.weights)


def _compiled_e_step(
    data: Standardised, compiled: Passes, parameters: Parameters, log_weights: FloatArray
) -> EStep:
    roots = np.linalg.cholesky(parameters.covariance)
    log_determinants = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    log_norms = log_determinants + (data.shape[-1] * _LOG_2PI + 2 * data.log_scale)
    arguments = (parameters.coefficients, roots, log_weights, log_norms)
    summed = compiled.moments(*arguments)
    if summed is not None:
        moments, sums = summed
        return EStep(lambda: compiled.e_step(*arguments)[:3], sums, data.unit_weights, moments)
    tau, unit, joint, sums = compiled.e_step(*arguments)
    counted = sums if data.unit_weights is None else None
    return EStep(lambda: (tau, unit, joint), counted, data.unit_weights)


def m_step(
    spec: MixtureSpec,
    data: Standardised,
    expected: FloatArray | EStep,
    previous: Parameters | None = None,
) -> Parameters:
    """Maximise the expected complete-data log-likelihood, and log-prior if there is one.

    Weighted least squares for the coefficients, then the weighted residual cross-product
    over the weighted degrees of freedom (McLachlan & Peel 2000, sections 3.2 and 5.5). With
    common coefficients or a prior the former depend on the covariances and are conditional
    on the previous ones (ECM; Meng & Rubin 1993).

    Parameters
    ----------
    expected
        Responsibilities (G, K), whose rows sum to one, or the E-step that finds them.
    previous
        The iterate that they come from, if there is one.

    Raises
    ------
    DegenerateComponentError
        If a component has too little data for its parameters or its covariance is
        singular up to rounding: the likelihood is unbounded in that direction.
    """
    statistics = _statistics(data, expected)
    mass = statistics.mass
    if data.prior is None:
        _check_mass(spec, data, mass)
    coefficients = _coefficients(data, statistics, previous)
    scatter = statistics.scatter(coefficients)
    if scatter is None:
        scatter = _counted(data, expected).scatter(coefficients)
    covariance = _covariances(spec, data, scatter, mass)
    if data.prior is None:
        _check_not_collapsed(spec, data, covariance)
    if data.concomitants is not None:
        counts = _counted(data, expected).counts
        odds = _membership(data, data.concomitants, counts, previous)
        return Parameters(data.average_weights(odds), coefficients, covariance, odds)
    return Parameters(_weights(data, statistics.units), coefficients, covariance)


def _statistics(data: Standardised, expected: FloatArray | EStep) -> Statistics:
    if isinstance(expected, EStep) and expected.moments is not None:
        return expected.moments
    return _counted(data, expected)


def _counted(data: Standardised, expected: FloatArray | EStep) -> Counted:
    tau = expected.responsibilities if isinstance(expected, EStep) else expected
    return Counted(data, data.weigh(tau))


def _check_mass(spec: MixtureSpec, data: Standardised, mass: FloatArray) -> None:
    """A component needs more rows than it has coefficients and dimensions to fit."""
    _, _, p, m = data.shape
    needed = p - data.n_common + (m if spec.covariance_by == "component" else 0)
    if mass.min() <= needed:
        k = int(mass.argmin())
        raise DegenerateComponentError(
            f"component {k + 1} has emptied to {mass[k]:.3g} rows, of which it needs over {needed}"
        )


def _check_not_collapsed(spec: MixtureSpec, data: Standardised, covariance: FloatArray) -> None:
    smallest = _smallest_variances(spec, covariance)
    if not np.all(smallest > data.noise_floor):
        k = int(smallest.argmin())
        raise DegenerateComponentError(
            f"the variance of component {k + 1} has collapsed to {smallest[k]:.1e} of the pooled "
            "fit's"
        )


def _weights(data: Standardised, units: FloatArray) -> FloatArray:
    added = 0.0 if data.prior is None else data.prior.units
    return (units + added) / (data.total_units + added * len(units))


def _membership(
    data: Standardised, concomitants: FloatArray, counts: FloatArray, previous: Parameters | None
) -> FloatArray:
    start = None if previous is None else previous.membership_coefficients
    if start is None:
        start = np.zeros((counts.shape[1], concomitants.shape[1]))
    precision = None if data.prior is None else data.prior.membership_precision
    return membership.maximise(concomitants, counts, start, precision)


def _coefficients(
    data: Standardised, statistics: Statistics, previous: Parameters | None
) -> FloatArray:
    gram, cross = statistics.normal_equations()
    try:
        if data.prior is None and data.n_common == 0:
            return regression.separate(gram, cross)
        covariance = None if previous is None else previous.covariance
        return regression.joint(gram, cross, covariance, data.n_common, data.prior)
    except regression.SingularRegressionError as error:
        raise DegenerateComponentError(
            "the rows of a component do not identify its coefficients"
        ) from error


def _smallest_variances(spec: MixtureSpec, covariance: FloatArray) -> FloatArray:
    """(K,) smallest eigenvalues."""
    if spec.covariance == "full" and covariance.shape[-1] > 1:
        return np.asarray(np.linalg.eigvalsh(covariance)[:, 0])
    return np.diagonal(covariance, axis1=1, axis2=2).min(axis=1)


def _covariances(
    spec: MixtureSpec, data: Standardised, scatter: FloatArray, mass: FloatArray
) -> FloatArray:
    """(K, m, m) covariances of the structure from cross-products (K, m, m)."""
    rows, added = (0.0, 0.0) if data.prior is None else (data.prior.rows, data.prior.scatter)
    if spec.covariance_by == "shared":
        pooled = (scatter.sum(axis=0) + added) / (mass.sum() + rows)
        covariance = np.broadcast_to(pooled, scatter.shape)
    else:
        covariance = (scatter + added) / (mass + rows)[:, None, None]
    identity = np.eye(scatter.shape[-1])
    if spec.covariance == "full":
        return np.array(covariance)
    if spec.covariance == "diagonal":
        return np.asarray(covariance * identity)
    variance = np.trace(covariance, axis1=1, axis2=2) / len(identity)
    return np.asarray(variance[:, None, None] * identity)
