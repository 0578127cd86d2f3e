"""A family that the package does not have: geometric counts, by a logarithmic link.

All that a family needs: its declaration, EM's emission, PyMC's term and a sampler. Tests of each
take their data and the brute force that they hold it against from here as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from scipy import stats

from mixcompare.backends.em.emissions import EMISSIONS, Emission, register_emission
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.theta import Blocks
from mixcompare.backends.pymc.emissions import register_term
from mixcompare.backends.pymc.emissions.registry import TERMS
from mixcompare.backends.pymc.emissions.terms import EmissionTerm
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.families import FAMILIES, Family, register_family
from mixcompare.model.responses import Response
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors
from mixcompare.prepared.rows import Rows
from mixcompare.simulate.samplers import SAMPLERS, register_sampler

GEOMETRIC = Family("geometric", "counts", links=("log",))
WEIGHTS = np.array([0.6, 0.4])
COEFFICIENTS = np.array([[2.0, -0.4], [0.2, 0.5]])
# Of Newton's decrement.
_ENOUGH = 1e-24


@dataclass(frozen=True, eq=False)
class GeometricEmission(Emission):
    """Counts of failures before a success, ``log E(y) = x' beta_k``; ``coefficients`` (K, p, 1)."""

    n_components: int
    data: Rows
    priors: ResolvedPriors | None = None

    @classmethod
    def of(
        cls,
        response: Response,
        n_components: int,
        prepared: Prepared,
        priors: ResolvedPriors | None,
    ) -> GeometricEmission:
        """On merged rows."""
        assert response.family == "geometric"
        assert isinstance(prepared, Rows)
        return cls(n_components, prepared, priors)

    def on_other_rows(self, prepared: Prepared) -> GeometricEmission:
        """Coordinates are the data's own."""
        assert isinstance(prepared, Rows)
        return replace(self, data=prepared)

    def with_components(self, number: int) -> GeometricEmission:
        """Another number of classes."""
        return replace(self, n_components=number)

    @property
    def rows(self) -> FloatArray:
        """(C,) rows of each unit."""
        return self._by_unit(self.data.counts)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """One coefficient for each covariate and class."""
        return {"coefficients": (self.n_components, self.data.n_covariates, 1)}

    def log_density(self, theta: Blocks) -> FloatArray:
        """(..., C, K) of failures with success probability 1 / (1 + mu)."""
        eta = (self.data.covariates @ theta["coefficients"])[..., 0].mT
        each = self.data.outcomes * eta - (self.data.outcomes + 1) * np.logaddexp(0.0, eta)
        return self._by_unit(each * self.data.counts[:, None], axis=-2)

    def m_step(self, expected: Expected, previous: Blocks | None) -> tuple[Blocks, list[str]]:
        """Newton's method from the last iterate, class by class."""
        counts = expected.counts
        starts, _, k = counts.shape
        beta = np.zeros((starts, k, self.data.n_covariates, 1))
        if previous is not None:
            beta[:] = previous["coefficients"]
        reasons = [""] * starts
        for s, c in np.ndindex(starts, k):
            weights = self.data.counts * counts[s, self.data.carrier, c]
            if self.priors is None and weights.sum() <= self.data.n_covariates:
                reasons[s] = f"component {c + 1} has emptied to {weights.sum():.3g} rows"
            else:
                beta[s, c, :, 0] = self._maximised(weights, beta[s, c, :, 0])
        return {"coefficients": beta}, reasons

    def features(self) -> FloatArray:
        """(C, 1) mean logarithm of the counts."""
        logs = np.log1p(self.data.outcomes[:, 0]) * self.data.counts
        return (self._by_unit(logs) / np.maximum(self.rows, 1.0))[:, None]

    def scores(self, theta: Blocks) -> FloatArray:
        """(C, K, p)."""
        by_eta = self._by_eta(theta["coefficients"][..., 0] @ self.data.covariates.T)
        each = (by_eta * self.data.counts).T[..., None] * self.data.covariates[:, None, :]
        return self._by_unit(each)

    def log_prior(self, theta: Blocks) -> FloatArray:
        """(...,) Normal priors of the coefficients."""
        if self.priors is None:
            return super().log_prior(theta)
        prior = stats.norm(self.priors.coefficient_mean, self.priors.coefficient_sd)
        return np.asarray(prior.logpdf(theta["coefficients"]).sum(axis=(-3, -2, -1)))

    def _by_eta(self, eta: FloatArray) -> FloatArray:
        """(..., R) derivatives of the rows' log-densities by their linear predictors."""
        y = self.data.outcomes[:, 0]
        return np.asarray(y - (y + 1) / (1 + np.exp(-eta)))

    def _maximised(self, weights: FloatArray, beta: FloatArray) -> FloatArray:
        x, (mean, precision) = self.data.covariates, self._normal_prior()
        value = self._objective(weights, beta)
        for _ in range(100):
            share = 1 / (1 + np.exp(-x @ beta))
            bend = weights * (self.data.outcomes[:, 0] + 1) * share * (1 - share)
            slope = x.T @ (weights * self._by_eta(x @ beta)) - precision * (beta - mean)
            step = np.linalg.solve((x.T * bend) @ x + np.diag(precision), slope)
            if slope @ step < _ENOUGH * weights.sum():
                break
            while (reached := self._objective(weights, beta + step)) < value and slope @ step > 0:
                step = step / 2
                if np.abs(step).max() < 1e-12:
                    return beta
            beta, value = beta + step, reached
        return beta

    def _objective(self, weights: FloatArray, beta: FloatArray) -> float:
        mean, precision = self._normal_prior()
        eta, y = self.data.covariates @ beta, self.data.outcomes[:, 0]
        of_rows = weights @ (y * eta - (y + 1) * np.logaddexp(0.0, eta))
        return float(of_rows - 0.5 * precision @ (beta - mean) ** 2)

    def _normal_prior(self) -> tuple[FloatArray, FloatArray]:
        if self.priors is None:
            nothing = np.zeros(self.data.n_covariates)
            return nothing, nothing
        sd = self.priors.coefficient_sd[:, 0]
        return self.priors.coefficient_mean[:, 0], 1 / sd**2

    def _by_unit(self, values: FloatArray, axis: int = 0) -> FloatArray:
        """Sums over each unit's rows, which are along an axis."""
        moved = np.moveaxis(values, axis, 0)
        total = np.zeros((self.data.n_units, *moved.shape[1:]))
        np.add.at(total, self.data.carrier, moved)
        return np.moveaxis(total, 0, axis)


@dataclass(frozen=True)
class GeometricTerm(EmissionTerm):
    """The same in PyMC."""

    n_components: int

    @classmethod
    def of(cls, problem: Problem, response: int) -> Self:
        """The graph knows the number of classes; all else is data."""
        return cls(problem.spec.n_components)

    def inputs(self, problem: Problem, response: int) -> Mapping[str, Any]:
        """Merged rows and the coefficients' priors."""
        rows, priors = problem.rows, problem.priors
        return {
            "covariates": rows.covariates,
            "failures": rows.outcomes[:, 0],
            "repeats": rows.counts,
            "carrier": rows.carrier,
            "nothing": np.zeros(len(problem.carriers.unit)),
            "prior_mean": priors.coefficient_mean,
            "prior_sd": priors.coefficient_sd,
        }

    def variables(self, data: Mapping[str, Any], dims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Coefficients, normal under the prior."""
        prior = data["prior_mean"], data["prior_sd"]
        return {"coefficients": pm.Normal("coefficients", *prior, dims=dims["coefficients"])}

    def log_density(self, variables: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """Row by row, summed over each carrier's."""
        log_mean = data["covariates"] @ variables["coefficients"][..., 0].T
        y = data["failures"][:, None]
        by_row = y * log_mean - (y + 1) * pt.softplus(log_mean)
        zeros = data["nothing"][:, None] + pt.zeros((1, self.n_components))
        return zeros[data["carrier"]].inc(data["repeats"][:, None] * by_row)


def draw_counts(
    parameters: Mapping[str, FloatArray],
    classes: IntArray,
    covariates: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Outcomes (N, 1) of rows whose classes (N,) are known."""
    eta = (covariates * parameters["coefficients"][classes, :, 0]).sum(axis=-1)
    return (rng.geometric(1 / (1 + np.exp(eta)))[:, None] - 1).astype(float)


@contextmanager
def registered() -> Iterator[None]:
    """Make all parts of the family known, for as long as this lasts."""
    register_family(GEOMETRIC)
    register_emission("geometric", GeometricEmission)
    register_term("geometric", GeometricTerm)
    register_sampler("geometric", draw_counts)
    yield
    registry: dict[str, Any]
    for registry in (FAMILIES, EMISSIONS, TERMS, SAMPLERS):
        del registry["geometric"]


def draw(units: int, seed: int, rows: int = 6) -> dict[str, Any]:
    """Two classes of counts that differ in level and slope."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), rows)
    classes = rng.choice(2, p=WEIGHTS, size=units)[unit]
    x = rng.normal(size=len(unit)).round(1)
    mean = np.exp(COEFFICIENTS[classes, 0] + COEFFICIENTS[classes, 1] * x)
    y = (rng.geometric(1 / (1 + mean)) - 1).astype(float)
    return {"unit": unit, "x": x, "y": y, "class": classes}


def brute_force(table: Mapping[str, Any] | pd.DataFrame, coefficients: FloatArray) -> FloatArray:
    """(G, K) log-densities of the units at coefficients (K, 2) by SciPy, row by row."""
    unit, x, y = (np.asarray(table[name]) for name in ("unit", "x", "y"))
    by_class = [stats.geom.logpmf(y + 1, 1 / (1 + np.exp(a + b * x))) for a, b in coefficients]
    return np.stack([np.bincount(unit, each) for each in by_class], axis=1)
