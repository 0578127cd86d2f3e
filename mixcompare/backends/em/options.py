"""The EM backend's options, checked when built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mixcompare.errors import OptionError

Acceleration = Literal["squarem", "none"]
StartKind = Literal["kmeans", "random", "elemental", "perturbed"]


@dataclass(frozen=True, slots=True)
class Options:
    """How EM is run.

    Parameters
    ----------
    starts
        Number of random starts.
    kinds
        Kinds of start, taken in turn: ``"kmeans"`` on the units' own least-squares fits,
        ``"random"`` responsibilities, ``"elemental"`` fits of a few units each, and the
        pooled fit ``"perturbed"`` by a single unit's standard errors.
    initial
        A start of your own, run before the others: a `Fit`, a mapping with ``weights``,
        ``coefficients`` and ``covariance``, classes (G,) counted from 0, or
        responsibilities (G, K), units in the order of the panel's labels.
    tolerance
        Gain still to come, relative to the size of the log-likelihood, at which EM stops.
    max_iterations
        Limit per start.
    acceleration
        ``"squarem"`` extrapolates after the first iterations, never to a lower
        log-likelihood; ``"none"`` is plain EM.
    progress
        Show a progress bar; by default if standard error is a terminal.
    """

    starts: int = 50
    kinds: Sequence[StartKind] = get_args(StartKind)
    initial: Any = None
    tolerance: float = 1e-12
    max_iterations: int = 5000
    acceleration: Acceleration = "squarem"
    progress: bool | None = None

    def __post_init__(self) -> None:
        lowest = 0 if self.initial is not None else 1
        if not _is_whole(self.starts) or self.starts < lowest:
            raise OptionError(
                f"starts must be a whole number of at least {lowest}, not {self.starts!r}."
            )
        if not _is_whole(self.max_iterations) or self.max_iterations < 1:
            raise OptionError(
                f"max_iterations must be a whole number of at least 1, not {self.max_iterations!r}."
            )
        if not isinstance(self.tolerance, (int, float)) or not 0 < self.tolerance < 1:
            raise OptionError(f"tolerance must be between 0 and 1, not {self.tolerance!r}.")
        if self.acceleration not in get_args(Acceleration):
            raise OptionError(
                f"acceleration must be one of {', '.join(get_args(Acceleration))}, not "
                f"{self.acceleration!r}."
            )
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        unknown = [kind for kind in kinds if kind not in get_args(StartKind)]
        if unknown or not kinds:
            raise OptionError(
                f"unknown kind of start {', '.join(map(repr, unknown))}; there are: "
                f"{', '.join(get_args(StartKind))}."
            )
        object.__setattr__(self, "kinds", kinds)


def _is_whole(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
