"""Rules by which EM stops: one number per rule, compared with one tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.theta import Theta
from mixcompare.backends.em.together import Together
from mixcompare.base.arrays import FloatArray, IntArray

Criterion = Literal["aitken", "log_likelihood", "parameters", "q"]


@dataclass(frozen=True, eq=False)
class Iterate(Together):
    """E-steps of S starts, and the log-priors (S,) of their parameters; zero without a prior."""

    reached: Expected
    log_prior: FloatArray

    @property
    def theta(self) -> Theta:
        """What the E-steps are of."""
        return self.reached.at

    @cached_property
    def objective(self) -> FloatArray:
        """(S,) what EM climbs: log-likelihood plus log-prior."""
        return np.asarray(self.reached.log_likelihood + self.log_prior)


type Rule = Callable[[Sequence[Iterate], FloatArray], FloatArray]


def criterion_value(
    criterion: Criterion, plain: Sequence[Iterate], size: FloatArray, connected: IntArray
) -> FloatArray:
    """(S,) how far EM is from stopping; infinite while it is too early to tell.

    `plain` are the latest iterates, oldest first, of which plain EM steps connect `connected` (S,);
    `size` (S,) is that of the objective, to which it and Q are relative.
    """
    needed = 3 if criterion == "aitken" else 2
    if len(plain) < needed:
        return np.full(len(size), np.inf)
    return np.where(connected >= needed, _RULES[criterion](plain, size), np.inf)


def remaining_gain(objective: FloatArray) -> FloatArray:
    """Larger of the last gain and Aitken's estimate of the gains still to come.

    With gains that shrink by the rate c, all that are left sum to ``last c / (1 - c)``
    (Boehning, Dietz, Schaub, Schlattmann & Lindsay 1994). Of (3, ...) successive values, (...,);
    zero at a standstill, where the last gain is nothing but rounding.
    """
    before, last = objective[1] - objective[0], objective[2] - objective[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(before > 0, last / before, 1.0)
        gain = np.where(rate < 1, np.maximum(last, last * rate / (1 - rate)), np.inf)
    return np.where(last > 0, gain, 0.0)


def _parameters(plain: Sequence[Iterate], _size: FloatArray) -> FloatArray:
    """Largest move of a parameter in coordinates without bounds, such as a log-ratio of weights."""
    before, after = (i.reached.model.unbounded(i.theta) for i in plain[-2:])
    return np.asarray(np.abs(after - before).max(axis=-1))


def _q(plain: Sequence[Iterate], size: FloatArray) -> FloatArray:
    """``|Q(new | old) - Q(old | old)|``, both with the old class probabilities, log-prior in."""
    old, new = plain[-2:]
    before, after = old.reached, new.reached
    held = before.occupancy > 0  # 0 times log 0
    change = before.occupancy * np.where(held, after.joint - before.joint, 0.0)
    expected = before.units.sum(change.sum(axis=-1))
    return np.asarray(np.abs(expected + new.log_prior - old.log_prior) / size)


_RULES: Mapping[str, Rule] = {
    "aitken": lambda plain, size: remaining_gain(np.stack([i.objective for i in plain])) / size,
    "log_likelihood": lambda plain, size: (plain[-1].objective - plain[-2].objective) / size,
    "parameters": _parameters,
    "q": _q,
}
TOLERANCES: Mapping[str, float] = {**dict.fromkeys(_RULES, 1e-12), "parameters": 1e-7}
