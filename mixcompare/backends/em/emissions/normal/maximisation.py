"""The M-step of a normal regression, as a pure function on standardised data.

Sums over the units are those of `statistics` or of `moments`; what is small is done here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.emissions.normal import regression
from mixcompare.backends.em.emissions.normal.covariances import structured
from mixcompare.backends.em.emissions.normal.degeneracy import is_regular, why_singular
from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.emissions.normal.statistics import Counted
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import has_covariances


def maximise(
    data: Standardised,
    statistics: Counted | Moments,
    recount: Callable[[NDArray[np.bool_]], Counted],
    repetition: FloatArray | None,
    previous: FloatArray | None,
) -> tuple[dict[str, FloatArray], list[str], FloatArray | None]:
    """Maximise the expected log-density, and log-prior if there is one, for S starts.

    Weighted least squares for the coefficients, then the weighted residual cross-product
    over the weighted degrees of freedom (McLachlan & Peel 2000, sections 3.2 and 5.5). With
    common coefficients or a prior the former depend on the covariances and are conditional
    on the previous ones (ECM; Meng & Rubin 1993).

    Parameters
    ----------
    recount
        Sums over the units themselves, for some of the starts.
    repetition
        As `mixcompare.backends.em.classes.units.Units` has it.
    previous
        (S, K, m, m) covariances of the iterates that the sums come from, if there are any.

    Returns ``coefficients`` (S, K, p, m) and ``covariance`` (S, K, m, m), why a start is
    degenerate, whose parameters are meaningless (empty if it is not), and squared residuals by
    unit, as in `Scatter`.
    """
    mass = statistics.mass
    reasons = [""] * len(mass)
    if data.prior is None:
        _note_empty(data, mass, repetition, reasons)
    coefficients = _coefficients(data, statistics, previous)
    _note_unidentified(coefficients, reasons)
    if any(reasons):
        lost = np.array([bool(reason) for reason in reasons])
        coefficients[lost], mass = 0.0, np.where(lost[:, None], 1.0, mass)
    scatter, cancelled, squares = statistics.scatter(coefficients)
    if cancelled is not None:
        scatter[cancelled] = recount(cancelled).scatter(coefficients[cancelled]).products
    covariance = _covariances(data, scatter, mass)
    _note_collapsed(data, coefficients, covariance, reasons)
    return {"coefficients": coefficients, "covariance": covariance}, reasons, squares


def _note_empty(
    data: Standardised, mass: FloatArray, repetition: FloatArray | None, reasons: list[str]
) -> None:
    """A component needs more rows than it has coefficients and variances to fit."""
    _, _, p, m = data.shape
    needed = p - data.n_common
    if data.structure.covariance_by == "component":
        needed += m if has_covariances(data.structure.covariance) else 1
    rows = mass
    if repetition is not None:
        # Weights that sum to less than the units that have any say how much these count.
        rows = mass * np.broadcast_to(repetition[..., None], (len(mass), 1))
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


def _coefficients(
    data: Standardised, statistics: Counted | Moments, previous: FloatArray | None
) -> FloatArray:
    if data.prior is None and data.n_common == 0:
        return statistics.regressions()
    gram, cross = statistics.normal_equations()
    return regression.joint(gram, cross, previous, data.n_common, data.prior)


def _covariances(data: Standardised, scatter: FloatArray, mass: FloatArray) -> FloatArray:
    """(..., K, m, m) covariances of the structure from cross-products (..., K, m, m)."""
    rows, added = (0.0, 0.0) if data.prior is None else (data.prior.rows, data.prior.scatter)
    if data.structure.covariance_by == "shared":
        pooled = scatter.sum(axis=-3) + added
        pooled = pooled / (mass.sum(axis=-1) + rows)[..., None, None]
        covariance = np.broadcast_to(pooled[..., None, :, :], scatter.shape)
    else:
        covariance = (scatter + added) / (mass + rows)[..., None, None]
    return structured(data.structure, covariance)
