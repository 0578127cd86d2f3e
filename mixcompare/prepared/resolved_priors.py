"""The specification's priors as numbers for one panel: data that backends share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import SpecificationError
from mixcompare.model.capabilities import require
from mixcompare.model.covariances import STRUCTURES
from mixcompare.model.families import family
from mixcompare.model.priors import ByCovariate
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedPriors:
    """Priors in the outcomes' and covariates' own units.

    Attributes
    ----------
    concentration
        weights ~ Dirichlet(concentration, ..., concentration), without membership covariates.
    membership_precision
        (c, c) P, with membership covariates: the classes' coefficients a_k, less their mean
        over the classes, have a density proportional to ``exp(-sum_k a_k' P a_k / 2)``. None
        without.
    coefficient_mean, coefficient_sd
        (p, m): each coefficient ~ Normal(mean, sd), independent and alike in all classes.
    covariance_df, covariance_scale
        nu0 and the (m, m) matrix Psi0. Full: Sigma ~ Inverse-Wishart(nu0, Psi0).
        Diagonal: each variance ~ Inverse-Gamma(nu0 / 2, Psi0[j, j] / 2). Spherical: the
        variance ~ Inverse-Gamma(nu0 / 2, mean of Psi0's diagonal / 2). NaN and (0, 0) where
        the family has no covariance.
    """

    concentration: float
    membership_precision: FloatArray | None
    coefficient_mean: FloatArray
    coefficient_sd: FloatArray
    covariance_df: float
    covariance_scale: FloatArray


def resolve_priors(spec: MixtureSpec, prepared: Prepared) -> ResolvedPriors:
    """Scale the default priors to the data and apply the specification's own values.

    Defaults: concentration 2; coefficients Normal(0, 2.5 sd(y) / sd(x)) for slopes and
    Normal(mean(y) / c, 2.5 sd(y) / c) for a covariate that is constant at c (c = 1 for
    the intercept); nu0 = m + 2 and Psi0 = the pooled fit's residual covariance over
    K^(2/m) (Fraley & Raftery 2007, section 2.2). Means and standard deviations are those
    of the rows after absorption. With a link that is not the identity outcomes have mean m and
    sd 1 instead, m the logarithm of their mean for a logarithm and 0 for others.

    Raises
    ------
    SpecificationError
        If a prior names an unknown covariate or outcome, has another shape, or is of a
        covariance that the family does not have.
    """
    mean, sd = _default_coefficients(prepared, *_linear_predictor(spec, prepared))
    degrees, scale = _covariance_prior(spec, prepared)
    return ResolvedPriors(
        concentration=spec.priors.concentration,
        membership_precision=_membership_precision(spec, prepared),
        coefficient_mean=_override(mean, spec.priors.coefficient_mean, prepared),
        coefficient_sd=_override(sd, spec.priors.coefficient_sd, prepared),
        covariance_df=degrees,
        covariance_scale=scale,
    )


def explicit_priors(spec: MixtureSpec, prepared: Prepared) -> MixtureSpec:
    """The specification with its priors as numbers, so that other data do not move them.

    Defaults are scaled to the data; a fit to other data, such as those without one unit or
    simulated ones, would have another prior. Only that of membership covariates remains
    scaled, to the units' covariates.
    """
    priors = resolve_priors(spec, prepared)
    joint = bool(priors.covariance_scale.size)
    scale = tuple(tuple(map(float, row)) for row in priors.covariance_scale)
    stated = replace(
        spec.priors,
        coefficient_mean=_named(priors.coefficient_mean, prepared),
        coefficient_sd=_named(priors.coefficient_sd, prepared),
        covariance_df=priors.covariance_df if joint else None,
        covariance_scale=scale if joint else None,
    )
    return replace(spec, priors=stated)


def _named(values: FloatArray, prepared: Prepared) -> dict[str, dict[str, float]]:
    return {
        covariate: dict(zip(prepared.outcome_names, map(float, row), strict=True))
        for covariate, row in zip(prepared.covariate_names, values, strict=True)
    }


def membership_scaling(prepared: Prepared) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations (c,) by which membership covariates are standardised.

    A constant has mean 0 and spread 1; without one nothing is centred, because only a
    constant can take up the shift.
    """
    assert prepared.concomitants is not None
    values, counts = prepared.concomitants, prepared.replicated
    mean = np.average(values, axis=0, weights=counts)
    spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=counts))
    constant = spread <= 1e-12 * np.abs(mean)
    centre = np.where(constant, 0.0, mean) if constant.any() else np.zeros_like(mean)
    return centre, np.where(constant, np.where(mean != 0, np.abs(mean), 1.0), spread)


def _membership_precision(spec: MixtureSpec, prepared: Prepared) -> FloatArray | None:
    """Precision in the covariates' own units of coefficients that are standard in theirs."""
    if prepared.concomitants is None:
        return None
    centre, spread = membership_scaling(prepared)
    to_standard = np.diag(spread)
    constant = np.flatnonzero((centre == 0) & (np.ptp(prepared.concomitants, axis=0) == 0))
    if constant.size:
        # w'a = (constant's share + centre'a) + ((w - centre) / spread)' (spread a)
        to_standard[constant[0]] += centre
    return np.asarray(to_standard.T @ to_standard) / spec.priors.membership_sd**2


def _linear_predictor(spec: MixtureSpec, prepared: Prepared) -> tuple[FloatArray, FloatArray]:
    """(m,) where the linear predictor of each outcome lies about, and how far it spreads."""
    p, response = prepared.n_covariates, spec.response
    mean_y, sd_y = prepared.column_mean[p:], prepared.column_sd[p:]
    link = response.link or family(response.family).links[0]
    if link == "identity":
        return mean_y, sd_y
    if link == "log":
        # Of outcomes that are all zero the logarithm says nothing.
        return np.log(np.where(mean_y > 0, mean_y, 1.0)), np.ones_like(sd_y)
    return np.zeros_like(mean_y), np.ones_like(sd_y)


def _default_coefficients(
    prepared: Prepared, mean_y: FloatArray, sd_y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    p = prepared.n_covariates
    mean_x, sd_x = prepared.column_mean[:p], prepared.column_sd[:p]
    constant = (sd_x <= 1e-12 * np.abs(mean_x)) & (mean_x != 0)
    unit = np.where(constant, mean_x, np.where(sd_x > 0, sd_x, 1.0))
    mean = np.where(constant[:, None], mean_y / unit[:, None], 0.0)
    return mean, 2.5 * sd_y / np.abs(unit)[:, None]


def _override(default: FloatArray, value: ByCovariate | object, prepared: Prepared) -> FloatArray:
    if value is None:
        return default
    if not isinstance(value, tuple):
        return np.full(default.shape, float(cast("float", value)))
    result = default.copy()
    for covariate, entry in value:
        i = _position(covariate, prepared.covariate_names, "covariate")
        if not isinstance(entry, tuple):
            result[i] = entry
            continue
        for outcome, number in entry:
            result[i, _position(outcome, prepared.outcome_names, "outcome")] = number
    return result


def _position(name: str, names: tuple[str, ...], kind: str) -> int:
    if name not in names:
        raise SpecificationError(
            f"a prior names the {kind} {name!r}, which the model does not have; it has: "
            f"{', '.join(names)}."
        )
    return names.index(name)


def _covariance_prior(spec: MixtureSpec, prepared: Prepared) -> tuple[float, FloatArray]:
    """Degrees of freedom and (m, m) scale."""
    m, degrees = prepared.n_outcomes, spec.priors.covariance_df
    require(spec, "a covariance's prior")
    if not family(spec.response.family).joint:
        return float("nan"), np.empty((0, 0))
    lowest = STRUCTURES[spec.covariance].lowest_degrees(m)
    if degrees is not None and degrees <= lowest:
        raise SpecificationError(
            f"prior covariance_df must be above {lowest} for {m} outcome(s), not {degrees}."
        )
    return float(m + 2) if degrees is None else degrees, _covariance_scale(spec, prepared)


def _covariance_scale(spec: MixtureSpec, prepared: Prepared) -> FloatArray:
    m, value = prepared.n_outcomes, spec.priors.covariance_scale
    if value is None:
        shrink = float(spec.n_components ** (2 / m))
        return np.asarray(_pooled_residual_covariance(prepared) / shrink)
    if not isinstance(value, tuple):
        return np.asarray(value * np.eye(m))
    if len(value) != m:
        raise SpecificationError(
            f"prior covariance_scale is {len(value)} x {len(value)}; the model has {m} outcome(s)."
        )
    return np.asarray(value, dtype=np.float64)


def _pooled_residual_covariance(prepared: Prepared) -> FloatArray:
    p = prepared.n_covariates
    residual = np.linalg.qr(prepared.pooled_rows, mode="r")[p:, p:]
    return np.asarray(residual.T @ residual) / prepared.total_degrees_of_freedom
