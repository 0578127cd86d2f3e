"""The register of what a program may compute at each stage of an EM iteration.

An iteration is a chain of eight stages, and a candidate is one way to do one of them. The
first candidate of a stage is the exact one. Every combination is a complete step that
`mixcompare.auditing.explain` holds against the foreign one. A new suspicion is one function with
the decorator of its stage; it may return None where it makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

Stage = Literal[
    "expectation data",
    "density",
    "expectation",
    "weights",
    "alignment",
    "data",
    "residuals",
    "divisor",
]
Kind = Literal["exact", "note", "fault"]
Part = Literal["responsibilities", "weights", "coefficients", "variance"]

PART: Final[dict[Stage, Part]] = {
    "expectation data": "responsibilities",
    "density": "responsibilities",
    "expectation": "responsibilities",
    "weights": "weights",
    "alignment": "coefficients",
    "data": "coefficients",
    "residuals": "variance",
    "divisor": "variance",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to do one stage.

    Attributes
    ----------
    cause
        Short name; candidates of several stages with one cause make one finding.
    kind
        ``"note"`` is a consistent choice that is not maximum likelihood.
    statement
        What it does and what follows, as a user would say it.
    function
        Called with what the module of its stage documents: `mixcompare.auditing.expectation`,
        `mixcompare.auditing.maximisation`, `mixcompare.auditing.divisors`.
    """

    stage: Stage
    cause: str
    kind: Kind
    statement: str
    function: Callable[..., Any]


REGISTRY: Final[dict[Stage, list[Candidate]]] = {stage: [] for stage in PART}


def candidate[F: Callable[..., Any]](
    stage: Stage, cause: str, statement: str, *, kind: Kind = "fault"
) -> Callable[[F], F]:
    """Register a function as one way to do a stage."""

    def register(function: F) -> F:
        REGISTRY[stage].append(Candidate(stage, cause, kind, statement, function))
        return function

    return register


def exact(stage: Stage) -> Candidate:
    """The stage as EM does it."""
    return REGISTRY[stage][0]
