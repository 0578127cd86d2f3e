"""The audited model on its data, and distances between parameters in standard units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import mixcompare.auditing.divisors  # noqa: F401 (fills the registry)
from mixcompare.auditing.expectation import densities
from mixcompare.auditing.maximisation import Assigned, Counts
from mixcompare.auditing.registry import REGISTRY, Candidate, Stage
from mixcompare.auditing.regression import Regression, regress
from mixcompare.auditing.rows import Rows, build_rows
from mixcompare.backends.em.maximisation import DegenerateComponentError, m_step
from mixcompare.backends.em.parameters import Parameters
from mixcompare.backends.em.standardise import Standardised, standardise
from mixcompare.compress import compress
from mixcompare.covariances import nearest
from mixcompare.errors import DataError
from mixcompare.identification import check_identified
from mixcompare.panel import FloatArray, Panel
from mixcompare.spec import MixtureSpec

CountsWhat = Literal["contrasts", "rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Specification, data in the EM's coordinates, raw rows.

    Attributes
    ----------
    size
        (p, p) map from whitened coefficients to raw ones times their column's size.
    """

    spec: MixtureSpec
    data: Standardised
    rows: Rows
    size: FloatArray

    @property
    def by_component(self) -> bool:
        """Whether every class has a covariance of its own."""
        return self.spec.covariance_by == "component"


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


def build_problem(spec: MixtureSpec, panel: Panel, counts: CountsWhat) -> Problem:
    """Compress and standardise; ``"rows"`` makes the likelihood count all rows.

    Raises
    ------
    DataError
        If the data do not identify the model, or it has parts that the audit cannot judge.
    """
    for name in ("common", "membership", "unit_weights"):
        if getattr(spec, name) is not None:
            raise DataError(
                f"the audit knows no {name} ({getattr(spec, name)!r}): its candidates for each "
                "step are those of models without it. Audit a fit of such a model."
            )
    prepared = compress(panel)
    check_identified(spec, prepared)
    data = standardise(spec, prepared)
    if counts == "rows":
        data = replace(data, degrees_of_freedom=prepared.n_rows.astype(float))
    p = prepared.n_covariates
    column = np.hypot(prepared.column_sd, prepared.column_mean)[:p]
    spread = np.where(prepared.column_sd[:p] > 0, prepared.column_sd[:p], column)
    return Problem(spec, data, build_rows(panel, data), spread[:, None] * data.unwhiten)


def exact_m_step(problem: Problem, tau: FloatArray, before: Parameters) -> Parameters:
    """The M-step; an emptied class, which has none, keeps what rounding gives it."""
    try:
        return m_step(problem.spec, problem.data, tau)
    except DegenerateComponentError:
        chosen = {stage: known[0] for stage, known in REGISTRY.items()}
        return perform(problem, chosen, before, tau)


def determined(problem: Problem, tau: FloatArray) -> NDArray[np.bool_]:
    """(K,) classes whose exact M-step is more than rounding."""
    return regress(problem.rows, "exact", tau).determined


def assign(
    problem: Problem, chosen: Mapping[Stage, Candidate], before: Parameters
) -> FloatArray | None:
    """Responsibilities of an E-step's candidates, None where they make no sense."""
    name = chosen["expectation data"].function(problem.rows)
    if name is None:
        return None
    normal = densities(problem.rows, name, before, problem.by_component)
    changed = chosen["density"].function(normal)
    found = None if changed is None else chosen["expectation"].function(changed)
    return None if found is None else np.asarray(found)


def perform(
    problem: Problem,
    chosen: Mapping[Stage, Candidate],
    before: Parameters,
    tau: FloatArray | None = None,
) -> Parameters:
    """One whole step of the chosen candidates, on the raw rows.

    Parameters
    ----------
    tau
        Responsibilities to use in place of the E-step's.
    """
    if tau is None:
        tau = assign(problem, chosen, before)
    if tau is None:
        raise ValueError("the chosen E-step does not apply to these data")
    given = Assigned(problem.rows, tau, before)
    rows_weight = chosen["alignment"].function(given)
    version = chosen["data"].function(problem.rows)
    regression = regress(problem.rows, version, rows_weight)
    scatter = chosen["residuals"].function(given, regression)
    divisor = chosen["divisor"].function(count(problem, given, regression))
    return Parameters(
        chosen["weights"].function(given),
        regression.coefficients,
        structured(problem.spec, scatter, divisor),
    )


def count(problem: Problem, given: Assigned, regression: Regression) -> Counts:
    """Divisors' ingredients; pooled over the classes if the variance is."""
    rows, tau = problem.rows, given.responsibilities
    aligned_mass = rows.n_rows @ tau
    share = rows.degrees_of_freedom @ tau / np.maximum(aligned_mass, np.finfo(float).tiny)
    misaligned = not np.allclose(regression.mass, aligned_mass, rtol=1e-9)
    if misaligned:  # each row stands for the average row's degrees of freedom
        share = np.full_like(share, rows.degrees_of_freedom.sum() / rows.total)
    contrasts, mass, units = regression.mass * share, regression.mass, tau.sum(axis=0)
    if not problem.by_component:
        contrasts, mass, units = (np.full_like(v, v.sum()) for v in (contrasts, mass, units))
    k = problem.spec.n_components
    # What singular values statsmodels takes for zero, relative to the largest.
    kept = regression.mass > (k * rows.n_covariates * np.finfo(float).eps) ** 2 * max(mass.max(), 0)
    return Counts(
        contrasts,
        mass,
        units,
        rows.total,
        rows.n_covariates,
        int(kept.sum()) * rows.n_covariates,
        k,
        not problem.by_component,
    )


def structured(spec: MixtureSpec, scatter: FloatArray, divisor: FloatArray) -> FloatArray:
    """(K, m, m) covariances of the structure from cross-products and divisors."""
    if spec.covariance_by == "shared":
        scatter = np.broadcast_to(scatter.sum(axis=0), scatter.shape)
    with np.errstate(all="ignore"):
        covariance = scatter / divisor[:, None, None]
        return nearest(spec.covariance, covariance)


def difference(
    problem: Problem, found: Parameters, wanted: Parameters, own: NDArray[np.bool_]
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
    problem: Problem, found: FloatArray, wanted: FloatArray, own: NDArray[np.bool_]
) -> float:
    """Largest difference of the coefficients of the classes that determine them."""
    return _largest(problem.size @ (found - wanted)[own])


def compared_variances(problem: Problem, own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(K,) which covariances to compare: of these classes, the first one if shared."""
    return own if problem.by_component else np.arange(len(own)) == 0


def variance_log_ratio(found: FloatArray, wanted: FloatArray) -> FloatArray:
    """(K, m) logarithms of the variance ratios along their principal directions."""
    if found.shape[-1] == 1:
        with np.errstate(all="ignore"):
            return np.asarray(np.log(found[:, 0] / wanted[:, 0]))
    values = np.full(found.shape[:2], np.inf)
    for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if np.isfinite(b).all() and np.linalg.eigvalsh(b)[0] > 0:
            values[i] = np.log(np.linalg.eigvals(np.linalg.solve(b, a)).real)
    return values


def _largest(values: FloatArray) -> float:
    if not values.size:  # nothing to compare proves nothing
        return np.inf
    return float(np.max(np.where(np.isfinite(values), np.abs(values), np.inf)))
