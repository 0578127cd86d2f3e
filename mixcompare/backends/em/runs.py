"""What EM runs leave behind: their paths and ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.stopping import Iterate
from mixcompare.backends.em.theta import NOTHING, Theta, concatenate
from mixcompare.base.arrays import FloatArray, IntArray

Status = Literal[
    "converged", "iteration limit", "ascent violated", "degenerate", "short run", "saddle"
]
# What every iterate has in a run.
VALUES = ("log_likelihood", "expected_log_likelihood", "entropy", "log_prior")


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
    def lighter(self) -> Run:
        """The same run, whose last E-step makes what is by carrier anew when asked for it."""
        return self if self.e_step is None else replace(self, e_step=self.e_step.lighter)

    @property
    def last(self) -> Run:
        """The same run without its path and without what its last E-step can find again."""
        if len(self.log_likelihood) < 2:
            return self
        values: dict[str, Any] = {name: getattr(self, name)[-1:] for name in VALUES}
        return replace(self.lighter, path=self.path[-1:], dropped=self.n_iterations - 1, **values)

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
        name: np.concatenate([getattr(first, name), getattr(then, name)[kept]]) for name in VALUES
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

    Starts of one line share their kind, or come from what this line has reached; starts of
    different lines know nothing of each other. The user's own has a negative one.
    """

    kind: str
    run: Run
    line: int = 0


class Log:
    """What starts that run together have accepted so far, in order, and how each of n ended."""

    def __init__(self, n: int) -> None:
        self._records: list[tuple[IntArray, Theta, FloatArray]] = []
        none = np.empty(0)
        self._ends = [Run(NOTHING, None, none, none, none, none, np.inf, "degenerate", "")] * n

    def add(self, starts: IntArray, iterate: Iterate) -> None:
        """Accept an iterate of these starts."""
        at = iterate.reached
        values = at.log_likelihood, at.expected_log_likelihood, at.entropy, iterate.log_prior
        self._records.append((starts, iterate.theta, np.array(values)))

    def end(self, start: int, **end: Any) -> None:
        """Note how a start ended: `Run` but for its path."""
        self._ends[start] = replace(self._ends[start], **end)

    def runs(self) -> list[Run]:
        """The runs one by one, in the order of the starts' numbers."""
        if not self._records:
            return self._ends
        starts = np.concatenate([starts for starts, _, _ in self._records])
        path = concatenate([theta for _, theta, _ in self._records])
        values = np.concatenate([values for _, _, values in self._records], axis=1)
        if len(self._ends) > 1:
            order = np.argsort(starts, kind="stable")
            starts, path, values = starts[order], path[order], values[:, order]
        bounds = pairwise(np.searchsorted(starts, np.arange(len(self._ends) + 1)))
        return [
            replace(end, path=path[i:j], **dict(zip(VALUES, values[:, i:j], strict=True)))
            for end, (i, j) in zip(self._ends, bounds, strict=True)
        ]
