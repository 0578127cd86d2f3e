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
from mixcompare.auditing.registry import MADE, Candidate, Part, Stage, exact
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
        return Past(iterates, self.by_component)


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

    def size(self, part: Part) -> float:
        """That of a part as findings have it: of the variance its ratio."""
        return float(getattr(self, "ratio" if part == "variance" else part))

    def within(self, tolerance: float, slack: Mapping[Part, float]) -> bool:
        """Whether every part is, up to so many times the tolerance, once if it is not named."""
        return all(getattr(self, part) <= tolerance * slack.get(part, 1.0) for part in MADE)


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
    steps = ExactSteps.of(spec, prepared)
    if counts == "rows":
        steps = steps.counting(prepared.n_rows.astype(float))
    data = steps.data
    p = prepared.n_covariates
    column = np.hypot(prepared.column_sd, prepared.column_mean)[:p]
    spread = np.where(prepared.column_sd[:p] > 0, prepared.column_sd[:p], column)
    return TracedProblem(spec, steps, build_rows(panel, data), spread[:, None] * data.unwhiten)


def exact_m_step(problem: TracedProblem, tau: FloatArray, before: Parameters) -> Parameters:
    """The M-step; an emptied class, which has none, keeps what rounding gives it."""
    try:
        return problem.exact.maximise(tau)
    except DegenerateComponentError:
        rounded = perform(problem, exact(), problem.past((before,)), tau)
        assert rounded is not None
        return rounded


def determined(problem: TracedProblem, tau: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose exact M-step is more than rounding."""
    return regress(problem.rows, "exact", tau).determined


def assign(
    problem: TracedProblem, step: Mapping[Stage, Candidate], past: Past | None
) -> FloatArray | None:
    """Responsibilities of an E-step's candidates, None where they make no sense."""
    parameters = None if past is None else step["parameters"](past)
    name = step["expectation data"](problem.rows)
    if name is None or parameters is None:
        return None
    try:
        normal = densities(problem.rows, name, parameters, problem.by_component)
        changed = step["density"](normal)
    except np.linalg.LinAlgError:
        return None
    tau: FloatArray | None = None if changed is None else step["expectation"](changed)
    return tau


def perform(
    problem: TracedProblem,
    step: Mapping[Stage, Candidate],
    past: Past,
    tau: FloatArray | None = None,
) -> Parameters | None:
    """One whole step of candidates, on the raw rows; None where they make no sense.

    Parameters
    ----------
    past
        The iterates up to the one that the step starts from.
    tau
        Responsibilities to use in place of the E-step's.
    """
    if tau is None:
        tau = assign(problem, step, past)
    if tau is None:
        return None
    given = Assigned(problem.rows, tau, past.now, lambda: assign(problem, step, past.earlier))
    weights, rows_weight = step["weights"](given), step["alignment"](given)
    version = step["data"](problem.rows)
    if weights is None or rows_weight is None or version is None:
        return None
    regression = step["penalty"](given, regress(problem.rows, version, rows_weight))
    squares = step["residuals"](given, regression)
    if squares is None:
        return None
    counts = count(given, squares.weights, shared=not problem.by_component)
    divisor = step["divisor"](counts)
    if divisor is None:
        return None
    divided = Divided(
        structured(problem.spec, squares.values, np.broadcast_to(divisor, len(tau.T))),
        counts.weighted_rows,
        problem.rows.raw_scale,
        past.now.covariance,
        regression.determined,
    )
    covariance = step["covariance"](divided)
    return None if covariance is None else Parameters(weights, regression.coefficients, covariance)


def structured(spec: MixtureSpec, scatter: FloatArray, divisor: FloatArray) -> FloatArray:
    """(K, m, m) covariances of the structure from cross-products and divisors."""
    if spec.covariance_by == "shared":
        scatter = np.broadcast_to(scatter.sum(axis=0), scatter.shape)
    with np.errstate(all="ignore"):
        covariance = scatter / divisor[:, None, None]
        return nearest(spec.covariance, covariance)


def difference(
    problem: TracedProblem,
    foreign: Parameters,
    wanted: Parameters,
    determined: NDArray[np.bool_],
) -> Difference:
    """Distance of a foreign step's result from a candidate's.

    Parameters
    ----------
    determined
        (K,) classes whose coefficients and variances are more than rounding; others are not
        compared.
    """
    compared = compared_variances(problem, determined)
    log_ratio = variance_log_ratio(foreign.covariance[compared], wanted.covariance[compared])
    return Difference(
        _largest(foreign.weights - wanted.weights),
        coefficient_difference(problem, foreign.coefficients, wanted.coefficients, determined),
        _largest(log_ratio),
        float(np.exp(log_ratio.mean())) if log_ratio.size else np.nan,
    )


def coefficient_difference(
    problem: TracedProblem,
    foreign: FloatArray,
    wanted: FloatArray,
    determined: NDArray[np.bool_],
) -> float:
    """Largest difference of the coefficients of the classes that determine them."""
    return _largest(problem.size @ (foreign - wanted)[determined])


def compared_variances(problem: TracedProblem, determined: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(K,) which covariances to compare: of these classes, the first one if shared."""
    return determined if problem.by_component else np.arange(len(determined)) == 0


def variance_log_ratio(foreign: FloatArray, wanted: FloatArray) -> FloatArray:
    """(..., K, m) logarithms of the variance ratios along their principal directions.

    Parameters
    ----------
    foreign
        (K, m, m), positive definite: those of the foreign program.
    wanted
        (..., K, m, m); infinite where they are not positive definite.
    """
    values = np.full(wanted.shape[:-1], np.inf)
    usable = np.isfinite(wanted).all(axis=(-1, -2))
    with np.errstate(all="ignore"):
        if foreign.shape[-1] == 1:
            ratio = foreign[..., 0] / wanted[..., 0]
        else:
            try:
                root = np.linalg.inv(np.linalg.cholesky(foreign))
            except np.linalg.LinAlgError:
                return values
            relative = root @ np.where(usable[..., None, None], wanted, foreign) @ root.mT
            usable &= np.isfinite(relative).all(axis=(-1, -2))
            relative = np.where(usable[..., None, None], relative, np.eye(foreign.shape[-1]))
            ratio = 1 / np.linalg.eigvalsh(relative)
        usable &= (np.isfinite(ratio) & (ratio > 0)).all(axis=-1)
        values[usable] = np.log(ratio[usable])
    return values


def _largest(values: FloatArray) -> float:
    if not values.size:  # nothing to compare proves nothing
        return np.inf
    return float(np.max(np.where(np.isfinite(values), np.abs(values), np.inf)))
