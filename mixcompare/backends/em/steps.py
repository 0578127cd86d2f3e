"""The E-step and the M-step, as pure functions on standardised data.

The passes over the units are NumPy here, which is the reference, or compiled where the data
bring their own (`Standardised.compiled`); what is small is the same code for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dposv
from scipy.special import entr, logsumexp

from mixcompare.backends.em.standardise import Parameters, Passes, Standardised
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

_LOG_2PI = float(np.log(2 * np.pi))
# exp of less is denormal or nearly so, which slows every product that follows.
_LOG_ZERO = -600.0


class DegenerateComponentError(Exception):
    """A component has emptied or its covariance has collapsed."""


@dataclass(frozen=True, eq=False)
class EStep:
    """What an E-step finds, in raw units with all constants in.

    Attributes
    ----------
    responsibilities
        (G, K) posterior class probabilities tau.
    unit_log_likelihood
        (G,).
    joint
        (G, K) ``log pi_k + log f_k(unit g)``.
    sums
        Q and the entropy, where they were summed along the way.
    """

    responsibilities: FloatArray
    unit_log_likelihood: FloatArray
    joint: FloatArray
    sums: tuple[float, float] | None = None

    @cached_property
    def log_likelihood(self) -> float:
        """Sum over the units."""
        return float(self.unit_log_likelihood.sum())

    @cached_property
    def expected_log_likelihood(self) -> float:
        """Q of these parameters at their own responsibilities."""
        if self.sums is not None:
            return self.sums[0]
        held = self.responsibilities > 0  # 0 times log 0
        return float((self.responsibilities * np.where(held, self.joint, 0.0)).sum())

    @cached_property
    def entropy(self) -> float:
        """Entropy of the responsibilities; with Q it sums to the log-likelihood."""
        return float(entr(self.responsibilities).sum()) if self.sums is None else self.sums[1]


def residuals(data: Standardised, coefficients: FloatArray) -> FloatArray:
    """(G, r, m) residuals of one component's coefficients (p, m)."""
    return data.outcomes - data.covariates @ coefficients


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
    with np.errstate(divide="ignore"):  # a user's start may have a weight of zero
        log_weights = np.log(parameters.weights)
    # The kernels' maximum over the classes would lose a NaN.
    if data.compiled is not None and np.isfinite(parameters.coefficients).all():
        return _compiled_e_step(data, data.compiled, parameters, log_weights)
    joint = log_weights + class_log_density(data, parameters)
    unit = logsumexp(joint, axis=1)
    log_responsibilities = joint - unit[:, None]
    kept = log_responsibilities > _LOG_ZERO
    responsibilities = np.exp(log_responsibilities, where=kept, out=np.zeros_like(joint))
    return EStep(responsibilities, unit, joint)


def _compiled_e_step(
    data: Standardised, compiled: Passes, parameters: Parameters, log_weights: FloatArray
) -> EStep:
    roots = np.linalg.cholesky(parameters.covariance)
    log_determinants = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    log_norms = log_determinants + (data.shape[-1] * _LOG_2PI + 2 * data.log_scale)
    return EStep(*compiled.e_step(parameters.coefficients, roots, log_weights, log_norms))


def m_step(spec: MixtureSpec, data: Standardised, responsibilities: FloatArray) -> Parameters:
    """Maximise the expected complete-data log-likelihood, in closed form.

    Weighted least squares for each component's coefficients (all outcomes share the
    covariates, so that the covariance plays no part), then the weighted residual
    cross-product over the weighted degrees of freedom (McLachlan & Peel 2000, sections
    3.2 and 5.5).

    Parameters
    ----------
    responsibilities
        (G, K), rows sum to one.

    Raises
    ------
    DegenerateComponentError
        If a component has too little data for its parameters or its covariance is
        singular up to rounding: the likelihood is unbounded in that direction.
    """
    mass = data.degrees_of_freedom @ responsibilities
    _check_mass(spec, data, mass)
    regressions = _weighted_regressions if data.compiled is None else _compiled_regressions
    coefficients, scatter = regressions(data, responsibilities)
    covariance = _covariances(spec, scatter, mass)
    smallest = _smallest_variances(spec, covariance)
    if smallest.min() <= data.noise_floor:
        k = int(smallest.argmin())
        raise DegenerateComponentError(
            f"the variance of component {k + 1} has collapsed to {smallest[k]:.1e} of the pooled "
            "fit's"
        )
    return Parameters(responsibilities.mean(axis=0), coefficients, covariance)


def _check_mass(spec: MixtureSpec, data: Standardised, mass: FloatArray) -> None:
    """A component needs more rows than it has coefficients and dimensions to fit."""
    _, _, p, m = data.shape
    needed = p + (m if spec.covariance_by == "component" else 0)
    if mass.min() <= needed:
        k = int(mass.argmin())
        raise DegenerateComponentError(
            f"component {k + 1} has emptied to {mass[k]:.3g} rows, of which it needs over {needed}"
        )


def _weighted_regressions(
    data: Standardised, responsibilities: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (K, p, m) and the weighted residual cross-products (K, m, m)."""
    _, _, p, m = data.shape
    coefficients, scatter = [], []
    for tau in responsibilities.T:
        root = np.sqrt(tau)[:, None, None]
        x = (data.covariates * root).reshape(-1, p)
        y = (data.outcomes * root).reshape(-1, m)
        b = _solve(x.T @ x, x.T @ y)
        rest = y - x @ b
        coefficients.append(b)
        scatter.append(rest.T @ rest)
    return np.stack(coefficients), np.stack(scatter)


def _compiled_regressions(
    data: Standardised, responsibilities: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The same; the residuals are those of the new coefficients, so nothing cancels."""
    assert data.compiled is not None
    gram, cross = data.compiled.normal_equations(responsibilities)
    coefficients = np.stack([_solve(g, c) for g, c in zip(gram, cross, strict=True)])
    return coefficients, data.compiled.scatter(coefficients, responsibilities)


def _solve(gram: FloatArray, cross: FloatArray) -> FloatArray:
    # LAPACK itself: scipy's checks take longer than so small a system.
    _, coefficients, info = dposv(gram, cross, lower=1)
    if info > 0:
        raise DegenerateComponentError("the rows of a component do not identify its coefficients")
    return np.ascontiguousarray(coefficients)


def _smallest_variances(spec: MixtureSpec, covariance: FloatArray) -> FloatArray:
    """(K,) smallest eigenvalues."""
    if spec.covariance == "full" and covariance.shape[-1] > 1:
        return np.asarray(np.linalg.eigvalsh(covariance)[:, 0])
    return np.diagonal(covariance, axis1=1, axis2=2).min(axis=1)


def _covariances(spec: MixtureSpec, scatter: FloatArray, mass: FloatArray) -> FloatArray:
    """(K, m, m) covariances of the structure from cross-products (K, m, m)."""
    if spec.covariance_by == "shared":
        pooled = scatter.sum(axis=0) / mass.sum()
        covariance = np.broadcast_to(pooled, scatter.shape)
    else:
        covariance = scatter / mass[:, None, None]
    identity = np.eye(scatter.shape[-1])
    if spec.covariance == "full":
        return np.array(covariance)
    if spec.covariance == "diagonal":
        return np.asarray(covariance * identity)
    variance = np.trace(covariance, axis1=1, axis2=2) / len(identity)
    return np.asarray(variance[:, None, None] * identity)
