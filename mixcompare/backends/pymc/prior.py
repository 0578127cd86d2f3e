"""Log-density of the prior of draws, in the parameters themselves, with all constants.

The sampler's density is that of its own coordinates. What power-scaling, a posterior mode
and EM's objective need is the density of weights, coefficients and covariances (the lower
triangle of each), without any Jacobian. What classes share counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.special import gammaln, xlogy

from mixcompare.backends.pymc.covariances import log_covariance_prior
from mixcompare.backends.pymc.mixture import Mixture
from mixcompare.base.arrays import FloatArray

_LOG_2PI: Final = float(np.log(2 * np.pi))


def log_prior(
    mixture: Mixture,
    variables: Mapping[str, FloatArray],
    parameters: Mapping[str, FloatArray],
) -> dict[str, FloatArray]:
    """Log prior densities of S draws, by parameter array.

    Parameters
    ----------
    variables
        The model's free variables, (S, ...) each.
    parameters
        The same draws in original units, see `mixcompare.backends.pymc.evaluate.Evaluation`.

    Returns
    -------
    (S,) for ``weights`` or ``membership_coefficients``, ``coefficients`` and ``covariance``.
    For membership the density is that of zero-sum coefficients, in orthonormal coordinates.
    """
    if mixture.membership is None:
        classes = {"weights": _weights(mixture, parameters["weights"])}
    else:
        shape = (len(parameters["weights"]), 0, mixture.structure.n_concomitants)
        contrasts = variables.get("membership", np.zeros(shape))
        classes = {"membership_coefficients": _membership(mixture, contrasts)}
    return {
        **classes,
        "coefficients": _coefficients(mixture, parameters["coefficients"]),
        "covariance": log_covariance_prior(
            mixture.structure.covariance,
            mixture.priors.covariance_df,
            mixture.priors.covariance_scale,
            variables,
        ),
    }


def _weights(mixture: Mixture, weights: FloatArray) -> FloatArray:
    a, k = mixture.priors.concentration, weights.shape[-1]
    constant = gammaln(k * a) - k * gammaln(a)
    return np.asarray(constant + xlogy(a - 1, weights).sum(axis=-1))


def _membership(mixture: Mixture, contrasts: FloatArray) -> FloatArray:
    assert mixture.membership is not None
    _, log_unmix = np.linalg.slogdet(mixture.membership.unmix)
    _, log_spread = np.linalg.slogdet(mixture.membership.spread)
    standard = contrasts @ mixture.membership.spread.T
    each = -0.5 * (standard**2 + _LOG_2PI).sum(axis=-1) + log_spread - log_unmix
    return np.asarray(each.sum(axis=-1))


def _coefficients(mixture: Mixture, coefficients: FloatArray) -> FloatArray:
    priors, n_varying = mixture.priors, mixture.structure.n_varying
    standard = (coefficients - priors.coefficient_mean) / priors.coefficient_sd
    each = -0.5 * (standard**2 + _LOG_2PI) - np.log(priors.coefficient_sd)
    varying, common = np.split(mixture.panel.order, [n_varying])
    own = each[:, :, varying].sum(axis=(1, 2, 3))
    return np.asarray(own + each[:, 0, common].sum(axis=(1, 2)))
