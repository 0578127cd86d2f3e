"""What the best start's end is: a maximum to rely on, or what should be known about it."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.backends.em.runs import Run


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Status of the estimate, and cautions about it, a sentence each."""

    status: str
    cautions: tuple[str, ...] = ()


def diagnose(best: Run, separated: str) -> Diagnosis:
    """Judge the best start's end.

    Parameters
    ----------
    separated
        What membership covariates that separate classes do; empty if there are none.
    """
    if not separated:
        return Diagnosis(best.status)
    status = "separated" if best.status == "converged" else best.status
    return Diagnosis(status, (separated,))
