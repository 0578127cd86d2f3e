"""The M-step of a normal regression, as a pure function on standardised data.

Sums over the units are those of `statistics` or of `moments`; what is small is done here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixcompare.backends.em.emissions.normal import regression
from mixcompare.backends.em.emissions.normal.covariances import structured
from mixcompare.backends.em.emissions.normal.degeneracy import is_regular, why_singular
from mixcompare.backends.em.emissions.normal.moments import Moments
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.emissions.normal.statistics import Counted
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import has_covariances


def maximise(
    data: Standardised,
    expected: Expected,
    previous: Blocks | None,
    count: Callable[[Expected], Counted],
) -> tuple[Blocks, list[str], FloatArray | None]:
    """Maximise the expected log-density, and log-prior if there is one, for S starts.

    Weighted least squares for the coefficients, then the weighted residual cross-product
    over the weighted degrees of freedom (McLachlan & Peel 2000, sections 3.2 and 5.5). With
    common coefficients or a prior the former depend on the covariances and are conditional
    on the previous ones (ECM; Meng & Rubin 1993).

    Parameters
    ----------
    previous
        The iterates that the sums come from, if there are any: covariances (S, K, m, m).
    count
        Sums over the units themselves, where they were not summed along an E-step.

    Returns ``coefficients`` (S, K, p, m) and ``covariance`` (S, K, m, m), why a start is
    degenerate, whose parameters are meaningless (empty if it is not), and squared residuals by
    unit, as in `Scatter`.
    """
    statistics: Counted | Moments = expected.moments or count(expected)
    mass = statistics.mass
    reasons = [""] * len(mass)
    if data.prior is None:
        _note_empty(data, mass, expected.units.repetition, reasons)
    coefficients = _coefficients(data, statistics, previous)
    _note_unidentified(coefficients, reasons)
    if any(reasons):
        lost = np.array([bool(reason) for reason in reasons])
        coefficients[lost], mass = 0.0, np.where(lost[:, None], 1.0, mass)
    scatter, cancelled, squares = statistics.scatter(coefficients)
    if cancelled is not None:
        scatter[cancelled] = count(expected[cancelled]).scatter(coefficients[cancelled]).products
    theta = {"coefficients": coefficients, "covariance": _covariances(data, scatter, mass)}
    for i in np.flatnonzero(~is_regular(data, theta).all(axis=1)):
        one = {name: block[i] for name, block in theta.items()}
        reasons[i] = reasons[i] or why_singular(data, one)
    return theta, reasons, squares


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


def _coefficients(
    data: Standardised, statistics: Counted | Moments, previous: Blocks | None
) -> FloatArray:
    if data.prior is None and data.n_common == 0:
        return statistics.regressions()
    gram, cross = statistics.normal_equations()
    covariance = None if previous is None else previous["covariance"]
    return regression.joint(gram, cross, covariance, data.n_common, data.prior)


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
