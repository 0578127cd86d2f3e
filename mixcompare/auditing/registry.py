"""The register of what a program may compute at each stage of an EM iteration.

An iteration is a chain of stages, and a candidate is one way to do one of them. The first
candidate of a stage is the exact one. Every combination is a complete step that
`mixcompare.auditing.explain` holds against the foreign one. A new suspicion is one function with
the decorator of its stage; it may return None where it makes no sense. A candidate with a constant
that no one knows (a temperature, a ridge) has a second function that estimates it from the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np

from mixcompare.base.arrays import FloatArray

Stage = Literal[
    "parameters",
    "expectation data",
    "density",
    "expectation",
    "weights",
    "alignment",
    "data",
    "penalty",
    "residuals",
    "divisor",
    "covariance",
]
Kind = Literal["exact", "note", "fault"]
Part = Literal["responsibilities", "weights", "coefficients", "variance"]

EXPECTATION: Final[tuple[Stage, ...]] = (
    "parameters",
    "expectation data",
    "density",
    "expectation",
)
"""The stages of the E-step."""

PART: Final[dict[Stage, Part]] = {
    "parameters": "responsibilities",
    "expectation data": "responsibilities",
    "density": "responsibilities",
    "expectation": "responsibilities",
    "weights": "weights",
    "alignment": "coefficients",
    "data": "coefficients",
    "penalty": "coefficients",
    "residuals": "variance",
    "divisor": "variance",
    "covariance": "variance",
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
        What it does and what follows, as a user would say it; ``{constant}`` stands for the
        constant.
    function
        Called with what the module of its stage documents, and with the constant if it has one.
    estimate
        Gives the constant from what the function is called with in each of several steps, and
        from what the foreign program made of it; NaN or None if no constant is possible.
    constant
        The estimate; an array while several ways to the stage before are tried at once.
    """

    stage: Stage
    cause: str
    kind: Kind
    statement: str
    function: Callable[..., Any]
    estimate: Callable[..., Any] | None = None
    constant: Any = None

    def __call__(self, *given: Any) -> Any:
        """Do the stage."""
        return (
            self.function(*given) if self.estimate is None else self.function(*given, self.constant)
        )

    def bound(self, constant: Any) -> Self:
        """The candidate with its constant."""
        return replace(self, constant=constant)

    @property
    def text(self) -> str:
        """The statement with its constant."""
        known = "" if self.constant is None else f"{float(self.constant):.4g}"
        return self.statement.replace("{constant}", known)


# Relative difference up to which two equations are the same one.
_DISTINCT: Final = 1e-3

REGISTRY: Final[dict[Stage, list[Candidate]]] = {stage: [] for stage in PART}


def candidate[F: Callable[..., Any]](
    stage: Stage,
    cause: str,
    statement: str,
    *,
    kind: Kind = "fault",
    estimate: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Register a function as one way to do a stage."""

    def register(function: F) -> F:
        REGISTRY[stage].append(Candidate(stage, cause, kind, statement, function, estimate))
        return function

    return register


def exact(stage: Stage) -> Candidate:
    """The stage as EM does it."""
    return REGISTRY[stage][0]


def slope(left: FloatArray, right: FloatArray) -> float:
    """The constant c with c left = right in least squares, see `slopes`."""
    return float(slopes(left, right))


def slopes(left: FloatArray, right: FloatArray) -> FloatArray:
    """The constants (...,) with c left = right in least squares along the last axis.

    NaN if the numbers cannot tell: one equation, or the same one many times, some constant solves
    whatever the program does.
    """
    telling = np.isfinite(left) & np.isfinite(right) & (left != 0)
    left, right = np.where(telling, left, 0.0), np.where(telling, right, 0.0)
    distinct = np.zeros(left.shape[:-1], dtype=bool)
    for side in (left, right):
        low = np.where(telling, side, np.inf).min(axis=-1, initial=np.inf)
        high = np.where(telling, side, -np.inf).max(axis=-1, initial=-np.inf)
        distinct |= high - low > _DISTINCT * np.abs(side).max(axis=-1, initial=0.0)
    with np.errstate(all="ignore"):
        found = (left * right).sum(axis=-1) / np.square(left).sum(axis=-1)
    return np.asarray(np.where(distinct, found, np.nan))
