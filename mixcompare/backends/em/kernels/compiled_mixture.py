"""A mixture whose steps are compiled passes, and when it takes the place of the general one.

It is a special case: one normal response and classes that units keep. Its numbers are those of
`mixcompare.backends.em.mixture.Mixture` but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from mixcompare.backends.em.emissions.normal.covariances import roots
from mixcompare.backends.em.emissions.normal.maximisation import maximise
from mixcompare.backends.em.emissions.normal.normal_emission import NormalEmission
from mixcompare.backends.em.emissions.normal.statistics import Counted, Scatter
from mixcompare.backends.em.expected import Expected, Posterior
from mixcompare.backends.em.kernels.compiled_panel import Compiled
from mixcompare.backends.em.kernels.gaussian_mixture import CompiledMixture, is_mixture
from mixcompare.backends.em.kernels.passes import At
from mixcompare.backends.em.mixture import Maximised, Mixture
from mixcompare.backends.em.theta import LOG_2PI, Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.factorise import Kernels

type Passes = Compiled | CompiledMixture

# A fresh process takes about half a second to import numba and load cached kernels, and a
# machine some ten seconds to compile them once, so that short fits are left to NumPy.
_WORTH_SECONDS = 2.0
_TYPICAL_ITERATIONS = 50
_SECONDS_PER_CALL = 3e-4
# Of each unit and class, for exponentials and what surrounds them, and of each value of its rows
# and class, for residuals and products.
_SECONDS_PER_UNIT = 4.5e-8
_SECONDS_PER_VALUE = 9e-9


@dataclass(frozen=True, slots=True, eq=False)
class PassSums(Counted):
    """Sums over the units by compiled passes."""

    passes: Passes

    def normal_equations(self) -> tuple[FloatArray, FloatArray]:
        """Weighted cross-products (..., K, p, p) and (..., K, p, m)."""
        return self.passes.normal_equations(self.counts)

    def regressions(self) -> FloatArray:
        """Coefficients (..., K, p, m) that solve them class by class, NaN if not identified."""
        return self.passes.regressions(self.counts)

    def scatter(self, coefficients: FloatArray) -> Scatter:
        """Weighted cross-products of these coefficients' residuals."""
        return self.passes.scatter(coefficients, self.counts)


@dataclass(frozen=True, eq=False)
class FusedMixture(Mixture):
    """One normal response and static classes, by compiled passes over the same rows.

    The emission's rows are read out of the passes' tiles where these hold them.
    """

    passes: Passes

    @property
    def normal(self) -> NormalEmission:
        """The one emission."""
        return cast("NormalEmission", self.emissions[0])

    def posterior(self, theta: Theta) -> Posterior:
        """What an E-step finds for each unit."""
        at = self._at(theta)
        if at is None:
            return super().posterior(theta)
        return self.passes.e_step(at)[0]

    def expect(self, theta: Theta, at_hand: Any = None) -> Expected:
        """E-step, with squared residuals at hand if the M-step found them."""
        at = self._at(theta)
        if at is None:
            return super().expect(theta)
        weights = self.units.weights
        one_pass = isinstance(self.passes, CompiledMixture) and self.passes.moments(at, weights)
        if one_pass:
            moments, sums = one_pass
            return Expected(self, theta, None, sums, moments)
        posterior, sums = self.passes.e_step(at, at_hand)
        return Expected(self, theta, posterior, sums if weights is None else None)

    def occupancy(self, theta: Theta) -> FloatArray:
        """(..., G, K) posterior class probabilities alone, as the E-step finds them."""
        at = self._at(theta)
        if at is None:
            return super().occupancy(theta)
        return self.passes.occupancy(at)

    def m_step(self, expected: Expected, previous: Theta | None = None) -> Maximised:
        """M-step of S starts together, with their squared residuals at hand."""
        data = self.normal.data
        before = None if previous is None else previous.responses[0]
        response, reasons, squares = maximise(
            data, expected, before, lambda e: PassSums(data, e.counts, self.passes)
        )
        return Maximised(self._with_classes(expected, (response,), previous), reasons, squares)

    def _at(self, theta: Theta) -> At | None:
        """What passes take; None where something is NaN, which their maximum would lose."""
        response = theta.responses[0]
        coefficients, covariance = response["coefficients"], response["covariance"]
        if not np.isfinite(coefficients.sum()):
            return None
        data, m = self.normal.data, coefficients.shape[-1]
        if m == 1:  # as `else`, without its cost
            lower = np.sqrt(covariance)
            log_determinants = np.log(covariance[..., 0, 0])
        else:
            lower = roots(covariance)
            if np.isnan(lower.ravel()[0]):
                return None
            log_determinants = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
        log_norms = log_determinants + (m * LOG_2PI + 2 * data.log_scale)
        log_weights = self.classes.log_probabilities(theta.classes)
        return At(coefficients, lower, log_weights, log_norms)


def with_kernels(model: Mixture, kernels: Kernels, starts: int) -> Mixture:
    """The same model by compiled passes, if it has them and they are asked for or pay."""
    one = len(model.emissions) == 1 and isinstance(model.emissions[0], NormalEmission)
    if kernels == "numpy" or not one:
        return model
    if kernels == "numba":
        return compiled(model)
    if numpy_seconds(model, starts) <= _WORTH_SECONDS:
        return model
    try:
        return compiled(model)
    except RuntimeError:  # numba has no folder for its cache, as in a read-only installation
        return model


def compiled(model: Mixture) -> FusedMixture:
    """The same model of one normal response and static classes, by compiled passes."""
    normal = cast("NormalEmission", model.emissions[0])
    data = normal.data
    passes: Passes = CompiledMixture(data) if is_mixture(data) else Compiled(data)
    if passes.rows is not None:
        covariates, outcomes = passes.rows
        normal = replace(normal, data=replace(data, covariates=covariates, outcomes=outcomes))
    return FusedMixture(model.classes, (normal,), passes)


def numpy_seconds(model: Mixture, starts: int) -> float:
    """Rough time that NumPy would need, from timings of panels and Gaussian mixtures.

    It knows the problem's size alone, so that the same fit always takes the same way.
    """
    by_class = _SECONDS_PER_UNIT * model.n_carriers + _SECONDS_PER_VALUE * model.size
    per_iteration = _SECONDS_PER_CALL + by_class * model.n_components
    return starts * _TYPICAL_ITERATIONS * per_iteration
