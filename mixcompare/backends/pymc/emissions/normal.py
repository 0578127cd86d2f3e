"""The term of normal outcomes: coefficients and covariances in coordinates fit for sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pymc as pm
import pytensor.tensor as pt

from mixcompare.backends.pymc.affine_normal import affine_normal
from mixcompare.backends.pymc.emissions.bartlett import log_determinant, whitener
from mixcompare.backends.pymc.emissions.normal_coordinates import (
    NormalCoordinates,
    normal_coordinates,
)
from mixcompare.backends.pymc.emissions.normal_density import class_log_density
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.backends.pymc.emissions.terms import EmissionTerm
from mixcompare.base.arrays import FloatArray
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True)
class NormalTerm(EmissionTerm):
    """See `mixcompare.backends.pymc.emissions.terms.EmissionTerm`.

    The free variables are those of `Structure.shapes`: ``common_deviations`` and ``deviations``
    (component, direction x contrast; see `standard_panel`), ``precision_squares`` and
    ``precision_below`` (see `bartlett`; one row per covariance). Deterministics in original
    units: ``coefficients``, ``covariance``.
    """

    structure: Structure

    @classmethod
    def of(cls, problem: Problem, response: int) -> Self:  # noqa: ARG003
        """The term of a problem's only normal response."""
        spec, prepared = problem.spec, problem.factors
        n_common = len(prepared.common_names)
        return cls(
            Structure(
                n_components=spec.n_components,
                n_varying=prepared.n_covariates - n_common,
                n_common=n_common,
                n_outcomes=prepared.n_outcomes,
                covariance=spec.covariance,
                covariance_by=spec.covariance_by,
            )
        )

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """See `Structure.input_shapes`."""
        return self.structure.input_shapes

    def inputs(self, problem: Problem, response: int) -> Mapping[str, FloatArray]:
        """Everything numeric that the graph reads."""
        return self.coordinates(problem, response).inputs()

    def coordinates(self, problem: Problem, response: int) -> NormalCoordinates:  # noqa: ARG002
        """Arithmetic by hand, which is faster than the graph's."""
        return normal_coordinates(self, self.structure, problem)

    def variables(self, data: Mapping[str, Any], dims: Mapping[str, Any]) -> dict[str, Any]:
        """Deviations (K, p, m), whitener (K, m, m) and log|Sigma| (K,)."""
        return {
            "deviations": self._deviations(data, dims),
            **self._covariances(data, dims),
        }

    def log_density(self, variables: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """(G, K), see `mixcompare.backends.pymc.emissions.normal_density.class_log_density`."""
        return class_log_density(
            data["observed"],
            data["covariates"],
            data["degrees_of_freedom"],
            variables["deviations"],
            variables["whitener"],
            variables["log_determinant"],
        )

    def _deviations(self, data: Mapping[str, Any], dims: Mapping[str, Any]) -> Any:
        """Deviations from the pooled fit; zero, the pooled fit, is the start."""
        s = self.structure
        k, m = s.n_components, s.n_outcomes
        blocks, offset = [], data.get("offset")
        if s.n_common:
            q = s.n_common * m
            names = ("common_offset", "common_spread", "common_log_volume")
            common = affine_normal("common_deviations", [data[n] for n in names], (q,))
            shape = (k, s.n_common, m)
            blocks.append(pt.broadcast_to(common.reshape(shape[1:])[None], shape))
            if s.n_varying:
                offset = offset + data["common_share"] @ common
        if s.n_varying:
            terms = [offset, data["spread"], data["log_volume"]]
            varying = affine_normal("deviations", terms, (k, s.n_varying * m))
            blocks.insert(0, varying.reshape((k, s.n_varying, m)))
        deviations = blocks[0] if len(blocks) == 1 else pt.concatenate(blocks, axis=1)
        pm.Deterministic(
            "coefficients",
            data["centre"] + data["directions"] @ deviations @ data["scale"].T,
            dims=dims["coefficients"],
        )
        return deviations

    def _covariances(self, data: Mapping[str, Any], dims: Mapping[str, Any]) -> dict[str, Any]:
        """Whitener and log|Sigma|, both repeated where classes share them."""
        s = self.structure
        m, k, rows = s.n_outcomes, s.n_components, s.n_covariances
        squares = pm.ChiSquared("precision_squares", data["squares_df"], shape=(rows, s.n_squares))
        below = None
        if s.n_below:
            below = pm.Normal("precision_below", shape=(rows, s.n_below))
        whitening = whitener(squares, below, (data["squares_map"], data.get("below_map")), m)
        constant = data["log_determinant_constant"]
        log_determinants = log_determinant(squares, constant, m, s.n_squares)
        if rows < k:
            whitening = pt.broadcast_to(whitening, (k, m, m))
            log_determinants = pt.broadcast_to(log_determinants, (k,))
        half = data["scale"] @ pt.linalg.inv(whitening).mT
        pm.Deterministic("covariance", half @ half.mT, dims=dims["covariance"])
        return {"whitener": whitening, "log_determinant": log_determinants}
