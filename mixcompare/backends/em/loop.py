"""The EM iteration from one start, with its status as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixcompare.backends.em.options import Options
from mixcompare.backends.em.standardise import Parameters, Standardised
from mixcompare.backends.em.steps import DegenerateComponentError, EStep, e_step, m_step
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

Status = Literal["converged", "iteration limit", "ascent violated", "degenerate"]

# Rounding of a sum of log-densities, relative to its size and the number of rows.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One start's path and end.

    Attributes
    ----------
    parameters, e_step
        Where it stopped; None if the very first M-step was degenerate.
    log_likelihood
        (iterations,) after every E-step.
    weights
        (iterations, K) that each of them was computed with.
    message
        Why it stopped, with the figures.
    """

    parameters: Parameters | None
    e_step: EStep | None
    log_likelihood: FloatArray
    weights: FloatArray
    status: Status
    message: str

    @property
    def usable(self) -> bool:
        """Whether the end is an honest point of the likelihood."""
        return self.status in ("converged", "iteration limit")


def iterate(
    spec: MixtureSpec,
    data: Standardised,
    responsibilities: FloatArray,
    options: Options,
) -> Run:
    """Alternate M-step and E-step until the log-likelihood has no more to gain.

    Stops when the last gain and Aitken's estimate of all gains to come (Boehning et al.
    1994) are both below the tolerance times the size of the log-likelihood. A fall beyond
    rounding is never accepted: it ends the run as ``"ascent violated"``.

    Parameters
    ----------
    responsibilities
        (G, K) to start from.
    """
    log_likelihood: list[float] = []
    weights: list[FloatArray] = []
    parameters, expected = None, None
    scale = data.degrees_of_freedom.sum() * data.outcomes.shape[-1]

    def stop(status: Status, message: str) -> Run:
        path = np.reshape(weights, (-1, spec.n_components))
        return Run(parameters, expected, np.array(log_likelihood), path, status, message)

    for iteration in range(1, options.max_iterations + 1):
        try:
            proposed = m_step(spec, data, responsibilities)
        except DegenerateComponentError as error:
            return stop("degenerate", f"iteration {iteration}: {error}")
        reached = e_step(data, proposed)
        size = scale + abs(reached.log_likelihood)
        if log_likelihood and reached.log_likelihood < log_likelihood[-1] - _ROUNDING * size:
            fall = log_likelihood[-1] - reached.log_likelihood
            return stop(
                "ascent violated", f"iteration {iteration} lowered the log-likelihood by {fall:.3g}"
            )
        parameters, expected = proposed, reached
        log_likelihood.append(reached.log_likelihood)
        weights.append(proposed.weights)
        responsibilities = reached.responsibilities
        gain = remaining_gain(log_likelihood)
        if gain <= options.tolerance * size:
            return stop("converged", f"{iteration} iterations; {gain:.1e} left to gain")
    return stop("iteration limit", f"{options.max_iterations} iterations and not converged")


def remaining_gain(log_likelihood: list[float]) -> float:
    """Larger of the last gain and Aitken's estimate of the gains still to come."""
    if len(log_likelihood) < 3:
        return np.inf
    before, last = np.diff(log_likelihood[-3:])
    if last <= 0:  # rounding: at a standstill
        return 0.0
    rate = last / before if before > 0 else 1.0
    return float(max(last, last * rate / (1 - rate))) if rate < 1 else np.inf
