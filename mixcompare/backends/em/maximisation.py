"""The M-step, as a pure function on standardised data.

Sums over the units are those of `statistics` or of `moments`; what is small is done here.
"""

from __future__ import annotations

import numpy as np

from mixcompare.backends.em import membership, regression
from mixcompare.backends.em.covariances import structured
from mixcompare.backends.em.degeneracy import is_regular, why_singular
from mixcompare.backends.em.expectation import EStep
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised
from mixcompare.backends.em.statistics import Counted, Statistics
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import has_covariances
from mixcompare.model.spec import MixtureSpec


class DegenerateComponentError(Exception):
    """A component has emptied or its covariance has collapsed."""


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
    before = None if previous is None else previous[None]
    parameters, [reason] = m_steps(spec, data, expected[None], before)
    if reason:
        raise DegenerateComponentError(reason)
    return parameters[0]


def m_steps(
    spec: MixtureSpec,
    data: Standardised,
    expected: FloatArray | EStep,
    previous: Parameters | None = None,
) -> tuple[Parameters, list[str]]:
    """The M-step of S starts together, see `m_step`; all arrays have an axis in front.

    Returns
    -------
    parameters
        Of all S, meaningless for those that are degenerate.
    reasons
        Why a start is degenerate; empty if it is not.
    """
    statistics = _statistics(data, expected)
    units, mass = statistics.units, statistics.mass
    reasons = [""] * len(mass)
    if data.prior is None:
        _note_empty(spec, data, mass, reasons)
    coefficients = _coefficients(data, statistics, previous)
    _note_unidentified(coefficients, reasons)
    if any(reasons):
        lost = np.array([bool(reason) for reason in reasons])
        coefficients[lost], mass = 0.0, np.where(lost[:, None], 1.0, mass)
    scatter, cancelled = statistics.scatter(coefficients)
    if cancelled is not None:
        counted = _counted(data.of(cancelled), expected[cancelled])
        scatter[cancelled] = counted.scatter(coefficients[cancelled])[0]
    covariance = _covariances(spec, data, scatter, mass)
    _note_collapsed(data, coefficients, covariance, reasons)
    if data.concomitants is None:
        return Parameters(_weights(data, units), coefficients, covariance), reasons
    odds = _membership(data, data.concomitants, _counted(data, expected).counts, previous)
    return Parameters(data.average_weights(odds), coefficients, covariance, odds), reasons


def _statistics(data: Standardised, expected: FloatArray | EStep) -> Statistics:
    if isinstance(expected, EStep) and expected.moments is not None:
        return expected.moments
    return _counted(data, expected)


def _counted(data: Standardised, expected: FloatArray | EStep) -> Counted:
    tau = expected.responsibilities if isinstance(expected, EStep) else expected
    return Counted(data, data.weigh(tau))


def _note_empty(
    spec: MixtureSpec, data: Standardised, mass: FloatArray, reasons: list[str]
) -> None:
    """A component needs more rows than it has coefficients and variances to fit."""
    _, _, p, m = data.shape
    needed = p - data.n_common
    if spec.covariance_by == "component":
        needed += m if has_covariances(spec.covariance) else 1
    rows = mass
    if data.unit_weights is not None:
        # Weights that sum to less than the units that have any say how much these count.
        counting = (data.unit_weights > 0).sum(axis=-1)
        scale = np.maximum(counting / data.total_units, 1.0)
        rows = mass * np.broadcast_to(scale[..., None], (len(mass), 1))
    if (enough := rows > needed).all():
        return
    for i in np.flatnonzero(~enough.all(axis=1)):
        k = int(rows[i].argmin())
        reasons[i] = (
            f"component {k + 1} has emptied to {rows[i, k]:.3g} rows, of which it needs over "
            f"{needed}"
        )


def _note_unidentified(coefficients: FloatArray, reasons: list[str]) -> None:
    if not np.isnan(coefficients.sum()):
        return
    unknown = np.isnan(coefficients).any(axis=(-2, -1))
    for i in np.flatnonzero(unknown.any(axis=1)):
        what = "a component" if unknown[i].all() else f"component {int(unknown[i].argmax()) + 1}"
        reasons[i] = reasons[i] or f"the rows of {what} do not identify its coefficients"


def _note_collapsed(
    data: Standardised, coefficients: FloatArray, covariance: FloatArray, reasons: list[str]
) -> None:
    for i in np.flatnonzero(~is_regular(data, coefficients, covariance).all(axis=1)):
        reasons[i] = reasons[i] or why_singular(data, coefficients[i], covariance[i])


def _weights(data: Standardised, units: FloatArray) -> FloatArray:
    if data.prior is None:
        return np.asarray(units / data.total_units[..., None])
    added = data.prior.units
    return np.asarray((units + added) / (data.total_units + added * units.shape[-1])[..., None])


def _membership(
    data: Standardised, concomitants: FloatArray, counts: FloatArray, previous: Parameters | None
) -> FloatArray:
    before = None if previous is None else previous.membership_coefficients
    if before is None:
        before = np.zeros((len(counts), counts.shape[-1], concomitants.shape[1]))
    precision = None if data.prior is None else data.prior.membership_precision
    return np.stack(
        [
            membership.maximise(concomitants, own, start, precision)
            for own, start in zip(counts, before, strict=True)
        ]
    )


def _coefficients(
    data: Standardised, statistics: Statistics, previous: Parameters | None
) -> FloatArray:
    if data.prior is None and data.n_common == 0:
        return statistics.regressions()
    gram, cross = statistics.normal_equations()
    covariance = None if previous is None else previous.covariance
    return regression.joint(gram, cross, covariance, data.n_common, data.prior)


def _covariances(
    spec: MixtureSpec, data: Standardised, scatter: FloatArray, mass: FloatArray
) -> FloatArray:
    """(..., K, m, m) covariances of the structure from cross-products (..., K, m, m)."""
    rows, added = (0.0, 0.0) if data.prior is None else (data.prior.rows, data.prior.scatter)
    if spec.covariance_by == "shared":
        pooled = scatter.sum(axis=-3) + added
        pooled = pooled / (mass.sum(axis=-1) + rows)[..., None, None]
        covariance = np.broadcast_to(pooled[..., None, :, :], scatter.shape)
    else:
        covariance = (scatter + added) / (mass + rows)[..., None, None]
    return structured(spec, covariance)
