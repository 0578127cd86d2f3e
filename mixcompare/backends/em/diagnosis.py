"""What the best start's end is: a maximum to rely on, or what should be known about it."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.backends.em.runs import Run, Status


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Status of the estimate, and cautions about it, a sentence each."""

    status: Status
    cautions: tuple[str, ...] = ()


def diagnose(best: Run) -> Diagnosis:
    """Judge the best start's end."""
    return Diagnosis(best.status)
