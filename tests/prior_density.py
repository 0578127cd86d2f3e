"""The prior's density of many draws by SciPy's distributions, array by array."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import dirichlet, invgamma, invwishart, norm

import mixcompare as mc
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import ResolvedPriors, resolve_priors


def log_prior_by_array(
    spec: mc.MixtureSpec, prepared: PreparedPanel, arrays: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Log densities (C, S) of the arrays of a posterior's draws; what classes share counts once."""
    priors = resolve_priors(spec, prepared)
    weights, b = arrays["weights"], arrays["coefficients"]
    each = np.asarray(norm(priors.coefficient_mean, priors.coefficient_sd).logpdf(b))
    common = np.isin(prepared.covariate_names, prepared.common_names)
    found = {
        "coefficients": each[:, :, :, ~common].sum((2, 3, 4)) + each[:, :, 0, common].sum((2, 3)),
        "covariance": _covariance(spec, priors, arrays["covariance"]),
    }
    if "membership_coefficients" in arrays:
        precision = priors.membership_precision
        assert precision is not None
        odds = arrays["membership_coefficients"]
        centred = odds - odds.mean(axis=2, keepdims=True)
        quadratic = np.einsum("xski,ij,xskj->xs", centred, precision, centred)
        return {"membership_coefficients": -0.5 * quadratic, **found}
    law = dirichlet(np.full(spec.n_components, priors.concentration))
    flat = weights.reshape(-1, spec.n_components)
    return {"weights": np.asarray(law.logpdf(flat.T)).reshape(weights.shape[:2]), **found}


def _covariance(spec: mc.MixtureSpec, priors: ResolvedPriors, covariance: FloatArray) -> FloatArray:
    nu, psi = priors.covariance_df, priors.covariance_scale
    distinct = covariance if spec.covariance_by == "component" else covariance[:, :, :1]
    variances = np.diagonal(distinct, axis1=-2, axis2=-1)
    if spec.covariance == "spherical":
        scale = np.diag(psi).mean() / 2
        return np.asarray(invgamma(nu / 2, scale=scale).logpdf(variances[..., 0]).sum(axis=-1))
    if spec.covariance == "diagonal" or len(psi) == 1:
        law = invgamma(nu / 2, scale=np.diag(psi) / 2)
        return np.asarray(law.logpdf(variances).sum(axis=(-2, -1)))
    flat = np.moveaxis(distinct.reshape(-1, *psi.shape), 0, -1)
    each = np.asarray(invwishart(nu, psi).logpdf(flat))
    return np.asarray(each.reshape(distinct.shape[:3]).sum(axis=-1))
