"""Spurious maxima: classes that a few rows, close together by chance, are enough to make.

The likelihood of a normal mixture is unbounded where a class shrinks onto few rows, and near
such points lie local maxima that say nothing of the population (Day 1969; McLachlan & Peel 2000,
section 3.10): a class of few rows with a variance, in some direction, far below the others'.
Bounds on the ratio of variances exclude them (Hathaway 1985; Garcia-Escudero, Gordaliza, Matran &
Mayo-Iscar 2008), but exclude narrow classes that are real as well. So a class is called spurious
here only if

- it is **narrow**: an eigenvalue of its covariance, relative to the other classes' average, is
  below `NARROW`; it has **few rows**: below `FEW` numbers for each of its parameters; and it
  is **unsupported**: by how much it raises the log-likelihood over the same mixture without it is
  less than what the freedom to look for such a class anywhere in the data is worth, plus
  `DECISIVE`; or
- it is narrower than **rounding** alone would make it, so that it lies on one value of an
  outcome, or on an exact relation of several, however many its rows.

That freedom is the Occam factor of Laplace's approximation (MacKay 2003, section 28.1): a
class of n rows whose covariance has the eigenvalues l relative to the others' could have lain
at about ``prod(l)^-(p/2 + q/m) n^((p m + q)/2)`` distinguishable places, with its p m coefficients
and q elements of the covariance. A narrow class apart from the others is supported by a few rows;
one among the others' rows needs many.

Everything is relative, so that neither scales, units nor labels matter. Rows are degrees of
freedom and count by their units' weights, unless these are so small that they cannot be counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.linalg import eigh
from scipy.special import logsumexp

from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.emissions.emission import Spurious
from mixcompare.backends.em.emissions.normal.standardise import Standardised
from mixcompare.backends.em.emissions.normal.tiled_rows import column
from mixcompare.backends.em.expected import Expected
from mixcompare.base.arrays import FloatArray
from mixcompare.model.covariances import elements

# Ratio of variances, of which the literature bounds the ratio of all classes' eigenvalues: a
# standard deviation of a seventh of the others'. Ours.
NARROW: Final = 1 / 50
# Numbers (rows times outcomes) per parameter of the class; the rule of thumb of ten cases.
FEW: Final = 10.0
# Log of a Bayes factor beyond which evidence is called very strong (Kass & Raftery 1995).
DECISIVE: Final = 5.0
# Values closer than this, relative to their range, are one value; steps that differ less are equal.
_SAME_VALUE: Final = 1e-9
_SAME_STEP: Final = 1e-6


def find_spurious(
    data: Standardised,
    covariance: FloatArray,
    expected: Expected,
    classes: StaticClasses,
    steps: FloatArray,
) -> Spurious | None:
    """The narrowest class of a fit that makes it spurious; None if there is none.

    From covariances (K, m, m), the E-step at the fit and the model of the classes, and
    `rounding_steps` (m,).
    """
    counts = _counts(expected.units)
    by_class = (counts * data.degrees_of_freedom) @ expected.occupancy
    p, q, m = _of_class(data)
    c = classes.design.shape[1]  # of the log-odds, whose freedom counts as well
    of_weight = c / 2 * np.log(max(counts.sum(), 1.0))
    marks = []
    for k in range(data.n_components):
        others = np.delete(np.arange(data.n_components), k)
        average = np.average(covariance[others], axis=0, weights=by_class[others])
        ratios = eigh(covariance[k], average, eigvals_only=True)
        value = _on_one_value(covariance[k], steps)
        if not value:
            if not (q > 0 and ratios[0] < NARROW and by_class[k] * m < FEW * (p * m + q)):
                continue
            worth = _freedom(data, float(by_class[k]), ratios) + of_weight
            if _support(expected, classes, counts, k) >= worth + DECISIVE:
                continue
        rows, ratio = float(by_class[k]), float(ratios[0])
        narrow = _narrowness(data, covariance[k], average, ratio)
        rounding = ", less than the rounding of the data alone would make" if value else ""
        words = f"has {rows:.3g} of {by_class.sum():.4g} rows and {narrow}{rounding}"
        marks.append(Spurious(k, rows, ratio, words))
    return min(marks, key=lambda one: one.ratio, default=None)


def rounding_steps(data: Standardised) -> FloatArray:
    """(m,) steps between the outcomes' values, in standardised units, of which all are multiples.

    Zero where there is none, or where the rows have been combined to triangular factors.
    """
    units, length, p, m = data.shape
    steps = np.zeros(m)
    if data.degrees_of_freedom.max() > length or not units:
        return steps
    rows = np.asarray(data.covariates).reshape(-1, p)
    kept = rows.any(axis=1)
    pooled = data.whiten @ data.pooled
    for j in range(m):
        raw = column(data.outcomes, j).ravel()[kept] * data.scale[j] + (rows @ pooled[:, j])[kept]
        steps[j] = _step(raw) / data.scale[j]
    return steps


def _step(values: FloatArray) -> float:
    ordered = np.sort(values)
    gaps = np.diff(ordered)
    gaps = gaps[gaps > _SAME_VALUE * max(ordered[-1] - ordered[0], np.abs(ordered[[0, -1]]).max())]
    if not len(gaps):
        return 0.0
    multiples = gaps / gaps.min()
    even = np.abs(multiples - multiples.round()) <= _SAME_STEP * multiples
    return float(gaps.min()) if even.all() else 0.0


def _on_one_value(covariance: FloatArray, steps: FloatArray) -> bool:
    """Whether a variance, in some direction, is below that of rounding alone (Sheppard 1898)."""
    if not steps.all():
        of_each = np.diag(covariance)
        return bool((of_each < steps**2 / 12).any())
    return bool(np.linalg.eigvalsh(12 * covariance / np.outer(steps, steps))[0] < 1)


def _counts(units: Units) -> FloatArray:
    """(G,) how often units count: by weights, which are no counts if they average less than one."""
    weights = units.weights
    if weights is None:
        return np.ones(units.number)
    return np.asarray(weights / min(float(weights.mean()), 1.0))


def _of_class(data: Standardised) -> tuple[int, int, int]:
    """Covariates with coefficients of the class's own, elements of its covariance, outcomes."""
    _, _, p, m = data.shape
    by_class = data.structure.covariance_by == "component"
    q = len(elements(data.structure.covariance, m)) if by_class else 0
    return p - data.n_common, q, m


def _freedom(data: Standardised, rows: float, ratios: FloatArray) -> float:
    """Log of the number of places where such a class could have been."""
    p, q, m = _of_class(data)
    narrowness = -np.log(np.clip(ratios, np.finfo(float).tiny, 1.0)).sum()
    return float((p / 2 + q / m) * narrowness + (p * m + q) / 2 * np.log(max(rows, 1.0)))


def _support(expected: Expected, classes: StaticClasses, counts: FloatArray, k: int) -> float:
    """By how much the log-likelihood exceeds that of the other classes alone, as they are."""
    log_weights = classes.log_probabilities(expected.at.classes)
    log_weights = np.broadcast_to(log_weights, expected.joint.shape)
    without = np.delete(expected.joint, k, axis=1)
    alone = logsumexp(without, axis=1) - logsumexp(np.delete(log_weights, k, axis=1), axis=1)
    return float(counts @ (expected.unit_log_likelihood - alone))


def _narrowness(
    data: Standardised, covariance: FloatArray, average: FloatArray, ratio: float
) -> str:
    """The class's variance against the others', in the outcome's units."""
    if len(average) == 1:
        variance, others = np.array([covariance[0, 0], average[0, 0]]) * float(data.scale[0]) ** 2
        return f"a variance of {variance:.2g} against {others:.2g} in the others"
    return f"in its narrowest direction {ratio:.1g} of the other classes' variance"
