"""The term of normal outcomes: coefficients and covariances in coordinates fit for sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pymc as pm
import pytensor.tensor as pt

from mixcompare.backends.pymc.affine_normal import affine_normal
from mixcompare.backends.pymc.coordinates import Arrays, Graphs
from mixcompare.backends.pymc.emissions.normal_coordinates import (
    NormalCoordinates,
    normal_coordinates,
)
from mixcompare.backends.pymc.emissions.normal_density import class_log_density
from mixcompare.backends.pymc.emissions.structure import Structure
from mixcompare.backends.pymc.emissions.terms import EmissionTerm
from mixcompare.prepared.problem import Problem


@dataclass(frozen=True, slots=True)
class NormalTerm(Structure, EmissionTerm):
    """See `mixcompare.backends.pymc.emissions.terms.EmissionTerm`.

    The free variables are those of `Structure.shapes`: ``common_deviations`` and ``deviations``
    (component, direction x contrast; see `standard_panel`), ``precision_squares`` and
    ``precision_below`` (see `bartlett`; one row per covariance). Deterministics in original
    units: ``coefficients``, ``covariance``.
    """

    @classmethod
    def of(cls, problem: Problem, response: int) -> Self:  # noqa: ARG003
        """The term of a problem's only normal response."""
        spec, prepared = problem.spec, problem.factors
        n_common = len(prepared.common_names)
        sizes = (prepared.n_covariates - n_common, n_common, prepared.n_outcomes)
        return cls(spec.n_components, *sizes, spec.covariance, spec.covariance_by)

    @property
    def open_lengths(self) -> dict[str, int]:
        """See `EmissionTerm`: numbers of units and of their rows."""
        return {"observed": 2, "covariates": 2, "degrees_of_freedom": 1}

    def inputs(self, problem: Problem, response: int) -> Arrays:
        """See `EmissionTerm`."""
        return self.coordinates(problem, response).inputs()

    def coordinates(self, problem: Problem, response: int) -> NormalCoordinates:  # noqa: ARG002
        """Arithmetic by hand, which is faster than the graph's."""
        return normal_coordinates(self, problem)

    def variables(self, data: Graphs, dims: Mapping[str, Any]) -> dict[str, Any]:
        """Deviations (K, p, m), whitener (K, m, m) and log|Sigma| (K,)."""
        return {"deviations": self._deviations(data, dims), **self._covariances(data, dims)}

    def log_density(self, variables: Graphs, data: Graphs) -> Any:
        """(G, K), see `mixcompare.backends.pymc.emissions.normal_density.class_log_density`."""
        rows = [data[name] for name in ("observed", "covariates", "degrees_of_freedom")]
        names = ("deviations", "whitener", "log_determinant")
        return class_log_density(rows, [variables[name] for name in names])

    def _deviations(self, data: Graphs, dims: Mapping[str, Any]) -> Any:
        """Deviations from the pooled fit; zero, the pooled fit, is the start."""
        k, m = self.n_components, self.n_outcomes
        blocks, offset = [], data.get("offset")
        if self.n_common:
            names = ("common_offset", "common_spread", "common_log_volume")
            shape = (k, self.n_common, m)
            terms = [data[name] for name in names]
            common = affine_normal("common_deviations", terms, (self.n_common * m,))
            blocks.append(pt.broadcast_to(common.reshape(shape[1:])[None], shape))
            if self.n_varying:
                offset = offset + data["common_share"] @ common
        if self.n_varying:
            terms = [offset, data["spread"], data["log_volume"]]
            varying = affine_normal("deviations", terms, (k, self.n_varying * m))
            blocks.insert(0, varying.reshape((k, self.n_varying, m)))
        deviations = blocks[0] if len(blocks) == 1 else pt.concatenate(blocks, axis=1)
        coefficients = data["centre"] + data["directions"] @ deviations @ data["scale"].T
        pm.Deterministic("coefficients", coefficients, dims=dims["coefficients"])
        return deviations

    def _covariances(self, data: Graphs, dims: Mapping[str, Any]) -> dict[str, Any]:
        """Whitener and log|Sigma|, both repeated where classes share them; see `bartlett`."""
        m, k, rows = self.n_outcomes, self.n_components, self.n_covariances
        shape = (rows, self.n_squares)
        squares = pm.ChiSquared("precision_squares", data["squares_df"], shape=shape)
        flat = pt.sqrt(squares) @ data["squares_map"]
        if self.n_below:
            below = pm.Normal("precision_below", shape=(rows, self.n_below))
            flat = flat + below @ data["below_map"]
        whitener = flat.reshape((-1, m, m))
        logarithms = pt.log(squares).sum(axis=-1)
        log_determinant = data["log_determinant_constant"] - (m // self.n_squares) * logarithms
        if rows < k:
            whitener = pt.broadcast_to(whitener, (k, m, m))
            log_determinant = pt.broadcast_to(log_determinant, (k,))
        half = data["scale"] @ pt.linalg.inv(whitener).mT
        pm.Deterministic("covariance", half @ half.mT, dims=dims["covariance"])
        return {"whitener": whitener, "log_determinant": log_determinant}
