"""A specification on a panel as numbers: what the model's graph is fed with, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mixcompare.backends.pymc.bartlett import BartlettPrior
from mixcompare.backends.pymc.covariances import bartlett_prior
from mixcompare.backends.pymc.data import StandardPanel, standardise
from mixcompare.backends.pymc.membership import MembershipMap, membership_map
from mixcompare.backends.pymc.structure import Structure, structure_of
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import ResolvedPriors, resolve_priors


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Constants of one mixture.

    Attributes
    ----------
    structure
        What the graph depends on.
    panel, bartlett, membership
        Data and priors in the sampler's coordinates; membership is None without covariates.
    priors
        The priors in original units.
    """

    structure: Structure
    panel: StandardPanel
    bartlett: BartlettPrior
    membership: MembershipMap | None
    priors: ResolvedPriors

    def inputs(self) -> dict[str, FloatArray]:
        """Everything numeric that the graph reads, by the name of its ``pm.Data``."""
        panel, priors = self.panel, self.priors
        squares_map, below_map = self.bartlett.maps
        constant = self.bartlett.log_determinant_constant + 2 * panel.log_volume
        named = {
            "observed": panel.outcomes,
            "covariates": panel.covariates,
            "degrees_of_freedom": panel.degrees_of_freedom,
            "unit_weights": panel.unit_weights,
            "centre": panel.centre,
            "directions": panel.directions,
            "scale": panel.scale,
            "concentration": np.full(self.structure.n_components, priors.concentration),
            "squares_df": self.bartlett.degrees_of_freedom,
            "squares_map": squares_map,
            "below_map": below_map,
            "log_determinant_constant": np.asarray(constant),
            **self._coefficient_prior(),
            **self._membership_prior(),
        }
        return {name: named[name] for name in self.structure.input_shapes}

    def _membership_prior(self) -> dict[str, FloatArray]:
        if self.membership is None:
            return {"membership_log_volume": np.zeros(())}
        spread = self.membership.spread
        return {
            "concomitants": self.membership.concomitants,
            "unmix": self.membership.unmix,
            "membership_spread": spread,
            "membership_log_volume": np.asarray(_log_volume(spread)),
        }

    def _coefficient_prior(self) -> dict[str, FloatArray]:
        """Linear maps of the deviations that are standard normal under the prior."""
        panel, priors = self.panel, self.priors
        order, m = panel.order, panel.centre.shape[1]
        sd = priors.coefficient_sd[order].reshape(-1)
        offset = (panel.centre - priors.coefficient_mean)[order].reshape(-1) / sd
        spread = np.kron(panel.directions[order], panel.scale) / sd[:, None]
        own = self.structure.n_varying * m
        return {
            "offset": offset[:own],
            "spread": spread[:own, :own],
            # The varying coefficients also contain the common directions' deviations.
            "common_share": spread[:own, own:],
            "log_volume": np.asarray(_log_volume(spread[:own, :own])),
            "common_offset": offset[own:],
            "common_spread": spread[own:, own:],
            "common_log_volume": np.asarray(_log_volume(spread[own:, own:])),
        }

    def free_values(
        self,
        weights: FloatArray,
        coefficients: FloatArray,
        covariance: FloatArray,
        membership_coefficients: FloatArray | None = None,
    ) -> dict[str, FloatArray]:
        """The model's free variables at parameters in original units.

        Raises
        ------
        ValueError
            If the parameters do not have the structure of the specification.
        """
        structure, panel = self.structure, self.panel
        standard = panel.standard_covariance(covariance[: structure.n_covariances])
        squares, below = self.bartlett.from_covariance(standard)
        deviations = panel.deviations(coefficients)
        common = deviations[0, structure.n_varying :].reshape(-1)
        values = {
            "weights": np.asarray(weights, dtype=float),
            "common_deviations": common,
            "deviations": deviations[:, : structure.n_varying].reshape(len(deviations), -1),
            "precision_squares": squares,
            "precision_below": below,
        }
        if self.membership is not None:
            if membership_coefficients is None:
                raise ValueError("the model needs membership_coefficients.")
            values["membership"] = self.membership.from_coefficients(membership_coefficients)
        free = {name: values[name] for name in structure.shapes}
        self._check(free, coefficients, covariance)
        return free

    def _check(
        self, free: Mapping[str, FloatArray], coefficients: FloatArray, covariance: FloatArray
    ) -> None:
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        implied = self.covariance({name: value[None] for name, value in free.items()})
        if np.max(np.abs(implied[0] - covariance) / (sd[:, :, None] * sd[:, None, :])) > 1e-6:
            raise ValueError("covariance does not have the structure of the specification.")
        shared = coefficients[:, self.panel.order[self.structure.n_varying :]]
        if np.any(np.ptp(shared, axis=0) > 1e-9 * np.abs(shared).max(axis=0)):
            raise ValueError("coefficients that are common differ between the classes.")

    def deviations(self, variables: Mapping[str, FloatArray]) -> FloatArray:
        """D (S, K, p, m) of S draws of the free variables."""
        s, k, m = self.structure, self.structure.n_components, self.structure.n_outcomes
        parts = []
        if s.n_varying:
            parts.append(variables["deviations"].reshape(-1, k, s.n_varying, m))
        if s.n_common:
            common = variables["common_deviations"].reshape(-1, 1, s.n_common, m)
            parts.append(np.repeat(common, k, axis=1))
        return np.concatenate(parts, axis=2)

    def covariance(self, variables: Mapping[str, FloatArray]) -> FloatArray:
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


def build_mixture(spec: MixtureSpec, prepared: PreparedPanel) -> Mixture:
    """Work out the constants of a specification on a panel.

    Parameters
    ----------
    spec
        The model and its priors.
    prepared
        Its data.
    """
    priors = resolve_priors(spec, prepared)
    panel = standardise(prepared, priors, spec.covariance)
    scale = panel.standard_covariance(priors.covariance_scale)
    membership = None
    if priors.membership_precision is not None:
        membership = membership_map(prepared, priors.membership_precision, spec.n_components)
    return Mixture(
        structure=structure_of(spec, prepared),
        panel=panel,
        bartlett=bartlett_prior(spec.covariance, priors.covariance_df, scale),
        membership=membership,
        priors=priors,
    )


def _log_volume(matrix: FloatArray) -> float:
    return float(np.linalg.slogdet(matrix)[1])
