"""Every iterate's exact log-likelihood, and every step against the exact step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.trace import Trace
from mixcompare.auditing.traced_problem import (
    Difference,
    TracedProblem,
    determined,
    difference,
    exact_m_step,
)
from mixcompare.backends.em.expected import Expected
from mixcompare.base.arrays import FloatArray

# Foreign programs sum over raw rows, with more rounding than sums over units.
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """An iterate in the EM's coordinates, with its exact E-step and M-step.

    Attributes
    ----------
    stated_weights
        As the foreign program gives them, also where they do not sum to one.
    """

    parameters: Parameters
    stated_weights: FloatArray
    expected: Expected
    exact: Parameters

    @property
    def stated(self) -> Parameters:
        """The parameters with the weights as stated."""
        return replace(self.parameters, weights=self.stated_weights)


def prepare_iterate(problem: TracedProblem, trace: Trace, t: int, every: int = 1) -> Iterate:
    """Exact E- and M-step, or several of both, from the iterate at position t."""
    parameters = problem.exact.from_raw(trace.parameters(t))
    expected = problem.exact.expect(parameters)
    exact = exact_m_step(problem, expected.occupancy, parameters)
    for _ in range(every - 1):
        tau = problem.exact.expect(exact).occupancy
        exact = exact_m_step(problem, tau, exact)
    return Iterate(parameters, trace.weights[t], expected, exact)


def score(
    problem: TracedProblem, trace: Trace, iterates: list[Iterate], told: list[FloatArray | None]
) -> pd.DataFrame:
    """One row per iterate; what concerns a step stands at the iterate it leads to.

    Parameters
    ----------
    told
        The foreign program's responsibilities of each step, where it tells them.

    Returns
    -------
    Columns: ``iteration``; ``log_likelihood``, exact; ``change`` from the iterate before;
    ``falls``, whether it is less by more than rounding; ``exact_change``, what the exact step
    would have gained; ``weights_error``, ``coefficients_error``, ``variance_ratio``,
    ``variance_error``: the foreign step against the exact one, see
    `mixcompare.auditing.traced_problem.Difference`; ``cost_of_weights``, ``cost_of_coefficients``,
    ``cost_of_variance``: log-likelihood that putting this exact part into the foreign iterate
    gains. With ``told``: ``responsibilities_error``, the largest difference from the exact ones,
    and the errors ``..._given_theirs`` against the exact M-step from the foreign ones. With the
    program's log-likelihood: ``own_log_likelihood``.
    """
    values = np.array([iterate.expected.log_likelihood for iterate in iterates])
    table = pd.DataFrame({"iteration": trace.iteration, "log_likelihood": values})
    table["change"] = table["log_likelihood"].diff()
    table["falls"] = table["change"] < -rounding(problem, values)
    steps = [
        _step(problem, before, after, tau)
        for before, after, tau in zip(iterates[:-1], iterates[1:], told, strict=True)
    ]
    for name in steps[0]:
        table[name] = [np.nan, *(step[name] for step in steps)]
    if all(tau is None for tau in told):
        table = table.drop(columns=[c for c in steps[0] if "theirs" in c or "responsibilit" in c])
    if trace.log_likelihood is not None:
        table["own_log_likelihood"] = trace.log_likelihood
    return table


def rounding(problem: TracedProblem, log_likelihood: FloatArray) -> FloatArray:
    """Falls that are no more than rounding."""
    size = problem.exact.model.n_values
    return np.asarray(_ROUNDING * (size + np.abs(log_likelihood)))


def step_difference(problem: TracedProblem, before: Iterate, after: Iterate) -> Difference:
    """The foreign step against the exact one."""
    kept = determined(problem, before.expected.occupancy)
    return difference(problem, after.stated, before.exact, kept)


def _step(
    problem: TracedProblem, before: Iterate, after: Iterate, tau: FloatArray | None
) -> dict[str, float]:
    given_theirs, moved = Difference(np.nan, np.nan, np.nan, np.nan), np.nan
    if tau is not None:
        wanted = exact_m_step(problem, tau, before.parameters)
        given_theirs = difference(problem, after.stated, wanted, determined(problem, tau))
        moved = float(np.abs(tau - before.expected.occupancy).max())
    foreign, exact = after.parameters, before.exact
    swapped = {
        "weights": replace(foreign, weights=exact.weights),
        "coefficients": replace(foreign, coefficients=exact.coefficients),
        "variance": replace(foreign, covariance=exact.covariance),
    }
    reached = float(after.expected.log_likelihood)
    return {
        "exact_change": log_likelihood(problem, exact) - float(before.expected.log_likelihood),
        "responsibilities_error": moved,
        **_errors(step_difference(problem, before, after)),
        **{f"{name}_given_theirs": error for name, error in _errors(given_theirs).items()},
        **{
            f"cost_of_{part}": log_likelihood(problem, parameters) - reached
            for part, parameters in swapped.items()
        },
    }


def _errors(step: Difference) -> dict[str, float]:
    return {
        "weights_error": step.weights,
        "coefficients_error": step.coefficients,
        "variance_ratio": step.ratio,
        "variance_error": step.variance,
    }


def log_likelihood(problem: TracedProblem, parameters: Parameters) -> float:
    """Exact log-likelihood; weights are made to sum to one, NaN for impossible parameters."""
    arrays = (parameters.weights, parameters.coefficients, parameters.covariance)
    total = parameters.weights.sum()
    if not all(np.isfinite(a).all() for a in arrays) or total <= 0:
        return np.nan
    if np.linalg.eigvalsh(parameters.covariance)[:, 0].min() <= 0:
        return np.nan
    normalised = Parameters(parameters.weights / total, *arrays[1:])
    return float(problem.exact.expect(normalised).log_likelihood)
