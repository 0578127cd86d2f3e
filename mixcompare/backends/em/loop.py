"""The EM iteration from any number of starts together, with their status as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.acceleration import extrapolate
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Log, Run, Status
from mixcompare.backends.em.stopping import Iterate, criterion_value
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray

# Responsibilities of starts that run together: few enough to stay in a core's cache, beyond
# which starts are faster one after another.
_VALUES_TOGETHER = 32_768
# Rounding of a sum of log-densities, relative to its size and the number of rows.
_ROUNDING = 1e-12
# Plain iterations, and the gain that has to be reached, before the first proposal: the
# early path decides which optimum is found and must be EM's own.
_SETTLED = 15
_SMALL_GAIN = 0.1
# The first longest extrapolation, and the least that rejections shrink it to.
_LONGEST = 4.0
_SHORTEST = 2.0


def starts_together(model: Mixture) -> int:
    """How many starts to run together."""
    return max(1, _VALUES_TOGETHER // (model.n_carriers * model.n_components))


def iterate(model: Mixture, occupancy: FloatArray, options: Options) -> Run:
    """Run EM from one start's class probabilities (C, K), see `iterate_together`."""
    return iterate_together(model, occupancy[None], options)[0]


def iterate_together(model: Mixture, occupancy: FloatArray, options: Options) -> list[Run]:
    """Alternate M-steps and E-steps until no objective has more to gain.

    The objective is the log-likelihood, and the log-prior if the model has one. The stopping
    rule sees plain EM steps only. A fall beyond rounding is never accepted: it ends a run as
    ``"ascent violated"``. With acceleration, every second plain step after the first few
    is followed by a SQUAREM proposal, which counts as an iteration if it is taken.

    Starts share every pass over the data and nothing else: a start's run is the same, to the
    last bit, whatever others it runs with.

    Class probabilities to start from are (S, C, K). Unit weights may differ between starts.
    """
    running = _Running(model, occupancy)
    while len(running.starts):
        theta, reasons, at_hand = running.model.m_step(running.expected, running.end_point)
        if any(reasons):
            lost = np.array([bool(reason) for reason in reasons])
            numbered = zip(running.iterations + 1, reasons, strict=True)
            running.end(lost, "degenerate", [f"iteration {n}: {reason}" for n, reason in numbered])
            theta, at_hand = theta[~lost], None
        if not len(running.starts):
            break
        step = _step(running.model, theta, at_hand)
        size = model.n_values + np.abs(step.objective)
        if (lost := _end_lost(running, step, size)).any():
            step, size = step[~lost], size[~lost]
        if not len(running.starts):
            break
        running.add(step)
        running.criterion = criterion_value(
            options.criterion, running.plain, size, running.connected
        )
        if (converged := running.criterion <= options.limit).any():
            at_end = zip(running.iterations, running.criterion, strict=True)
            rule = f"iterations; {options.criterion} criterion"
            running.end(converged, "converged", [f"{n} {rule} {value:.2g}" for n, value in at_end])
        if options.acceleration == "squarem":
            _leap(running)
        if (full := running.iterations >= options.max_iterations).any():
            message = f"{options.max_iterations} iterations and not converged"
            running.end(full, "iteration limit", [message] * len(full))
    return running.log.runs()


def _step(model: Mixture, theta: Theta, at_hand: Any = None) -> Iterate:
    return Iterate(model.expect(theta, at_hand), model.log_prior(theta))


def _end_lost(running: _Running, step: Iterate, size: FloatArray) -> NDArray[np.bool_]:
    """End the starts whose objective is not finite or has fallen beyond rounding: which."""
    unknown = ~np.isfinite(step.objective)
    fall = running.last - step.objective
    if (fell := fall > _ROUNDING * size).any():
        noise = running.model.rounding(step.theta[fell])
        fell[fell] = fall[fell] > noise * size[fell]
    lost = unknown | fell
    if fell.any():
        what = "log-posterior" if running.model.has_prior else "log-likelihood"
        falls = zip(running.iterations + 1, fall, strict=True)
        messages = [f"iteration {n} lowered the {what} by {by:.3g}" for n, by in falls]
        running.end(fell, "ascent violated", messages)
        unknown = unknown[~fell]
    if unknown.any():
        words = "the log-likelihood is not finite"
        numbered = [f"iteration {n}: {words}" for n in running.iterations + 1]
        running.end(unknown, "degenerate", numbered)
    return lost


def _leap(running: _Running) -> None:
    """Extrapolate where plain EM has settled; take what is no worse than its last step."""
    if not running.settled.any():
        return
    settled = np.flatnonzero(running.settled)
    iterates = [iterate.theta[settled] for iterate in running.plain]
    model = running.model.of(settled)
    proposals, proposed = extrapolate(model, iterates, running.longest[settled])
    rows = settled[proposed]
    if not len(rows):
        return
    beyond = _step(running.model.of(rows), proposals)
    good = beyond.objective >= running.last[rows]
    # Without the shrinking, slow problems spend themselves on rejected proposals.
    longest = running.longest[rows]
    running.longest[rows] = np.where(good, 2 * longest, np.maximum(longest / 2, _SHORTEST))
    if good.any():
        running.jump(rows[good], beyond[good])


class _Running:
    """The starts that have not ended; arrays have one row for each.

    `plain` are the last three iterates, or fewer; `connected` is how many iterates, to the last,
    plain steps connect; `longest` is the longest extrapolation that is allowed.
    """

    def __init__(self, model: Mixture, occupancy: FloatArray) -> None:
        n = len(occupancy)
        self.model = model
        self.log = Log(n)
        self.starts = np.arange(n)
        self.plain: list[Iterate] = []
        self.connected, self.iterations = np.zeros((2, n), dtype=np.intp)
        self.criterion, self.longest = np.full(n, np.inf), np.full(n, _LONGEST)
        # One layout, for the order of a sum, and with it its rounding, follows that.
        self._given = model.given(np.ascontiguousarray(occupancy))

    @property
    def expected(self) -> Expected:
        """What the next M-step starts from."""
        return self.plain[-1].reached if self.plain else self._given

    @property
    def end_point(self) -> Theta | None:
        """The last iterates."""
        return self.plain[-1].theta if self.plain else None

    @property
    def last(self) -> FloatArray:
        """The last objectives."""
        return self.plain[-1].objective if self.plain else np.full(len(self.starts), -np.inf)

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Which may be extrapolated: two plain steps, the last a small one, after the first few."""
        if len(self.plain) < 3:
            return np.zeros(len(self.starts), dtype=bool)
        gain = self.last - self.plain[-2].objective
        late = self.iterations >= _SETTLED
        return np.asarray(late & (self.connected >= 3) & (gain <= _SMALL_GAIN))

    def add(self, step: Iterate) -> None:
        """Accept a plain step."""
        self.plain = [*self.plain[-2:], step]
        self.connected += 1
        self.iterations += 1
        self.log.add(self.starts, step)

    def jump(self, rows: NDArray[np.intp], beyond: Iterate) -> None:
        """Accept an iterate that no plain step leads to, in some rows."""
        self.plain[-1] = self.plain[-1].with_rows(rows, beyond)
        self.connected[rows] = 1
        self.iterations[rows] += 1
        self.log.add(self.starts[rows], beyond)

    def end(self, which: NDArray[np.bool_], status: Status, messages: Sequence[str]) -> None:
        """End some; there is a message for each of all."""
        for row in np.flatnonzero(which).tolist():
            reached = self.plain[-1].reached.of_one(row) if self.plain else None
            self.log.end(
                self.starts[row],
                status=status,
                message=messages[row],
                criterion=float(self.criterion[row]),
                e_step=reached,
            )
        rows = np.flatnonzero(~which)
        if not len(rows):
            self.plain = []
        self.model = self.model.of(rows)
        self.starts, self.connected = self.starts[rows], self.connected[rows]
        self.iterations, self.longest = self.iterations[rows], self.longest[rows]
        self.criterion = self.criterion[rows]
        if not self.plain:
            self._given = self._given[rows]
        self.plain = [iterate[rows] for iterate in self.plain]
