"""Estimates of both backends side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import convergence, summarise_estimate, summarise_posterior
from mixcompare.model.covariances import STRUCTURES
from mixcompare.model.layout import flatten
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.resolved_priors import ResolvedPriors


def estimates_table(em: Fit, raw: xr.Dataset, aligned: xr.Dataset) -> pd.DataFrame:
    """One row per parameter, EM's columns first.

    Parameters
    ----------
    raw, aligned
        The posterior as sampled and with components renumbered to match EM's.

    Returns
    -------
    em_estimate, em_se, em_lower, em_upper (95 %), em_sandwich_se (NaN where units have one row
    each), posterior_mean, posterior_median,
    posterior_sd, posterior_lower, posterior_upper (95 % equal-tailed), difference
    (posterior mean less EM's estimate, in posterior sds), r_hat and ess_bulk before
    (``_raw``) and after alignment, ess_tail after it.
    """
    parameters = em.parameters
    estimate, robust = em.layout.flatten(em.estimate), em.sandwich_se
    left = summarise_estimate(parameters, estimate, em.errors.each).add_prefix("em_")
    left["em_sandwich_se"] = np.nan if robust is None else robust
    right = summarise_posterior(parameters, flatten(aligned, parameters))
    before = convergence(flatten(raw, parameters))
    named = right.rename(columns={c: f"posterior_{c}" for c in _POSTERIOR})
    with np.errstate(divide="ignore", invalid="ignore"):  # K = 1: the weight has no spread
        difference = (right["mean"].to_numpy() - estimate) / right["sd"].to_numpy()
    difference[np.isclose(right["mean"], estimate, rtol=1e-12, atol=0)] = 0.0
    return pd.concat([left, named[[f"posterior_{c}" for c in _POSTERIOR]]], axis=1).assign(
        difference=difference,
        r_hat_raw=before["r_hat"],
        r_hat=right["r_hat"],
        ess_bulk_raw=before["ess_bulk"],
        ess_bulk=right["ess_bulk"],
        ess_tail=right["ess_tail"],
    )


_POSTERIOR = ["mean", "median", "sd", "lower", "upper"]


def predicted_shift(em: Fit, priors: ResolvedPriors) -> FloatArray:
    """Move that the prior alone should cause: ``(I + L)^-1 grad log p(theta)``.

    One Newton step from the maximum of the likelihood to the mode of the posterior, with
    I the observed information and L the curvature of the log-prior of weights, membership
    and coefficients (that of covariances, which need not be positive, is left out), all at
    EM's estimate (Gelman et al. 2013, section 4.1).

    Returns
    -------
    (P,) moves in the parameters' own units; NaN where EM has no standard errors.
    """
    parameters = em.parameters
    gradient = _log_prior_gradient(em.spec, priors, em)
    slope = np.array([sum(gradient[p.variable][i] for i in p.positions) for p in parameters])
    inverse = em.errors.inverse_information
    error = np.sqrt(np.diag(inverse))
    if not np.all(np.isfinite(error)):
        return np.full(len(error), np.nan)
    # In standard errors, in which a year beside its square is no worse than other columns;
    # V (1 + L V)^-1 is the same as (I + L)^-1 and lets V be singular, as weights make it.
    size = np.where(error > 0, error, 1.0)
    correlation = inverse / np.outer(size, size)
    bent = _log_prior_curvature(priors, em) * np.outer(size, size)
    step = np.linalg.solve(np.eye(len(size)) + bent @ correlation, size * slope)
    return np.asarray(size * (correlation @ step))


def _log_prior_curvature(priors: ResolvedPriors, em: Fit) -> FloatArray:
    """(P, P) minus the second derivatives, never negative."""
    parameters = em.parameters
    by_element = {
        "weights": _weights_slope(em, priors) / em.weights.to_numpy(),
        "membership_coefficients": np.zeros((em.spec.n_components, len(em.concomitant_names))),
        "coefficients": np.broadcast_to(1 / priors.coefficient_sd**2, em.coefficients.shape),
        "covariance": np.zeros(em.covariance.shape),
    }
    diagonal = [max(by_element[p.variable][p.position], 0.0) for p in parameters]
    curvature = np.diag(diagonal)
    if priors.membership_precision is not None:
        membership = [
            i for i, p in enumerate(parameters) if p.variable == "membership_coefficients"
        ]
        k = em.spec.n_components
        # Coefficients less their mean over the classes, of which the first's are zero.
        centred = (np.eye(k) - 1 / k)[1:, 1:]
        curvature[np.ix_(membership, membership)] = np.kron(centred, priors.membership_precision)
    return curvature


def _log_prior_gradient(
    spec: MixtureSpec, priors: ResolvedPriors, em: Fit
) -> dict[str, FloatArray]:
    """Derivatives by every element of the arrays; what classes share counts once."""
    b, sigma = em.coefficients.to_numpy(), em.covariance.to_numpy()
    covariance = STRUCTURES[spec.covariance].log_prior_gradient(
        priors.covariance_df, priors.covariance_scale, sigma
    )
    if spec.covariance_by == "shared":
        covariance[1:] = 0.0
    coefficients = (priors.coefficient_mean - b) / priors.coefficient_sd**2
    coefficients[1:, np.isin(em.covariate_names, em.common_names)] = 0.0
    gradient = {
        "weights": _weights_slope(em, priors),
        "coefficients": coefficients,
        "covariance": covariance,
    }
    if priors.membership_precision is not None:
        odds = em.estimate["membership_coefficients"]
        centred = odds - odds.mean(axis=0)
        gradient["membership_coefficients"] = -centred @ priors.membership_precision
    return gradient


def _weights_slope(em: Fit, priors: ResolvedPriors) -> FloatArray:
    """Derivative by the weights, which have no prior of their own beside unit covariates."""
    if priors.membership_precision is not None:
        return np.zeros(em.spec.n_components)
    return np.asarray((priors.concentration - 1) / em.weights.to_numpy())
