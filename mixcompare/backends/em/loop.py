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
from mixcompare.backends.em.stopping import Iterate, criterion_value
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

Status = Literal["converged", "iteration limit", "ascent violated", "degenerate", "short run"]

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
    parameters
        Accepted iterates, first to last; none if the first M-step was degenerate.
    e_step
        The last one's E-step.
    log_likelihood, expected_log_likelihood, entropy
        (iterations,) after every E-step; the first is the sum of the other two.
    log_prior
        (iterations,); zero for maximum likelihood. With the log-likelihood it is what EM climbs.
    criterion
        Value of the stopping rule at the end; infinite if it never had one.
    message
        Why it stopped, with the figures.
    """

    parameters: Sequence[Parameters]
    e_step: EStep | None
    log_likelihood: FloatArray
    expected_log_likelihood: FloatArray
    entropy: FloatArray
    log_prior: FloatArray
    criterion: float
    status: Status
    message: str

    @property
    def objective(self) -> FloatArray:
        """(iterations,) log-likelihood plus log-prior."""
        return np.asarray(self.log_likelihood + self.log_prior)

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
    """Alternate M-step and E-step until the objective has no more to gain.

    The objective is the log-likelihood, and the log-prior if the data bring one. The stopping
    rule sees plain EM steps only. A fall beyond rounding is never accepted: it ends the run as
    ``"ascent violated"``. With acceleration, every second plain step after the first few
    is followed by a SQUAREM proposal, which counts as an iteration if it is taken.

    Parameters
    ----------
    responsibilities
        (G, K) to start from.
    """
    path = _Path()
    expected: FloatArray | EStep = responsibilities
    proposals = _Proposals(options.acceleration == "squarem")
    scale = data.degrees_of_freedom.sum() * data.outcomes.shape[-1]
    while len(path.log_likelihood) < options.max_iterations:
        iteration = len(path.log_likelihood) + 1
        try:
            parameters = m_step(spec, data, expected, path.end_point)
        except DegenerateComponentError as error:
            return path.end("degenerate", f"iteration {iteration}: {error}")
        step = _step(spec, data, parameters)
        size = scale + abs(step.objective)
        fall = path.last - step.objective
        if fall > _ROUNDING * size:
            what = "log-likelihood" if data.prior is None else "log-posterior"
            message = f"iteration {iteration} lowered the {what} by {fall:.3g}"
            return path.end("ascent violated", message)
        path.add(step)
        path.criterion = criterion_value(options.criterion, path.plain, size)
        if path.criterion <= options.limit:
            rule = f"{options.criterion} criterion {path.criterion:.1e}"
            return path.end("converged", f"{iteration} iterations; {rule}")
        proposal = proposals.after(data, path)
        if proposal is not None:
            beyond = _step(spec, data, proposal)
            if proposals.accepts(beyond.objective, path.last):
                path.jump(beyond)
        expected = path.plain[-1].reached
    return path.end("iteration limit", f"{options.max_iterations} iterations and not converged")


def _step(spec: MixtureSpec, data: Standardised, parameters: Parameters) -> Iterate:
    return Iterate(parameters, e_step(data, parameters), data.log_prior(spec, parameters))


class _Path:
    """The iterates that a run has accepted."""

    def __init__(self) -> None:
        self.parameters: list[Parameters] = []
        self.log_likelihood: list[float] = []
        self.expected: list[float] = []
        self.entropy: list[float] = []
        self.log_prior: list[float] = []
        self.plain: list[Iterate] = []  # the last three that plain steps connect
        self.criterion = np.inf

    @property
    def last(self) -> float:
        return self.plain[-1].objective if self.plain else -np.inf

    @property
    def last_gain(self) -> float:
        return self.plain[-1].objective - self.plain[-2].objective

    @property
    def end_point(self) -> Parameters | None:
        return self.parameters[-1] if self.parameters else None

    def add(self, iterate: Iterate) -> None:
        self.parameters.append(iterate.parameters)
        self.log_likelihood.append(iterate.reached.log_likelihood)
        self.expected.append(iterate.reached.expected_log_likelihood)
        self.entropy.append(iterate.reached.entropy)
        self.log_prior.append(iterate.log_prior)
        self.plain = [*self.plain[-2:], iterate]

    def jump(self, iterate: Iterate) -> None:
        self.plain = []
        self.add(iterate)

    def end(self, status: Status, message: str) -> Run:
        return Run(
            self.parameters,
            self.plain[-1].reached if self.plain else None,
            np.array(self.log_likelihood),
            np.array(self.expected),
            np.array(self.entropy),
            np.array(self.log_prior),
            self.criterion,
            status,
            message,
        )


class _Proposals:
    """When to extrapolate and how far."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.longest = 4.0

    def after(self, data: Standardised, path: _Path) -> Parameters | None:
        """A proposal after two plain steps, once plain EM has settled."""
        settled = len(path.log_likelihood) >= _SETTLED and len(path.plain) == 3
        if not (self.active and settled) or path.last_gain > _SMALL_GAIN:
            return None
        return extrapolate(data, [iterate.parameters for iterate in path.plain], self.longest)

    def accepts(self, proposed: float, plain: float) -> bool:
        """Take a proposal that is no worse than the plain step; adapt the longest step."""
        good = bool(proposed >= plain)
        # Without the shrinking, slow problems spend themselves on rejected proposals.
        self.longest = self.longest * 2 if good else max(self.longest / 2, 2.0)
        return good
