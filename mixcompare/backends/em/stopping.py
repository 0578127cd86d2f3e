"""Rules by which EM stops: one number per rule, compared with one tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixcompare.backends.em.acceleration import unbounded
from mixcompare.backends.em.standardise import Parameters
from mixcompare.backends.em.steps import EStep

Criterion = Literal["aitken", "log_likelihood", "parameters", "q"]


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """Parameters, the E-step that they lead to, and their log-prior (0 without a prior)."""

    parameters: Parameters
    reached: EStep
    log_prior: float = 0.0

    @property
    def objective(self) -> float:
        """What EM climbs: log-likelihood plus log-prior."""
        return self.reached.log_likelihood + self.log_prior


type Rule = Callable[[Sequence[Iterate], float], float]


def criterion_value(criterion: Criterion, plain: Sequence[Iterate], size: float) -> float:
    """How far EM is from stopping; infinite while it is too early to tell.

    Parameters
    ----------
    plain
        Latest iterates that plain EM steps connect, oldest first.
    size
        Size of the objective, to which it and Q are relative.
    """
    needed = 3 if criterion == "aitken" else 2
    return _RULES[criterion](plain, size) if len(plain) >= needed else np.inf


def remaining_gain(objective: Sequence[float]) -> float:
    """Larger of the last gain and Aitken's estimate of the gains still to come.

    With gains that shrink by the rate c, all that are left sum to ``last c / (1 - c)``
    (Boehning, Dietz, Schaub, Schlattmann & Lindsay 1994).

    Parameters
    ----------
    objective
        Three successive values.
    """
    before, last = np.diff(objective)
    if last <= 0:  # rounding: at a standstill
        return 0.0
    rate = last / before if before > 0 else 1.0
    return float(max(last, last * rate / (1 - rate))) if rate < 1 else np.inf


def _aitken(plain: Sequence[Iterate], size: float) -> float:
    return remaining_gain([i.objective for i in plain[-3:]]) / size


def _log_likelihood(plain: Sequence[Iterate], size: float) -> float:
    return (plain[-1].objective - plain[-2].objective) / size


def _parameters(plain: Sequence[Iterate], _size: float) -> float:
    """Largest move of a log-ratio of weights, whitened coefficient or covariance root."""
    before, after = (unbounded(i.parameters) for i in plain[-2:])
    return float(np.abs(after - before).max())


def _q(plain: Sequence[Iterate], size: float) -> float:
    """``|Q(new | old) - Q(old | old)|``, both with the old responsibilities, log-prior in."""
    old, new = plain[-2:]
    before, after = old.reached, new.reached
    held = before.responsibilities > 0  # 0 times log 0
    change = before.responsibilities * np.where(held, after.joint - before.joint, 0.0)
    by_unit = change.sum(axis=1)
    expected = by_unit.sum() if before.unit_weights is None else before.unit_weights @ by_unit
    return float(abs(expected + new.log_prior - old.log_prior)) / size


_RULES: Mapping[str, Rule] = {
    "aitken": _aitken,
    "log_likelihood": _log_likelihood,
    "parameters": _parameters,
    "q": _q,
}
TOLERANCES: Mapping[str, float] = {
    "aitken": 1e-12,
    "log_likelihood": 1e-12,
    "parameters": 1e-7,
    "q": 1e-12,
}
