"""Normal outcomes on arrays: data, priors and draws in the sampler's coordinates, and back.

The sampler's density is that of its own coordinates. What power-scaling, a posterior mode and
EM's objective need is the density of coefficients and covariances (the lower triangle of each),
without any Jacobian. What classes share counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from mixcompare import labels
from mixcompare.backends.pymc import affine_normal
from mixcompare.backends.pymc.affine_normal import LOG_2PI
from mixcompare.backends.pymc.coordinates import Arrays, Values
from mixcompare.backends.pymc.emissions.bartlett import BartlettPrior
from mixcompare.backends.pymc.emissions.covariances import ARITHMETIC, log_covariance_prior
from mixcompare.backends.pymc.emissions.normal_density import class_log_densities
from mixcompare.backends.pymc.emissions.standard_panel import StandardPanel, standardise
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.backends.pymc.graphs import BATCH_VALUES
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors


@dataclass(frozen=True, slots=True, eq=False)
class NormalCoordinates:
    """See `mixcompare.backends.pymc.coordinates.EmissionCoordinates`.

    Attributes
    ----------
    term
        What writes the graph, a `NormalTerm`.
    panel, bartlett
        Data and priors in the sampler's coordinates.
    priors
        The priors in original units.
    """

    term: Structure
    panel: StandardPanel
    bartlett: BartlettPrior
    priors: ResolvedPriors

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Coordinates`."""
        return self.term.shapes

    free_shapes = shapes

    @property
    def n_values(self) -> int:
        """See `EmissionCoordinates`."""
        return self.panel.outcomes.size * self.term.n_components

    def inputs(self) -> Values:
        """See `Coordinates`."""
        panel, (squares_map, below_map) = self.panel, self.bartlett.maps
        same = ("covariates", "degrees_of_freedom", "centre", "directions", "scale")
        named = {
            "observed": panel.outcomes,
            **{name: getattr(panel, name) for name in same},
            "squares_df": self.bartlett.degrees_of_freedom,
            "squares_map": squares_map,
            "below_map": below_map,
            "log_determinant_constant": np.asarray(self._log_determinant_constant),
            **self._coefficient_prior(),
        }
        return {name: array for name, array in named.items() if array.size}

    @property
    def _log_determinant_constant(self) -> float:
        return self.bartlett.log_determinant_constant + 2 * self.panel.log_volume

    def _coefficient_prior(self) -> Values:
        """Linear maps of the deviations that are standard normal under the prior."""
        panel, priors = self.panel, self.priors
        order, m = panel.order, panel.centre.shape[1]
        sd = priors.coefficient_sd[order].reshape(-1)
        offset = (panel.centre - priors.coefficient_mean)[order].reshape(-1) / sd
        spread = np.kron(panel.directions[order], panel.scale) / sd[:, None]
        n = self.term.n_varying * m
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

    def unconstrained(self, variables: Arrays) -> Values:
        """See `Coordinates`: squares become logarithms."""
        return {**variables, "precision_squares": np.log(variables["precision_squares"])}

    def constrained(self, points: Arrays) -> Values:
        """See `Coordinates`."""
        return {**points, "precision_squares": np.exp(points["precision_squares"])}

    def pooled(self) -> Values:
        """See `Coordinates`: the pooled least-squares fit and its residuals' covariance."""
        values = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        squares, below = self.bartlett.from_covariance(np.eye(self.term.n_outcomes)[None])
        values["precision_squares"] += squares
        if "precision_below" in values:
            values["precision_below"] += below
        return values

    def fitted(self, shares: FloatArray, rng: np.random.Generator) -> Values:  # noqa: ARG002
        """See `Coordinates`: each class's least squares, and one variance for all classes.

        The pooled fit counts as one more row of every class, so that classes of few rows have
        coefficients, too. Common coefficients stay those of the pooled fit.
        """
        s, panel = self.term, self.panel
        z, w = panel.covariates[..., : s.n_varying], panel.outcomes
        inner = np.einsum("gri,grj->gij", z, z).reshape(len(z), -1)
        outer = np.einsum("gri,grj->gij", z, w).reshape(len(z), -1)
        by_class = shares.swapaxes(1, 2)
        normal = (by_class @ inner).reshape(*by_class.shape[:2], s.n_varying, s.n_varying)
        moments = (by_class @ outer).reshape(*by_class.shape[:2], s.n_varying, s.n_outcomes)
        deviations = np.linalg.solve(normal + np.eye(s.n_varying), moments)
        # What least squares leaves: the rows' squares less those of the fit.
        total = shares.sum(axis=2) @ np.square(w).sum(axis=(1, 2))
        left = total - (deviations * moments).sum(axis=(1, 2, 3))
        rows = s.n_outcomes * (shares.sum(axis=2) @ panel.degrees_of_freedom)
        variance = (left + s.n_outcomes) / (rows + s.n_outcomes)
        values = {
            name: np.broadcast_to(value, (len(shares), *value.shape)).copy()
            for name, value in self.pooled().items()
        }
        if "deviations" in values:
            values["deviations"][:] = deviations.reshape(values["deviations"].shape)
        values["precision_squares"] /= variance[:, None, None]
        if "precision_below" in values:
            values["precision_below"] /= np.sqrt(variance)[:, None, None]
        return values

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> Values:
        """See `Coordinates`."""
        inputs, values = self.inputs(), {name: noise[name] for name in self.shapes}
        if "common_deviations" in values:
            standard = noise["common_deviations"] - inputs["common_offset"]
            values["common_deviations"] = affine_normal.solved(inputs["common_spread"], standard)
        if "deviations" in values:
            standard = noise["deviations"] - _offset(inputs, values)
            values["deviations"] = affine_normal.solved(inputs["spread"], standard)
        squares = values["precision_squares"]
        degrees = np.broadcast_to(inputs["squares_df"], squares.shape)
        return {**values, "precision_squares": rng.chisquare(degrees)}

    def log_prior(self, variables: Arrays) -> FloatArray:
        """See `Coordinates`."""
        inputs = self.inputs()
        squares, df = variables["precision_squares"], inputs["squares_df"]
        # That of the logarithm of a chi-squared variable.
        each = df / 2 * np.log(squares / 2) - squares / 2 - gammaln(df / 2)
        total = each.sum(axis=(1, 2))
        if "precision_below" in variables:
            total = total - 0.5 * (LOG_2PI + variables["precision_below"] ** 2).sum(axis=(1, 2))
        if "common_deviations" in variables:
            common = variables["common_deviations"] @ inputs["common_spread"].T
            volume = float(inputs["common_log_volume"])
            total = total + affine_normal.log_density(inputs["common_offset"] + common, volume)
        if "deviations" in variables:
            varying = variables["deviations"] @ inputs["spread"].T
            standard = _offset(inputs, variables) + varying
            total = total + affine_normal.log_density(standard, float(inputs["log_volume"]))
        return np.asarray(total)

    def log_prior_by_parameter(self, variables: Arrays, parameters: Arrays) -> Values:
        """See `Coordinates`."""
        priors = self.priors
        standard = (parameters["coefficients"] - priors.coefficient_mean) / priors.coefficient_sd
        each = -0.5 * (standard**2 + LOG_2PI) - np.log(priors.coefficient_sd)
        varying, common = np.split(self.panel.order, [self.term.n_varying])
        by_class = each[:, :, varying].sum(axis=(1, 2, 3))
        return {
            "coefficients": np.asarray(by_class + each[:, 0, common].sum(axis=(1, 2))),
            "covariance": log_covariance_prior(
                self.term.covariance, priors.covariance_df, priors.covariance_scale, variables
            ),
        }

    def parameters(self, variables: Arrays, n_draws: int) -> Values:  # noqa: ARG002 (the class model may have none)
        """See `Coordinates`."""
        return {
            "coefficients": self.panel.coefficients(self.deviations(variables)),
            "covariance": self.covariance(variables),
        }

    def deviations(self, variables: Arrays) -> FloatArray:
        """D (S, K, p, m) of S draws of the free variables."""
        s, k, m = self.term, self.term.n_components, self.term.n_outcomes
        parts = []
        if s.n_varying:
            parts.append(variables["deviations"].reshape(-1, k, s.n_varying, m))
        if s.n_common:
            common = variables["common_deviations"].reshape(-1, 1, s.n_common, m)
            parts.append(np.repeat(common, k, axis=1))
        return np.concatenate(parts, axis=2)

    def covariance(self, variables: Arrays) -> FloatArray:
        """Covariances (S, K, m, m) in original units of S draws of the free variables."""
        half = self.panel.scale @ np.linalg.inv(self._whitener(variables)).swapaxes(-1, -2)
        return self._by_class(half @ half.swapaxes(-1, -2))

    def _whitener(self, variables: Arrays) -> FloatArray:
        """M of each covariance, see `bartlett`."""
        m, (squares_map, below_map) = self.term.n_outcomes, self.bartlett.maps
        flat = np.sqrt(variables["precision_squares"]) @ squares_map
        if "precision_below" in variables:
            flat = flat + variables["precision_below"] @ below_map
        return np.asarray(flat.reshape(*flat.shape[:-1], m, m))

    def _by_class(self, by_covariance: FloatArray) -> FloatArray:
        repeats = self.term.n_components // self.term.n_covariances
        return np.repeat(by_covariance, repeats, axis=1)

    def free_values(self, parameters: Arrays) -> Values:
        """See `Coordinates`."""
        s, panel = self.term, self.panel
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
        shared = coefficients[:, :, self.panel.order[self.term.n_varying :]]
        if np.any(np.ptp(shared, axis=1) > 1e-9 * np.abs(shared).max(axis=1)):
            raise ValueError("coefficients that are common differ between the classes.")

    def renumbered(self, points: Arrays, permutation: IntArray) -> Values:
        """See `Coordinates`."""
        by_class = {"deviations"}
        if self.term.covariance_by == "component":
            by_class |= {"precision_squares", "precision_below"}
        return {
            name: labels.permute(value, permutation, axis=1) if name in by_class else value
            for name, value in points.items()
        }

    def log_density(self, variables: Arrays) -> FloatArray:
        """See `EmissionCoordinates`."""
        panel, term = self.panel, self.term
        laid = {
            name: self._by_class(value).reshape(-1, value.shape[-1])
            for name, value in variables.items()
            if name in ("precision_squares", "precision_below")
        }
        logarithms = np.log(laid["precision_squares"]).sum(axis=-1)
        times = term.n_outcomes // term.n_squares
        log_determinant = self._log_determinant_constant - times * logarithms
        given_class = _densities(
            (panel.outcomes, panel.covariates, panel.degrees_of_freedom),
            (self.deviations(variables), self._whitener(laid), log_determinant),
        )
        # Classes first: NumPy is slow along a short last axis.
        return np.ascontiguousarray(given_class.transpose(2, 1, 0))

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """See `EmissionCoordinates`; the coordinates stay those of the fitted model."""
        panel, coefficients = self.panel, parameters["coefficients"]
        root = np.linalg.cholesky(panel.standard_covariance(parameters["covariance"]))
        half_log_determinant = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
        draws = (
            panel.deviations(coefficients),
            np.linalg.inv(root).swapaxes(-1, -2),
            2 * (half_log_determinant + panel.log_volume),
        )
        arrays = panel.standard_rows(rows.factors)
        batch = max(1, BATCH_VALUES // (arrays[0].size * self.term.n_components))
        parts = [
            _densities(arrays, [array[i : i + batch] for array in draws])
            for i in range(0, len(coefficients), batch)
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=1).transpose(1, 0, 2))


def _densities(rows: Sequence[FloatArray], classes: Sequence[FloatArray]) -> FloatArray:
    """(G, S, K) of rows and of S draws by class, which are laid out as further classes."""
    deviations, whitener, log_determinant = classes
    n_draws, k, p, m = deviations.shape
    laid = (deviations.reshape(-1, p, m), whitener.reshape(-1, m, m), log_determinant.ravel())
    return class_log_densities()(*rows, *laid).reshape(-1, n_draws, k)


def _offset(inputs: Arrays, variables: Arrays) -> FloatArray:
    """The offset of the varying deviations, which the common ones shift."""
    offset = inputs["offset"]
    if "common_deviations" not in variables:
        return offset
    return offset + (variables["common_deviations"] @ inputs["common_share"].T)[:, None, :]


def normal_coordinates(term: Structure, problem: Problem) -> NormalCoordinates:
    """Work out the constants of a normal response on a panel."""
    priors = problem.priors
    panel = standardise(problem.factors, priors, term.covariance)
    scale = panel.standard_covariance(priors.covariance_scale)
    prior = ARITHMETIC[term.covariance].prior(priors.covariance_df, scale)
    return NormalCoordinates(term, panel, prior, priors)
