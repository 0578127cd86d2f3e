"""The EM backend's options, checked when built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mixcompare.backends.em.compiled import Kernels
from mixcompare.backends.em.standard_errors import METHODS, Method
from mixcompare.backends.em.stopping import TOLERANCES, Criterion
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
    criterion
        What has to fall to the tolerance before EM stops: ``"aitken"``, the gain still to
        come by Aitken's estimate; ``"log_likelihood"``, the last gain; ``"q"``, the last
        change of the expected complete-data log-likelihood Q (these three relative to the
        size of the log-likelihood); or ``"parameters"``, the largest change of a parameter
        in whitened units.
    tolerance
        By default 1e-12, or 1e-7 for ``"parameters"``: strict, because loose ones leave
        slow problems, and their weights above all, far from the maximum.
    max_iterations
        Limit per start.
    acceleration
        ``"squarem"`` extrapolates after the first iterations, never to a lower
        log-likelihood; ``"none"`` is plain EM.
    standard_errors
        ``"observed"``, from the observed information, or ``"sandwich"``, clustered by
        unit, which stays valid if residuals depend on one another within a unit.
    kernels
        ``"numba"`` compiles the passes over the units, which takes seconds once per
        machine; ``"numpy"`` does not; ``"auto"`` compiles where it pays.
    progress
        Show a progress bar; by default if standard error is a terminal.
    """

    starts: int = 50
    kinds: Sequence[StartKind] = get_args(StartKind)
    initial: Any = None
    criterion: Criterion = "aitken"
    tolerance: float | None = None
    max_iterations: int = 5000
    acceleration: Acceleration = "squarem"
    standard_errors: Method = "observed"
    kernels: Kernels = "auto"
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
        if self.standard_errors not in METHODS:
            raise OptionError(
                f"standard_errors must be one of {', '.join(METHODS)}, not "
                f"{self.standard_errors!r}."
            )
        if self.criterion not in TOLERANCES:
            raise OptionError(
                f"criterion must be one of {', '.join(TOLERANCES)}, not {self.criterion!r}."
            )
        if not isinstance(self.limit, (int, float)) or not 0 < self.limit < 1:
            raise OptionError(f"tolerance must be between 0 and 1, not {self.tolerance!r}.")
        if self.acceleration not in get_args(Acceleration):
            raise OptionError(
                f"acceleration must be one of {', '.join(get_args(Acceleration))}, not "
                f"{self.acceleration!r}."
            )
        if self.kernels not in get_args(Kernels):
            raise OptionError(
                f"kernels must be one of {', '.join(get_args(Kernels))}, not {self.kernels!r}."
            )
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        unknown = [kind for kind in kinds if kind not in get_args(StartKind)]
        if unknown or not kinds:
            raise OptionError(
                f"unknown kind of start {', '.join(map(repr, unknown))}; there are: "
                f"{', '.join(get_args(StartKind))}."
            )
        object.__setattr__(self, "kinds", kinds)

    @property
    def limit(self) -> float:
        """The tolerance, or the criterion's default."""
        return TOLERANCES[self.criterion] if self.tolerance is None else self.tolerance


def _is_whole(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
