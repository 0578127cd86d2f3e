"""The audited model on its data, and distances between parameters in standard units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import mixcompare.auditing.candidates  # noqa: F401 (fills the registry)
from mixcompare.auditing.assigned import Assigned, count
from mixcompare.auditing.candidates.scatters import Divided
from mixcompare.auditing.densities import Past, densities
from mixcompare.auditing.exact_steps import ExactSteps
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import REGISTRY, Candidate, Stage
from mixcompare.auditing.regression import regress
from mixcompare.auditing.rows import Rows, build_rows
from mixcompare.backends.em.mixture import DegenerateComponentError
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.model.capabilities import require
from mixcompare.model.covariances import nearest
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.identification import check_identified
from mixcompare.prepared.problem import Problem

CountsWhat = Literal["contrasts", "rows"]


@dataclass(frozen=True, slots=True, eq=False)
class TracedProblem:
    """Specification, data in the EM's coordinates, raw rows.

    Attributes
    ----------
    size
        (p, p) map from whitened coefficients to raw ones times their column's size.
    """

    spec: MixtureSpec
    exact: ExactSteps
    rows: Rows
    size: FloatArray

    @property
    def by_component(self) -> bool:
        """Whether every class has a covariance of its own."""
        return self.spec.covariance_by == "component"

    def past(self, iterates: tuple[Parameters, ...]) -> Past:
        """Iterates, the start first, as candidates take them."""
        return Past(iterates, self.rows.raw_scale, self.by_component)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """How far one step's result is from another's.

    Attributes
    ----------
    weights
        Largest absolute difference.
    coefficients
        Largest difference, in residual standard deviations of the pooled fit per standard
        deviation of the covariate.
    variance
        Largest logarithm of a ratio of variances in any direction.
    ratio
        Geometric mean of the ratios of the (generalised) variances.
    """

    weights: float
    coefficients: float
    variance: float
    ratio: float

    @property
    def largest(self) -> float:
        """The worst part."""
        return max(self.weights, self.coefficients, self.variance)


def build_problem(spec: MixtureSpec, panel: Panel, counts: CountsWhat) -> TracedProblem:
    """Compress and standardise; ``"rows"`` makes the likelihood count all rows.

    Raises
    ------
    DataError
        If the data do not identify the model, or it has parts that the audit cannot judge.
    """
    require(spec, "the audit")
    problem = Problem.of(spec, panel)
    check_identified(problem)
    prepared = problem.factors
    exact = ExactSteps.of(spec, prepared)
    if counts == "rows":
        exact = exact.counting(prepared.n_rows.astype(float))
    data = exact.data
    p = prepared.n_covariates
    column = np.hypot(prepared.column_sd, prepared.column_mean)[:p]
    spread = np.where(prepared.column_sd[:p] > 0, prepared.column_sd[:p], column)
    return TracedProblem(spec, exact, build_rows(panel, data), spread[:, None] * data.unwhiten)


def exact_m_step(problem: TracedProblem, tau: FloatArray, before: Parameters) -> Parameters:
    """The M-step; an emptied class, which has none, keeps what rounding gives it."""
    try:
        return problem.exact.maximise(tau)
    except DegenerateComponentError:
        chosen = {stage: known[0] for stage, known in REGISTRY.items()}
        made = perform(problem, chosen, problem.past((before,)), tau)
        assert made is not None
        return made


def determined(problem: TracedProblem, tau: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose exact M-step is more than rounding."""
    return regress(problem.rows, "exact", tau).determined


def assign(
    problem: TracedProblem, chosen: Mapping[Stage, Candidate], past: Past | None
) -> FloatArray | None:
    """Responsibilities of an E-step's candidates, None where they make no sense."""
    parameters = None if past is None else chosen["parameters"](past)
    name = chosen["expectation data"](problem.rows)
    if name is None or parameters is None:
        return None
    try:
        normal = densities(problem.rows, name, parameters, problem.by_component)
        changed = chosen["density"](normal)
    except np.linalg.LinAlgError:
        return None
    found = None if changed is None else chosen["expectation"](changed)
    return None if found is None else np.asarray(found)


def perform(
    problem: TracedProblem,
    chosen: Mapping[Stage, Candidate],
    past: Past,
    tau: FloatArray | None = None,
) -> Parameters | None:
    """One whole step of the chosen candidates, on the raw rows; None where they make no sense.

    Parameters
    ----------
    past
        The iterates up to the one that the step starts from.
    tau
        Responsibilities to use in place of the E-step's.
    """
    if tau is None:
        tau = assign(problem, chosen, past)
    if tau is None:
        return None
    given = Assigned(problem.rows, tau, past.now, lambda: assign(problem, chosen, past.earlier))
    weights = chosen["weights"](given)
    rows_weight = chosen["alignment"](given)
    version = chosen["data"](problem.rows)
    if weights is None or rows_weight is None or version is None:
        return None
    regression = chosen["penalty"](given, regress(problem.rows, version, rows_weight))
    squares = chosen["residuals"](given, regression)
    if squares is None:
        return None
    counts = count(given, squares.weights, shared=not problem.by_component)
    divisor = chosen["divisor"](counts)
    if divisor is None:
        return None
    divided = Divided(
        structured(problem.spec, squares.values, divisor),
        counts.weighted_rows,
        problem.rows.raw_scale,
        past.now.covariance,
        regression.determined,
    )
    covariance = chosen["covariance"](divided)
    return None if covariance is None else Parameters(weights, regression.coefficients, covariance)


def structured(spec: MixtureSpec, scatter: FloatArray, divisor: FloatArray) -> FloatArray:
    """(K, m, m) covariances of the structure from cross-products and divisors."""
    if spec.covariance_by == "shared":
        scatter = np.broadcast_to(scatter.sum(axis=0), scatter.shape)
    with np.errstate(all="ignore"):
        covariance = scatter / divisor[:, None, None]
        return nearest(spec.covariance, covariance)


def difference(
    problem: TracedProblem, found: Parameters, wanted: Parameters, own: NDArray[np.bool_]
) -> Difference:
    """Distance of a foreign step's result from a candidate's.

    Parameters
    ----------
    own
        (K,) classes whose coefficients and variances are more than rounding; others are not
        compared.
    """
    kept = compared_variances(problem, own)
    log_ratio = variance_log_ratio(found.covariance[kept], wanted.covariance[kept])
    return Difference(
        _largest(found.weights - wanted.weights),
        coefficient_difference(problem, found.coefficients, wanted.coefficients, own),
        _largest(log_ratio),
        float(np.exp(log_ratio.mean())) if log_ratio.size else np.nan,
    )


def coefficient_difference(
    problem: TracedProblem, found: FloatArray, wanted: FloatArray, own: NDArray[np.bool_]
) -> float:
    """Largest difference of the coefficients of the classes that determine them."""
    return _largest(problem.size @ (found - wanted)[own])


def compared_variances(problem: TracedProblem, own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(K,) which covariances to compare: of these classes, the first one if shared."""
    return own if problem.by_component else np.arange(len(own)) == 0


def variance_log_ratio(found: FloatArray, wanted: FloatArray) -> FloatArray:
    """(..., K, m) logarithms of the variance ratios along their principal directions.

    Parameters
    ----------
    found
        (K, m, m), positive definite: those of the foreign program.
    wanted
        (..., K, m, m); infinite where they are not positive definite.
    """
    values = np.full(wanted.shape[:-1], np.inf)
    usable = np.isfinite(wanted).all(axis=(-1, -2))
    with np.errstate(all="ignore"):
        if found.shape[-1] == 1:
            ratio = found[..., 0] / wanted[..., 0]
        else:
            try:
                root = np.linalg.inv(np.linalg.cholesky(found))
            except np.linalg.LinAlgError:
                return values
            relative = root @ np.where(usable[..., None, None], wanted, found) @ root.mT
            usable &= np.isfinite(relative).all(axis=(-1, -2))
            relative = np.where(usable[..., None, None], relative, np.eye(found.shape[-1]))
            ratio = 1 / np.linalg.eigvalsh(relative)
        usable &= (np.isfinite(ratio) & (ratio > 0)).all(axis=-1)
        values[usable] = np.log(ratio[usable])
    return values


def _largest(values: FloatArray) -> float:
    if not values.size:  # nothing to compare proves nothing
        return np.inf
    return float(np.max(np.where(np.isfinite(values), np.abs(values), np.inf)))
