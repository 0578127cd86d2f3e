"""The EM backend's options, checked when built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from mixcompare.backends.em.standard_errors import Method
from mixcompare.backends.em.stopping import TOLERANCES, Criterion
from mixcompare.base.checks import check_choice, check_number, check_whole
from mixcompare.base.errors import OptionError
from mixcompare.base.machine import check_memory, check_time
from mixcompare.fits.kinds import Kind
from mixcompare.prepared.factorise import Kernels

# What a start keeps and takes at the least.
_BYTES, _SECONDS = 4000, 1e-5

Estimator = Literal["ml", "map"]
History = Literal["parameters", "full"]
Acceleration = Literal["squarem", "none"]
StartKind = Literal["kmeans", "random", "elemental", "perturbed"]
SpuriousMaxima = Literal["avoid", "keep"]

# Random starts that are run where their number is not given, before more are added.
FIRST_STARTS: Final = 50


@dataclass(frozen=True, slots=True)
class Options:
    """How EM is run.

    Parameters
    ----------
    estimator
        ``"ml"`` for maximum likelihood, ``"map"`` for the mode of the posterior density of
        the parameters under the specification's priors.
    starts
        Number of random starts. By default 50, and further ones until starts of two kinds
        have reached the best optimum or the search's budget is spent: 2,000 starts, or
        fewer if they take more work, see `mixcompare.backends.em.search`. Among the further
        ones are ``"moved"`` ones: the best that starts of one kind have reached, some of its
        units put into other classes.
    kinds
        Kinds of start, taken in turn: ``"kmeans"`` on the units' own least-squares fits,
        ``"random"`` responsibilities, ``"elemental"`` fits of a few units each, and the
        pooled fit ``"perturbed"`` by a single unit's standard errors.
    spurious
        What to do where the highest maximum is spurious, a class of a few rows that are close
        together by chance (see `mixcompare.backends.em.emissions.normal.spurious` for the
        rule): ``"avoid"`` takes the highest maximum that is not, ``"keep"`` takes it
        nevertheless. Either way it is marked, and a caution says so.
    initial
        A start of your own, run before the others: a `Fit`, a mapping with ``weights``,
        ``coefficients`` and ``covariance``, classes (G,) counted from 0, or
        responsibilities (G, K), units in the order of the panel's labels.
    short_runs
        emEM (Biernacki, Celeux & Govaert 2003): iterations of every random start, of which
        only the best ones are then continued; None runs every start to its end.
    continued
        How many short runs are continued.
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
        unit, which stays valid if residuals depend on one another within a unit; or
        ``"none"``: the information is then summed to tell saddle points, but not inverted.
    history
        What is kept of the best start's iterations: ``"parameters"`` and log-likelihoods, or
        ``"full"`` with responsibilities and standard errors as well.
    kernels
        ``"numba"`` compiles the passes over the rows and units, which takes seconds once
        per machine; ``"numpy"`` does not; ``"auto"`` compiles where it pays.
    progress
        Show a progress bar; by default if standard error is a terminal.
    """

    estimator: Estimator = "ml"
    starts: int | None = None
    kinds: Sequence[StartKind] = get_args(StartKind)
    spurious: SpuriousMaxima = "avoid"
    initial: Any = None
    short_runs: int | None = None
    continued: int = 5
    criterion: Criterion = "aitken"
    tolerance: float | None = None
    max_iterations: int = 5000
    acceleration: Acceleration = "squarem"
    standard_errors: Method = "observed"
    history: History = "parameters"
    kernels: Kernels = "auto"
    progress: bool | None = None

    def __post_init__(self) -> None:
        if self.starts is not None:
            check_whole("starts", self.starts, 0 if self.initial is not None else 1)
        check_whole("max_iterations", self.max_iterations)
        check_whole("continued", self.continued)
        if self.short_runs is not None:
            check_whole("short_runs", self.short_runs)
        starts = int(self.starts or 0)
        check_memory(starts * _BYTES, f"starts = {starts}")
        check_time(starts * _SECONDS, f"starts = {starts}")
        for name, allowed in get_type_hints(Options).items():
            if get_origin(allowed) is Literal:
                check_choice(name, getattr(self, name), get_args(allowed))
        check_number("tolerance", self.limit, lambda limit: 0 < limit < 1, "between 0 and 1")
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        unknown = [kind for kind in kinds if kind not in get_args(StartKind)]
        if unknown or not kinds:
            raise OptionError(
                f"unknown kind of start {', '.join(map(repr, unknown))}; there are: "
                f"{', '.join(get_args(StartKind))}."
            )
        object.__setattr__(self, "kinds", kinds)

    @property
    def kind(self) -> Kind:
        """What kind of fit EM makes."""
        return "mode" if self.estimator == "map" else "maximum"

    @property
    def first_starts(self) -> int:
        """Number of random starts that are run in any case."""
        return FIRST_STARTS if self.starts is None else self.starts

    @property
    def limit(self) -> float:
        """The tolerance, or the criterion's default."""
        return TOLERANCES[self.criterion] if self.tolerance is None else self.tolerance
