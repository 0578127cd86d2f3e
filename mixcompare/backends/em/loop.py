"""The EM iteration from one start, with its status as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixcompare.backends.em.acceleration import extrapolate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.standardise import Parameters, Standardised
from mixcompare.backends.em.steps import DegenerateComponentError, EStep, e_step, m_step
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

Status = Literal["converged", "iteration limit", "ascent violated", "degenerate"]

# Rounding of a sum of log-densities, relative to its size and the number of rows.
_ROUNDING = 1e-12
# Plain iterations, and the gain that has to be reached, before the first proposal: the
# early path decides which optimum is found and must be EM's own.
_SETTLED = 15
_SMALL_GAIN = 0.1


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
    1994) are both below the tolerance times the size of the log-likelihood, judged on
    plain EM steps only. A fall beyond rounding is never accepted: it ends the run as
    ``"ascent violated"``. With acceleration, every second plain step after the first few
    is followed by a SQUAREM proposal, which counts as an iteration if it is taken.

    Parameters
    ----------
    responsibilities
        (G, K) to start from.
    """
    path = _Path(spec.n_components)
    proposals = _Proposals(options.acceleration == "squarem")
    scale = data.degrees_of_freedom.sum() * data.outcomes.shape[-1]
    while len(path.log_likelihood) < options.max_iterations:
        iteration = len(path.log_likelihood) + 1
        try:
            parameters = m_step(spec, data, responsibilities)
        except DegenerateComponentError as error:
            return path.end("degenerate", f"iteration {iteration}: {error}")
        reached = e_step(data, parameters)
        size = scale + abs(reached.log_likelihood)
        fall = path.last - reached.log_likelihood
        if fall > _ROUNDING * size:
            message = f"iteration {iteration} lowered the log-likelihood by {fall:.3g}"
            return path.end("ascent violated", message)
        path.add(parameters, reached)
        gain = remaining_gain(path.plain)
        if gain <= options.tolerance * size:
            return path.end("converged", f"{iteration} iterations; {gain:.1e} left to gain")
        proposal = proposals.after(path)
        if proposal is not None:
            beyond = e_step(data, proposal)
            if proposals.accepts(beyond.log_likelihood, path.last):
                path.jump(proposal, beyond)
        responsibilities = path.responsibilities
    return path.end("iteration limit", f"{options.max_iterations} iterations and not converged")


class _Path:
    """The iterates that a run has accepted."""

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components
        self.log_likelihood: list[float] = []
        self.weights: list[FloatArray] = []
        self.plain: list[float] = []  # log-likelihoods since the last jump
        self.recent: list[Parameters] = []  # and the last three of their parameters
        self.reached: EStep | None = None

    @property
    def last(self) -> float:
        return self.log_likelihood[-1] if self.log_likelihood else -np.inf

    @property
    def responsibilities(self) -> FloatArray:
        assert self.reached is not None
        return self.reached.responsibilities

    def add(self, parameters: Parameters, reached: EStep) -> None:
        self.log_likelihood.append(reached.log_likelihood)
        self.weights.append(parameters.weights)
        self.plain.append(reached.log_likelihood)
        self.recent = [*self.recent[-2:], parameters]
        self.reached = reached

    def jump(self, parameters: Parameters, reached: EStep) -> None:
        self.plain, self.recent = [], []
        self.add(parameters, reached)

    def end(self, status: Status, message: str) -> Run:
        return Run(
            self.recent[-1] if self.recent else None,
            self.reached,
            np.array(self.log_likelihood),
            np.reshape(self.weights, (-1, self.n_components)),
            status,
            message,
        )


class _Proposals:
    """When to extrapolate and how far."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.longest = 4.0

    def after(self, path: _Path) -> Parameters | None:
        """A proposal after two plain steps, once plain EM has settled."""
        settled = len(path.log_likelihood) >= _SETTLED and len(path.recent) == 3
        if not self.active or not settled or path.plain[-1] - path.plain[-2] > _SMALL_GAIN:
            return None
        return extrapolate(path.recent, self.longest)

    def accepts(self, proposed: float, plain: float) -> bool:
        """Take a proposal that is no worse than the plain step; adapt the longest step."""
        good = bool(proposed >= plain)
        # Without the shrinking, slow problems spend themselves on rejected proposals.
        self.longest = self.longest * 2 if good else max(self.longest / 2, 2.0)
        return good


def remaining_gain(log_likelihood: Sequence[float]) -> float:
    """Larger of the last gain and Aitken's estimate of the gains still to come."""
    if len(log_likelihood) < 3:
        return np.inf
    before, last = np.diff(log_likelihood[-3:])
    if last <= 0:  # rounding: at a standstill
        return 0.0
    rate = last / before if before > 0 else 1.0
    return float(max(last, last * rate / (1 - rate))) if rate < 1 else np.inf
