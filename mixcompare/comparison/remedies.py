"""Which side has failed, by how much, and what to run: a headline and code for it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mixcompare.base.arrays import IntArray
from mixcompare.base.words import listing
from mixcompare.comparison.calls import (
    DATA,
    Name,
    command,
    fit_code,
    spec_code,
    unusual_options,
)
from mixcompare.comparison.evidence import Evidence
from mixcompare.comparison.glossary import (
    APPROXIMATE,
    DIVERGENT,
    FEW_STARTS,
    LITTLE_MASS,
    MISSED_BY_SEARCH,
    MISSED_MODE,
    MODES,
    NOT_CONVERGED,
    SADDLE,
    SEPARATION,
    SPURIOUS,
    UNFINISHED,
    UNVISITED,
    WORSE_OPTIMUM,
    Entry,
)
from mixcompare.comparison.rules_searches import judge_searches
from mixcompare.fits.fit import Fit

# Longer chains than so many times those at hand are no remedy.
_LONGEST: Final = 20.0
# What a guess of the length needed is multiplied by, since R-hat and ESS are guesses themselves.
_MARGIN: Final = 1.5
# Of sequential Monte Carlo, which needs many to cross between modes.
_PARTICLES: Final = 2000
_STEPS: Final = (0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to run where one side has failed.

    Attributes
    ----------
    reason
        Of the verdicts that it is for.
    headline
        Which side has failed, and by how much: a clause without capital and full stop.
    python
        Lines that fit and compare again; ``data`` and the other fit go by the names of the
        report's code.
    command
        The command line for it, the data file as `mixcompare.comparison.calls.DATA`; empty where
        the command does not take what is to be changed.
    changes
        Options to change, of the backend.
    backend
        Whose they are.
    """

    reason: Entry
    headline: str
    python: str
    command: str
    changes: Mapping[str, Any]
    backend: str

    def command_on(self, file: str) -> str:
        """The command on a data file."""
        return self.command.replace(DATA, shlex.quote(file))

    @property
    def toml(self) -> str:
        """Lines of a study file's method; empty where one of them is no plain value."""
        if any(isinstance(value, Name) for value in self.changes.values()):
            return ""
        lines = {"backend": self.backend, **self.changes}
        return "\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items())


def remedies(e: Evidence) -> tuple[Remedy, ...]:
    """One remedy for each side that has failed, EM's first."""
    remedies = (_of_em(e), _of_chains(e))
    return tuple(remedy for remedy in remedies if remedy is not None)


def _of_em(e: Evidence) -> Remedy | None:
    """The gravest failure of EM, if there is one."""
    tried = len(e.em.search.ends["optimum"])
    more = {"starts": max(200, 4 * tried)}
    most = {"max_iterations": max(5000, 10 * int(e.em.options["max_iterations"]))}
    if e.scores.restart is not None and e.worse_optimum:
        by = e.scores.restart.log_likelihood - e.scores.em_maximum
        changes = {**more, "initial": Name("comparison.restart")}
        changes |= most if e.em.status == "iteration limit" else {}
        return _again(e, WORSE_OPTIMUM, f"EM missed a maximum {by:.3g} higher", e.em, changes)
    if e.saddle:
        return _again(e, SADDLE, "EM stopped at a saddle point", e.em, more)
    if e.spurious:
        return _mode(e, SPURIOUS, "EM's maximum is spurious")
    if e.separated:
        return _mode(e, SEPARATION, "EM's log-odds run off to infinity")
    if e.em.status != "converged":
        return _again(e, UNFINISHED, "EM has not converged", e.em, most)
    at_best = int(e.optima["starts"].iloc[0])
    if e.em.spec.n_components > 1 and at_best < e.thresholds.starts_at_best:
        said = f"EM reached its maximum from {at_best} of {tried} starts"
        return _again(e, FEW_STARTS, said, e.em, more)
    return None


def _of_chains(e: Evidence) -> Remedy | None:
    """The gravest failure of the chains, if there is one."""
    [chains] = e.fits("posterior").values()
    if e.missed_mode:
        said = f"the chains missed a mode {e.heights.gap:.3g} higher"
        return _again(e, MISSED_MODE, said, chains, _elsewhere(chains))
    if e.different_modes:
        across = {"sampler": "smc", "draws": max(_PARTICLES, int(chains.options["draws"]))}
        changes = _elsewhere(chains) if _blind(chains) else across
        return _again(e, MODES, _apart(e), chains, changes)
    if e.unvisited and e.searches is not None and e.searches.little_mass:
        return _mode(e, LITTLE_MASS, "EM's maximum holds little of the posterior")
    if e.unvisited and not e.worse_optimum:
        said = "the chains never reach EM's mode"
        return _again(e, UNVISITED, said, chains, _elsewhere(chains))
    if e.searches is not None and judge_searches(e).reason == MISSED_BY_SEARCH:
        said = f"the sampler's search missed EM's maximum, {e.searches.missed_by:.3g} higher"
        more = {"climbs": max(200, 4 * e.searches.optima.n_climbs)}
        return _again(e, MISSED_BY_SEARCH, said, chains, more)
    if e.approximate:
        said = "the draws are of an approximation"
        return _again(e, APPROXIMATE, said, chains, {"sampler": "nutpie"})
    if e.converged:
        return None
    r_hat, ess = worst_r_hat(e), float(e.estimates["ess_bulk"].min())
    if e.unconverged is DIVERGENT:
        rate = float(chains.options["target_accept"])
        higher = next((step for step in _STEPS if step > rate), (1 + rate) / 2)
        said = f"{e.divergences} transition{'s' * (e.divergences > 1)} of the sampler diverged"
        return _again(e, DIVERGENT, said, chains, {"target_accept": higher})
    longer = {
        "draws": enough_draws(int(chains.options["draws"]), r_hat, ess, e),
        "tune": max(1000, int(chains.options["tune"])),
    }
    said = f"the chains are too short (R-hat {r_hat:.3f}, ESS {ess:.0f})"
    return _again(e, NOT_CONVERGED, said, chains, longer)


def worst_r_hat(e: Evidence) -> float:
    """The largest R-hat of what has been aligned and of what needs no alignment."""
    return float(np.nanmax([e.estimates["r_hat"].max(), *e.invariant.values()]))


def enough_draws(draws: int, r_hat: float, ess: float, e: Evidence) -> int:
    """Draws of each chain that should meet the thresholds of R-hat and ESS, to the next 500.

    Of chains that are stationary the effective draws grow with their length, and ``R-hat^2 - 1``
    falls with it (Vats & Knudson 2021, equation 6).
    """
    limits = e.thresholds
    by_ess = limits.ess / ess if ess > 0 else _LONGEST
    by_r_hat = (r_hat**2 - 1) / (limits.r_hat**2 - 1) if np.isfinite(r_hat) else _LONGEST
    factor = min(_LONGEST, _MARGIN * max(by_ess, by_r_hat, 1.0))
    return 500 * math.ceil(draws * factor / 500)


def _apart(e: Evidence) -> str:
    """Which chains are in which mode, and how far below the highest that they visit."""
    commonest = e.modes.shares.argmax(axis=0)
    height = np.array([mode.log_likelihood for mode in e.modes.modes])[commonest]
    lower, highest = np.flatnonzero(height < height.max()), np.flatnonzero(height == height.max())
    if not len(lower):
        return "the chains sit in different modes"
    sit = "sits" if len(lower) == 1 else "sit up to" if np.ptp(height[lower]) > 0 else "sit"
    return f"{_chains(lower)} {sit} {np.ptp(height):.3g} lower than {_chains(highest)}"


def _chains(numbers: IntArray) -> str:
    """Their names, counted from 1."""
    return f"chain{'s' * (len(numbers) > 1)} {listing([str(c + 1) for c in numbers])}"


def _elsewhere(chains: Fit) -> dict[str, Any]:
    """Starts where a search finds maxima, or near EM's estimate if that has been tried."""
    near = {"init": "search"} if _blind(chains) else {"init": "em", "initial": Name("em")}
    other = {"sampler": "nutpie"} if chains.options["sampler"] == "smc" else {}
    usual = {name: max(1000, int(chains.options[name])) for name in ("draws", "tune")}
    return {**near, **other, **usual}


def _blind(chains: Fit) -> bool:
    """Whether chains started without a search."""
    return chains.options["init"] in ("overdispersed", "prior")


def _again(e: Evidence, reason: Entry, said: str, fit: Fit, changes: Mapping[str, Any]) -> Remedy:
    """The fit again with changed options, and its comparison with the other."""
    [chains] = e.fits("posterior").values()
    given = {"em": unusual_options(e.em), "pymc": unusual_options(chains)}
    name = "em" if fit is e.em else "pymc"
    options = {**given[name], **changes}
    if options.get("init") == "em":
        options.setdefault("initial", Name("em"))
    python = _lines(e, fit_code(name, fit, options), "em, pymc")
    typed = {key: value for key, value in options.items() if key != "initial"}
    line = command(e.em.spec, fit.seed, {**given, name: typed})
    return Remedy(reason, said, python, line, changes, name)


def _mode(e: Evidence, reason: Entry, said: str) -> Remedy:
    """EM's mode of the posterior beside the two fits, where the likelihood has no maximum."""
    changes = {"estimator": "map"}
    call = fit_code("mode", e.em, {**unusual_options(e.em), **changes})
    return Remedy(reason, said, _lines(e, call, "em, pymc, mode"), "", changes, e.em.backend)


def _lines(e: Evidence, call: str, compared: str) -> str:
    return "\n".join(
        [f"spec = {spec_code(e.em.spec)}", call, f"comparison = mc.compare({compared})"]
    )
