"""Options of the PyMC backend."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mixcompare.backends.pymc.samplers.registry import SAMPLERS
from mixcompare.base.checks import check_choice, check_number, check_whole
from mixcompare.base.errors import OptionError
from mixcompare.base.machine import check_memory, check_time, check_workers
from mixcompare.fits.kinds import Kind

Init = Literal["search", "overdispersed", "prior", "em"]

# Fewer draws give no R-hat and no effective sample size.
_FEWEST_DRAWS = 10
# What a draw keeps and takes at the least.
_BYTES, _SECONDS = 24, 2e-5
_SECONDS_OF_CLIMB = 1e-3


@dataclass(frozen=True, slots=True)
class Options:
    """How the posterior is sampled.

    nutpie and sequential Monte Carlo sample one program for every model, written by hand and
    compiled once on a machine, for some ten seconds; every fit checks its density against that
    of PyMC's graph and of the priors. The other samplers compile PyMC's graph, for some seconds
    in every fit.

    Parameters
    ----------
    draws, tune
        Kept draws and adaptation steps of each chain. Sequential Monte Carlo and the
        approximations have no adaptation steps.
    chains
        Number of chains; for ``"smc"`` independent runs of ``draws`` particles. The
        approximations give one.
    cores
        Chains that run at a time. None: as many as there are cores for nutpie and ``"smc"``,
        whose chains are threads; one for PyMC's own samplers, whose chains would be processes
        that import the calling script again.
    sampler
        The No-U-Turn sampler of ``"nutpie"`` (Rust), ``"pymc"``,
        ``"numpyro"`` or ``"blackjax"`` (both JAX); ``"smc"``, sequential Monte Carlo from the
        prior to the posterior, which can cross between modes and gives the log marginal
        likelihood with its error; or a cheap look, ``"pathfinder"`` (Zhang et al. 2022) or
        mean-field ``"advi"`` (Kucukelbir et al. 2017), whose fits have the status
        ``"approximate"``; or another that
        `mixcompare.backends.pymc.samplers.registry.register_mcmc` has made known.
    init
        Where chains start: ``"search"`` about the maxima of the posterior's density that
        `climbs` have found, drawn by their evidence; ``"overdispersed"`` about the pooled fit and
        ``"prior"`` draws, for chains that know nothing; or ``"em"`` near `initial`, which the
        fit's message then says. Only the last knows of EM. Sequential Monte Carlo always starts
        from the prior; with ``"search"`` its runs are held against the maxima afterwards, and a
        run without a particle near one of much evidence has not converged.
    climbs
        For ``init="search"``: how many dispersed points the search climbs from, see
        `mixcompare.backends.pymc.search`. A fit keeps what they found as its `optima`.
    initial
        For ``init="em"``: a `Fit`, or a mapping with ``weights``, ``coefficients``,
        ``covariance`` and, with membership covariates, ``membership_coefficients``.
    target_accept
        Acceptance rate that the step size of the No-U-Turn samplers is adapted to; above
        the usual 0.8 because components that hold little data have curved posteriors.
    ordered_by
        For a posterior under an ordering constraint: components are numbered in every draw by
        the size of this quantity, such as ``"coefficients[x]"``, ``"weights"`` or
        ``"covariance"``, instead of being aligned to one another. Where classes overlap in it,
        it mixes them up: of use to see that beside a fit without it.
    progress
        Whether a progress bar is shown; None: when standard error is a terminal. Sequential
        Monte Carlo has none.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int | None = None
    sampler: str = "nutpie"
    init: Init = "search"
    climbs: int = 50
    initial: Any = None
    target_accept: float = 0.9
    ordered_by: str | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, lowest in (
            ("draws", _FEWEST_DRAWS),
            ("tune", _FEWEST_DRAWS),
            ("chains", 1),
            ("climbs", 1),
        ):
            check_whole(name, getattr(self, name), lowest)
        # What cannot be held or awaited, whatever the data.
        what = f"draws = {self.draws} and tune = {self.tune} with chains = {self.chains}"
        check_memory(self.chains * self.draws * _BYTES, what)
        check_time(self.chains * (self.draws + self.tune) * _SECONDS, what)
        check_time(self.climbs * _SECONDS_OF_CLIMB, f"climbs = {self.climbs}")
        if self.cores is not None:
            check_whole("cores", self.cores)
            check_workers(self.cores, "cores")
        for name, allowed in (("sampler", tuple(SAMPLERS)), ("init", get_args(Init))):
            check_choice(name, getattr(self, name), allowed)
        _installed(self.sampler)
        if (self.init == "em") != (self.initial is not None):
            raise OptionError(
                "init='em' needs initial=, a fit or its parameters, and nothing else takes it: "
                f"init is {self.init!r} and initial {'not ' * (self.initial is None)}given."
            )
        rate, wanted = self.target_accept, "a number from 0.5 to below 1"
        check_number("target_accept", rate, lambda rate: 0.5 <= rate < 1, wanted)
        if not isinstance(self.ordered_by, str | None):
            raise OptionError(
                f"ordered_by must name a quantity of the classes, not {self.ordered_by!r}."
            )
        check_choice("progress", self.progress, (None, True, False))

    @property
    def kind(self) -> Kind:
        """What kind of fit the sampler makes."""
        return "approximation" if SAMPLERS[self.sampler].approximation else "posterior"


def _installed(sampler: str) -> None:
    known = SAMPLERS[sampler]
    if importlib.util.find_spec(known.package) is None:
        install = f"mixcompare[{known.extra}]" if known.extra else known.package
        raise OptionError(
            f"sampler={sampler!r} needs the package {known.package}, which is not installed: pip "
            f"install '{install}', or take sampler='nutpie'."
        )
