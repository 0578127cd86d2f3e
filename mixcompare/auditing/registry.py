"""The register of what a program may compute at each stage of an EM iteration.

An iteration is a chain of stages, and a candidate is one way to do one of them. The first
candidate of a stage is the exact one. Every combination is a complete step that
`mixcompare.auditing.explain` holds against the foreign one. A new suspicion is one function with
the decorator of its stage: the first line of its docstring is what it computes, the paragraph
after it what a finding says to the user. It may return None where it makes no sense. A candidate
with a constant that no one knows (a temperature, a ridge) has a second function that estimates it
from the steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
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

PARTS: Final = tuple(dict.fromkeys(PART.values()))
MADE: Final = PARTS[1:]
"""The parts that an M-step makes."""

EXPECTATION: Final = tuple(stage for stage, part in PART.items() if part == "responsibilities")
"""The stages of the E-step."""


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
    when
        Whether it makes sense, from what the function is called with; None if it always may.
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
    when: Callable[..., Any] | None = None
    estimate: Callable[..., Any] | None = None
    constant: Any = None

    def __call__(self, *inputs: Any) -> Any:
        """Do the stage; None where it makes no sense."""
        if self.when is not None and not self.when(*inputs):
            return None
        return self.function(*inputs, *(() if self.estimate is None else (self.constant,)))

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
    cause: str = "",
    *,
    kind: Kind = "fault",
    statement: str = "",
    variants: Sequence[Any] = (),
    when: Callable[..., Any] | None = None,
    estimate: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Register a function as one way to do a stage; without a cause it is the exact one.

    Parameters
    ----------
    statement
        In place of the paragraph after the first line of the function's docstring.
    variants
        Each is the first argument of the function, and of its estimate, in a candidate of its own.
    kind, when, estimate
        See `Candidate`.

    Raises
    ------
    ValueError
        If a cause has no statement, as in Python without docstrings (``python -OO``).
    """

    def register(function: F) -> F:
        _, _, paragraph = (inspect.getdoc(function) or "").partition("\n\n")
        text = statement or " ".join(paragraph.split())
        if cause and not text:
            raise ValueError(f"{cause!r} needs a paragraph in the docstring of {function!r}.")
        firsts: list[tuple[Any, ...]] = [(variant,) for variant in variants] or [()]
        for first in firsts:
            estimated = None if estimate is None else partial(estimate, *first)
            done = partial(function, *first)
            REGISTRY[stage].append(
                Candidate(stage, cause, kind if cause else "exact", text, done, when, estimated)
            )
        return function

    return register


def exact() -> dict[Stage, Candidate]:
    """Every stage as EM does it."""
    return {stage: known[0] for stage, known in REGISTRY.items()}


# Sides of an equation.
type Sides = tuple[FloatArray, FloatArray]


def slope(equations: Iterable[Sides]) -> float:
    """The constant of `slopes` for sides (n,) of equations of which every number is one."""
    return float(slopes(equations, axes=1))


def slopes(equations: Iterable[Sides], axes: int) -> FloatArray:
    """The constants (...,) with constant left = right in least squares.

    NaN if the numbers cannot tell: one equation, or the same one many times, some constant solves
    whatever the program does.

    Parameters
    ----------
    equations
        Left and right sides, whose leading axes are broadcast.
    axes
        How many of their last axes count equations.
    """
    sides = list(zip(*equations, strict=True))
    lead = np.broadcast_shapes(*(array.shape[:-axes] for side in sides for array in side))
    left, right = (
        np.concatenate(
            [np.broadcast_to(a, (*lead, *a.shape[-axes:])).reshape(*lead, -1) for a in side],
            axis=-1,
        )
        for side in sides
    )
    telling = np.isfinite(left) & np.isfinite(right) & (left != 0)
    left, right = np.where(telling, left, 0.0), np.where(telling, right, 0.0)
    distinct = np.zeros(lead, dtype=bool)
    for side in (left, right):
        low = np.where(telling, side, np.inf).min(axis=-1, initial=np.inf)
        high = np.where(telling, side, -np.inf).max(axis=-1, initial=-np.inf)
        distinct |= high - low > _DISTINCT * np.abs(side).max(axis=-1, initial=0.0)
    with np.errstate(all="ignore"):
        constant = (left * right).sum(axis=-1) / np.square(left).sum(axis=-1)
    return np.asarray(np.where(distinct, constant, np.nan))


def positive(constant: FloatArray | float) -> FloatArray:
    """NaN for constants that something cannot be added with."""
    return np.where(np.greater(constant, 0), constant, np.nan)


def damping(fraction: FloatArray | float) -> FloatArray:
    """NaN for fractions that are neither of damping nor of a longer step."""
    possible = (np.abs(np.subtract(fraction, 1)) > 1e-6) & np.greater(fraction, 0)
    return np.where(possible & np.less(fraction, 2), fraction, np.nan)
