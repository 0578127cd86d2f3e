"""What EM runs leave behind: their paths and ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.stopping import Iterate
from mixcompare.backends.em.theta import NOTHING, Theta, concatenate
from mixcompare.base.arrays import FloatArray, IntArray

Status = Literal[
    "converged", "iteration limit", "ascent violated", "degenerate", "short run", "saddle"
]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One start's path and end.

    Attributes
    ----------
    path
        Accepted iterates along an axis in front, first to last; none if the first M-step
        was degenerate.
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
    dropped
        How many iterates before the first of these were not kept.
    """

    path: Theta
    e_step: Expected | None
    log_likelihood: FloatArray
    expected_log_likelihood: FloatArray
    entropy: FloatArray
    log_prior: FloatArray
    criterion: float
    status: Status
    message: str
    dropped: int = 0

    @property
    def n_iterations(self) -> int:
        """Number of accepted iterates."""
        return self.dropped + len(self.log_likelihood)

    @property
    def last(self) -> Run:
        """The same run without its path and without what its last E-step can find again."""
        if len(self.log_likelihood) < 2:
            return self
        return replace(
            self,
            path=self.path[-1:],
            e_step=None if self.e_step is None else self.e_step.lighter,
            log_likelihood=self.log_likelihood[-1:],
            expected_log_likelihood=self.expected_log_likelihood[-1:],
            entropy=self.entropy[-1:],
            log_prior=self.log_prior[-1:],
            dropped=self.n_iterations - 1,
        )

    @property
    def objective(self) -> FloatArray:
        """(iterations,) log-likelihood plus log-prior."""
        return np.asarray(self.log_likelihood + self.log_prior)

    @property
    def usable(self) -> bool:
        """Whether the end is an honest point of the likelihood."""
        return self.status in ("converged", "iteration limit")


def joined(first: Run, then: Run, message: str) -> Run:
    """One run that went on as another, whose first iterates below the end of it are left out."""
    kept = slice(int((then.objective >= first.objective[-1]).argmax()), None)
    values: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(then, name)[kept]])
        for name in ("log_likelihood", "expected_log_likelihood", "entropy", "log_prior")
    }
    return replace(
        first,
        path=concatenate([first.path, then.path[kept]]),
        e_step=then.e_step,
        criterion=then.criterion,
        status=then.status,
        message=message,
        **values,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A start and the run that it gave.

    Attributes
    ----------
    kind
        Of start.
    line
        Starts of one line share their kind, or come from what this line has reached; starts
        of different lines know nothing of each other. Negative: the user's own.
    """

    kind: str
    run: Run
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """How a run ended."""

    status: Status
    message: str
    criterion: float
    e_step: Expected | None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Accepted iterates of several starts, whose numbers are given."""

    starts: IntArray
    theta: Theta
    values: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    """(S,) log-likelihoods, Q, entropies and log-priors."""


@dataclass(slots=True, eq=False)
class Log:
    """What runs that go on together have accepted so far, in order."""

    records: list[Record] = field(default_factory=list)

    def add(self, starts: IntArray, iterate: Iterate) -> None:
        """Accept an iterate of these starts."""
        at, log_prior = iterate.reached, iterate.log_prior
        values = (at.log_likelihood, at.expected_log_likelihood, at.entropy, log_prior)
        self.records.append(Record(starts, iterate.theta, values))

    def runs(self, ends: list[End]) -> list[Run]:
        """The runs one by one, in the order of the starts' numbers."""
        if not self.records:
            return [_run(None, np.empty((0, 4)), end) for end in ends]
        path = concatenate([record.theta for record in self.records])
        values = np.concatenate([record.values for record in self.records], axis=1).T
        if len(ends) == 1:
            return [_run(path, values, ends[0])]
        starts = np.concatenate([record.starts for record in self.records])
        order = np.argsort(starts, kind="stable")
        path, values = path[order], values[order]
        bounds = np.searchsorted(starts[order], np.arange(len(ends) + 1))
        return [
            _run(path[i:j], values[i:j], end)
            for i, j, end in zip(bounds[:-1], bounds[1:], ends, strict=True)
        ]


def _run(path: Theta | None, values: FloatArray, end: End) -> Run:
    log_likelihood, expected, entropy, log_prior = values.T
    return Run(
        path=path or NOTHING,
        e_step=end.e_step,
        log_likelihood=log_likelihood,
        expected_log_likelihood=expected,
        entropy=entropy,
        log_prior=log_prior,
        criterion=end.criterion,
        status=end.status,
        message=end.message,
    )
