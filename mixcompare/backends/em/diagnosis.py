"""What the best start's end is: a maximum to rely on, or what should be known about it."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.backends.em.runs import Run

_SADDLE = (
    "the estimate is a saddle point, not a maximum: the objective rises beside it, but EM from "
    "there ended in no usable fit, and no start reached a maximum. Nothing should be concluded "
    "from it: ask for fewer classes, for more starts, for covariance_by='shared' or for the mode "
    "of the posterior (estimator='map')"
)


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
    if best.status == "saddle":
        return Diagnosis(best.status, tuple(c for c in (_SADDLE, separated) if c))
    if not separated:
        return Diagnosis(best.status)
    status = "separated" if best.status == "converged" else best.status
    return Diagnosis(status, (separated,))
