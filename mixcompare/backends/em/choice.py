"""Which start's end is the estimate: the highest optimum, spurious ones put behind the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixcompare.backends.em.emissions.emission import Spurious
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run, Started
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.maxima import same_within


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The distinct optima, in the order in which they are preferred.

    Attributes
    ----------
    optimum
        (S,) number of the optimum that each start reached, 0 the estimate; -1 if it has none.
    reached
        Number of the start that stands for each optimum: its highest.
    spurious
        The class that makes an optimum spurious, by the optimum's number.
    passed_over
        Number of the highest optimum above the estimate, a spurious one; None if there is none.
    lines
        Lines of the starts that reached the estimate, see `Started`.
    """

    optimum: IntArray
    reached: tuple[int, ...]
    spurious: Mapping[int, Spurious]
    passed_over: int | None
    lines: frozenset[int]

    @property
    def best(self) -> int:
        """Number of the start whose end is the estimate."""
        return self.reached[0]

    @property
    def found_again(self) -> bool:
        """Whether starts of two lines have reached the estimate."""
        return len(self.lines) > 1

    @property
    def at_best(self) -> int:
        """Number of starts that reached the estimate."""
        return int((self.optimum == 0).sum())

    def best_of(self, starts: IntArray) -> int | None:
        """The start of some whose optimum is preferred; None if they have none."""
        reached = starts[self.optimum[starts] >= 0]
        return int(reached[self.optimum[reached].argmin()]) if len(reached) else None


class Chooser:
    """Chooses among starts on one model, of which there may be more each time."""

    def __init__(self, model: Mixture, options: Options) -> None:
        self._model, self._options = model, options
        self._judged: dict[int, tuple[Run, Spurious | None]] = {}

    def best(self, started: Sequence[Started]) -> int:
        """Number of the start whose end is the estimate, where there is one."""
        choice = self.choose(started)
        assert choice is not None
        return choice.best

    def choose(self, started: Sequence[Started]) -> Choice | None:
        """The choice among all starts so far; None if none is usable, nor a saddle point."""
        final = _final(started)
        by_height = group_optima(final)
        if by_height.max(initial=-1) < 0:
            return None
        order = np.argsort(-final, kind="stable")
        _, first = np.unique(by_height[order][by_height[order] >= 0], return_index=True)
        highest = order[first]
        marks = {i: self._judge(int(start), started) for i, start in enumerate(highest)}
        avoid = self._options.spurious == "avoid"
        preferred = sorted(marks, key=lambda i: (avoid and marks[i] is not None, i))
        number = np.empty(len(preferred) + 1, dtype=np.intp)
        number[preferred] = np.arange(len(preferred))
        number[-1] = -1  # of starts without an optimum
        optimum = number[by_height]
        spurious = {int(number[i]): mark for i, mark in marks.items() if mark is not None}
        return Choice(
            optimum=optimum,
            reached=tuple(int(highest[i]) for i in preferred),
            spurious=spurious,
            passed_over=int(number[0]) or None,
            lines=frozenset(s.line for s, n in zip(started, optimum, strict=True) if n == 0),
        )

    def _judge(self, start: int, started: Sequence[Started]) -> Spurious | None:
        run = started[start].run
        known = self._judged.get(start)
        if known is None or known[0] is not run:
            assert run.e_step is not None
            # A copy: what it makes when asked goes with it.
            known = self._judged[start] = (run, self._model.spurious(replace(run.e_step)))
        return known[1]


def _final(started: Sequence[Started]) -> FloatArray:
    """(S,) objectives of usable starts, or if there is none of saddle points; -inf for others."""
    usable = [s.run.usable for s in started]
    if not any(usable):
        usable = [s.run.status == "saddle" for s in started]
    each = [s.run.objective[-1] if u else -np.inf for s, u in zip(started, usable, strict=True)]
    return np.array(each, dtype=float)


def group_optima(objective: FloatArray) -> IntArray:
    """Number the distinct optima of (S,) values from the highest (0) down; -1 where not finite."""
    order = np.argsort(-objective, kind="stable")
    order = order[np.isfinite(objective[order])]
    heights = objective[order]
    result = np.full(len(objective), -1, dtype=np.intp)
    result[order] = np.cumsum(-np.diff(heights, prepend=heights[:1]) > same_within(heights))
    return result
