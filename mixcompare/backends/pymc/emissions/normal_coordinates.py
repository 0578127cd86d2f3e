"""Normal outcomes on arrays: data, priors and draws in the sampler's coordinates, and back.

The sampler's density is that of its own coordinates. What power-scaling, a posterior mode and
EM's objective need is the density of coefficients and covariances (the lower triangle of each),
without any Jacobian. What classes share counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from scipy.special import gammaln

from mixcompare import labels
from mixcompare.backends.pymc import affine_normal
from mixcompare.backends.pymc.affine_normal import LOG_2PI
from mixcompare.backends.pymc.coordinates import Arrays
from mixcompare.backends.pymc.emissions import bartlett
from mixcompare.backends.pymc.emissions.bartlett import BartlettPrior
from mixcompare.backends.pymc.emissions.covariances import ARITHMETIC, log_covariance_prior
from mixcompare.backends.pymc.emissions.normal_density import class_log_density
from mixcompare.backends.pymc.emissions.standard_panel import StandardPanel, standardise
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors

# Evaluated a few times on large arrays: NumPy is fast enough and nothing is compiled.
_MODE: Final = Mode(linker="py", optimizer="fast_compile").including("stabilize")
# Arrays of so many numbers stay in the cache.
_BATCH_VALUES: Final = 300_000


@dataclass(frozen=True, slots=True, eq=False)
class NormalCoordinates:
    """See `mixcompare.backends.pymc.coordinates.EmissionCoordinates`.

    Attributes
    ----------
    term
        What writes the graph.
    structure
        What the graph depends on.
    panel, bartlett
        Data and priors in the sampler's coordinates.
    priors
        The priors in original units.
    """

    term: Any
    structure: Structure
    panel: StandardPanel
    bartlett: BartlettPrior
    priors: ResolvedPriors

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return self.structure.shapes

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return self.structure.shapes

    @property
    def n_values(self) -> int:
        """See `EmissionCoordinates`."""
        return self.panel.outcomes.size * self.structure.n_components

    def inputs(self) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        panel = self.panel
        squares_map, below_map = self.bartlett.maps
        named = {
            "observed": panel.outcomes,
            "covariates": panel.covariates,
            "degrees_of_freedom": panel.degrees_of_freedom,
            "centre": panel.centre,
            "directions": panel.directions,
            "scale": panel.scale,
            "squares_df": self.bartlett.degrees_of_freedom,
            "squares_map": squares_map,
            "below_map": below_map,
            "log_determinant_constant": self._log_determinant_constant(),
            **self._coefficient_prior(),
        }
        return {name: named[name] for name in self.structure.input_shapes}

    def _log_determinant_constant(self) -> FloatArray:
        return np.asarray(self.bartlett.log_determinant_constant + 2 * self.panel.log_volume)

    def _coefficient_prior(self) -> dict[str, FloatArray]:
        """Linear maps of the deviations that are standard normal under the prior."""
        panel, priors = self.panel, self.priors
        order, m = panel.order, panel.centre.shape[1]
        sd = priors.coefficient_sd[order].reshape(-1)
        offset = (panel.centre - priors.coefficient_mean)[order].reshape(-1) / sd
        spread = np.kron(panel.directions[order], panel.scale) / sd[:, None]
        n = self.structure.n_varying * m
        return {
            "offset": offset[:n],
            "spread": spread[:n, :n],
            # The varying coefficients also contain the common directions' deviations.
            "common_share": spread[:n, n:],
            "log_volume": np.asarray(affine_normal.log_volume(spread[:n, :n])),
            "common_offset": offset[n:],
            "common_spread": spread[n:, n:],
            "common_log_volume": np.asarray(affine_normal.log_volume(spread[n:, n:])),
        }

    def unconstrained(self, variables: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`: squares become logarithms."""
        return {**variables, "precision_squares": np.log(variables["precision_squares"])}

    def constrained(self, points: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        return {**points, "precision_squares": np.exp(points["precision_squares"])}

    def pooled(self) -> dict[str, FloatArray]:
        """See `Coordinates`: the pooled least-squares fit and its residuals' covariance."""
        values = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        squares, below = self.bartlett.from_covariance(np.eye(self.structure.n_outcomes)[None])
        values["precision_squares"] += squares
        if "precision_below" in values:
            values["precision_below"] += below
        return values

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        inputs, shapes = self.inputs(), self.shapes
        values = {name: noise[name] for name in shapes}
        offset = inputs.get("offset", np.zeros(0))
        if "common_deviations" in values:
            standard = noise["common_deviations"] - inputs["common_offset"]
            values["common_deviations"] = affine_normal.solved(inputs["common_spread"], standard)
            if offset.size:
                share = values["common_deviations"] @ inputs["common_share"].T
                offset = offset + share[:, None, :]
        if "deviations" in values:
            standard = noise["deviations"] - offset
            values["deviations"] = affine_normal.solved(inputs["spread"], standard)
        n = len(noise["precision_squares"])
        degrees = np.broadcast_to(inputs["squares_df"], (n, *shapes["precision_squares"]))
        values["precision_squares"] = rng.chisquare(degrees)
        return values

    def log_prior(self, variables: Arrays) -> FloatArray:
        """See `Coordinates`."""
        inputs = self.inputs()
        squares, df = variables["precision_squares"], inputs["squares_df"]
        # That of the logarithm of a chi-squared variable.
        each = df / 2 * np.log(squares / 2) - squares / 2 - gammaln(df / 2)
        total = each.sum(axis=(1, 2))
        if "precision_below" in variables:
            total = total - 0.5 * (LOG_2PI + variables["precision_below"] ** 2).sum(axis=(1, 2))
        offset = inputs.get("offset", np.zeros(0))
        if "common_deviations" in variables:
            common = variables["common_deviations"]
            standard = inputs["common_offset"] + common @ inputs["common_spread"].T
            volume = float(inputs["common_log_volume"])
            total = total + affine_normal.log_density(standard, volume)
            if offset.size:
                offset = offset + (common @ inputs["common_share"].T)[:, None, :]
        if "deviations" in variables:
            standard = offset + variables["deviations"] @ inputs["spread"].T
            total = total + affine_normal.log_density(standard, float(inputs["log_volume"]))
        return np.asarray(total)

    def log_prior_by_parameter(
        self, variables: Arrays, parameters: Arrays
    ) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        priors = self.priors
        standard = (parameters["coefficients"] - priors.coefficient_mean) / priors.coefficient_sd
        each = -0.5 * (standard**2 + LOG_2PI) - np.log(priors.coefficient_sd)
        varying, common = np.split(self.panel.order, [self.structure.n_varying])
        by_class = each[:, :, varying].sum(axis=(1, 2, 3))
        return {
            "coefficients": np.asarray(by_class + each[:, 0, common].sum(axis=(1, 2))),
            "covariance": log_covariance_prior(
                self.structure.covariance,
                priors.covariance_df,
                priors.covariance_scale,
                variables,
            ),
        }

    def parameters(self, variables: Arrays, n_draws: int) -> dict[str, FloatArray]:  # noqa: ARG002 (the class model may have none)
        """See `Coordinates`."""
        return {
            "coefficients": self.panel.coefficients(self.deviations(variables)),
            "covariance": self.covariance(variables),
        }

    def deviations(self, variables: Arrays) -> FloatArray:
        """D (S, K, p, m) of S draws of the free variables."""
        s, k, m = self.structure, self.structure.n_components, self.structure.n_outcomes
        parts = []
        if s.n_varying:
            parts.append(variables["deviations"].reshape(-1, k, s.n_varying, m))
        if s.n_common:
            common = variables["common_deviations"].reshape(-1, 1, s.n_common, m)
            parts.append(np.repeat(common, k, axis=1))
        return np.concatenate(parts, axis=2)

    def covariance(self, variables: Arrays) -> FloatArray:
        """Covariances (S, K, m, m) in original units of S draws of the free variables."""
        m = self.structure.n_outcomes
        squares_map, below_map = self.bartlett.maps
        flat = np.sqrt(variables["precision_squares"]) @ squares_map
        if "precision_below" in variables:
            flat = flat + variables["precision_below"] @ below_map
        whitener = flat.reshape(*flat.shape[:-1], m, m)
        half = self.panel.scale @ np.linalg.inv(whitener).swapaxes(-1, -2)
        repeats = self.structure.n_components // self.structure.n_covariances
        return np.repeat(half @ half.swapaxes(-1, -2), repeats, axis=1)

    def free_values(self, parameters: Arrays) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        s, panel = self.structure, self.panel
        coefficients, covariance = parameters["coefficients"], parameters["covariance"]
        n, m = len(coefficients), s.n_outcomes
        distinct = covariance[:, : s.n_covariances].reshape(-1, m, m)
        squares, below = self.bartlett.from_covariance(panel.standard_covariance(distinct))
        deviations = panel.deviations(coefficients)
        values = {
            "common_deviations": deviations[:, 0, s.n_varying :].reshape(n, -1),
            "deviations": deviations[:, :, : s.n_varying].reshape(n, s.n_components, -1),
            "precision_squares": squares.reshape(n, s.n_covariances, -1),
            "precision_below": below.reshape(n, s.n_covariances, -1),
        }
        free = {name: values[name] for name in self.shapes}
        self._check(free, coefficients, covariance)
        return free

    def _check(self, free: Arrays, coefficients: FloatArray, covariance: FloatArray) -> None:
        sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        gap = np.abs(self.covariance(free) - covariance)
        if np.max(gap / (sd[..., :, None] * sd[..., None, :])) > 1e-6:
            raise ValueError("covariance does not have the structure of the specification.")
        shared = coefficients[:, :, self.panel.order[self.structure.n_varying :]]
        if np.any(np.ptp(shared, axis=1) > 1e-9 * np.abs(shared).max(axis=1)):
            raise ValueError("coefficients that are common differ between the classes.")

    def renumbered(self, points: Arrays, permutation: IntArray) -> dict[str, FloatArray]:
        """See `Coordinates`."""
        by_class = {"deviations"}
        if self.structure.covariance_by == "component":
            by_class |= {"precision_squares", "precision_below"}
        return {
            name: labels.permute(value, permutation, axis=1) if name in by_class else value
            for name, value in points.items()
        }

    def log_density(self, variables: Arrays, n_draws: int) -> FloatArray:
        """See `EmissionCoordinates`."""
        k = self.structure.n_components
        given_class = _function(self.structure)(*self._data(), *self._draws_as_classes(variables))
        # Classes first: NumPy is slow along a short last axis.
        return np.ascontiguousarray(given_class.reshape(-1, n_draws, k).transpose(2, 1, 0))

    def _data(self) -> list[FloatArray]:
        panel, (squares_map, below_map) = self.panel, self.bartlett.maps
        arrays = [panel.outcomes, panel.covariates, panel.degrees_of_freedom]
        arrays += [self._log_determinant_constant(), squares_map]
        return [*arrays, below_map] if self.structure.n_below else arrays

    def _draws_as_classes(self, variables: Arrays) -> list[FloatArray]:
        """Draws laid out as further classes, so that the model's own expressions serve."""
        s = self.structure
        repeats = s.n_components // s.n_covariances
        squares = np.repeat(variables["precision_squares"], repeats, axis=1)
        deviations = self.deviations(variables).reshape(-1, s.n_covariates, s.n_outcomes)
        laid: list[FloatArray] = [deviations, squares.reshape(-1, s.n_squares)]
        if s.n_below:
            below = np.repeat(variables["precision_below"], repeats, axis=1)
            laid.append(below.reshape(-1, s.n_below))
        return laid

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """See `EmissionCoordinates`; the coordinates stay those of the fitted model."""
        panel, coefficients = self.panel, parameters["coefficients"]
        samples, k, p, m = coefficients.shape
        deviations = panel.deviations(coefficients)
        root = np.linalg.cholesky(panel.standard_covariance(parameters["covariance"]))
        whitener = np.linalg.inv(root).swapaxes(-1, -2)
        half_log_determinant = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
        log_determinant = 2 * (half_log_determinant + panel.log_volume)
        n_units, n_rows, _ = rows.factors.factor.shape
        batch = max(1, _BATCH_VALUES // (n_units * n_rows * k * m))
        arrays = panel.standard_rows(rows.factors)
        parts = [
            _class_log_density()(
                *arrays,
                deviations[i : i + batch].reshape(-1, p, m),
                whitener[i : i + batch].reshape(-1, m, m),
                log_determinant[i : i + batch].ravel(),
            )
            for i in range(0, samples, batch)
        ]
        joined = np.concatenate(parts, axis=1).reshape(n_units, samples, k)
        return np.ascontiguousarray(joined.transpose(1, 0, 2))


def normal_coordinates(term: Any, structure: Structure, problem: Problem) -> NormalCoordinates:
    """Work out the constants of a normal response on a panel."""
    priors = problem.priors
    panel = standardise(problem.factors, priors, structure.covariance)
    scale = panel.standard_covariance(priors.covariance_scale)
    return NormalCoordinates(
        term=term,
        structure=structure,
        panel=panel,
        bartlett=ARITHMETIC[structure.covariance].prior(priors.covariance_df, scale),
        priors=priors,
    )


@cache
def _function(structure: Structure) -> Callable[..., FloatArray]:
    """Compile l_gk (G, C) of the model's expressions, see `class_log_density`."""
    m, has_below = structure.n_outcomes, bool(structure.n_below)
    outcomes, covariates = pt.tensor3("outcomes"), pt.tensor3("covariates")
    degrees_of_freedom, constant = pt.vector("degrees_of_freedom"), pt.scalar("constant")
    squares_map, below_map = pt.matrix("squares_map"), pt.matrix("below_map")
    deviations, squares = pt.tensor3("deviations"), pt.matrix("squares")
    below = pt.matrix("below")
    given_class = class_log_density(
        outcomes,
        covariates,
        degrees_of_freedom,
        deviations,
        bartlett.whitener(squares, below if has_below else None, (squares_map, below_map), m),
        bartlett.log_determinant(squares, constant, m, structure.n_squares),
    )
    inputs = [outcomes, covariates, degrees_of_freedom, constant, squares_map]
    inputs += [below_map] if has_below else []
    inputs += [deviations, squares, *([below] if has_below else [])]
    function: Callable[..., Any] = pytensor.function(inputs, given_class, mode=_MODE)
    return function


@cache
def _class_log_density() -> Callable[..., FloatArray]:
    """`class_log_density` of arrays."""
    inputs = [
        pt.tensor3("outcomes"),
        pt.tensor3("covariates"),
        pt.vector("degrees_of_freedom"),
        pt.tensor3("deviations"),
        pt.tensor3("whitener"),
        pt.vector("log_determinant"),
    ]
    function: Callable[..., Any] = pytensor.function(inputs, class_log_density(*inputs), mode=_MODE)
    return function
