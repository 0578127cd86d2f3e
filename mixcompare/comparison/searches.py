"""Two searches that know nothing of each other: EM's starts, and the sampler's own climbs.

EM climbs the likelihood, the sampler's search the posterior's density in its own coordinates, so
that a maximum of the one lies a little off that of the other: the prior lies between them. EM is
run from the class probabilities at each of the sampler's maxima, and where it ends says which of
EM's optima that is, as it does for draws (`mixcompare.comparison.modes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixcompare.backends import get_backend
from mixcompare.backends.em.climbing import Climber
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.maxima import same_within
from mixcompare.comparison.heights import log_density
from mixcompare.comparison.modes import Mode, place
from mixcompare.fits.fit import Fit
from mixcompare.fits.result import Optima

# Of the log evidences of two modes: the lower has less than a thousandth of the mass.
_LITTLE = float(np.log(1000.0))


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """Where both searches ended.

    Attributes
    ----------
    modes
        EM's optima, the best first, then those to which only the sampler's maxima lead.
    optima
        What the sampler's search found.
    ends
        (O,) place in `modes` of each of the sampler's maxima; -1 where EM did not converge from it.
    em_density, densities
        Log posterior density of EM's estimate, and (O,) of the sampler's maxima, without the
        Jacobian of the sampler's coordinates.
    """

    modes: tuple[Mode, ...]
    optima: Optima
    ends: IntArray
    em_density: float
    densities: FloatArray

    @property
    def climbs_at_best(self) -> int:
        """How many of the sampler's climbs lead to EM's best optimum."""
        return int(self.optima.climbs[self.ends == 0].sum())

    @property
    def highest(self) -> Mode | None:
        """The highest mode to which the sampler's maxima lead and that is not spurious."""
        reached = [self.modes[i] for i in set(self.ends.tolist()) if i >= 0]
        proper = [mode for mode in reached if not mode.spurious]
        return max(proper, key=lambda mode: mode.objective, default=None)

    @property
    def missed_by(self) -> float:
        """By how much EM's estimate is above all of the sampler's maxima, in log density."""
        # An end that is no proper maximum may lie where a density is not known.
        return self.em_density - float(np.fmax.reduce(self.densities, initial=-np.inf))

    @property
    def little_mass(self) -> bool:
        """Whether the posterior has next to no mass at EM's best optimum, by Laplace."""
        evidence = self.optima.log_evidence
        here = evidence[self.ends == 0]
        if not np.isfinite(here).any():
            return False
        return bool(np.nanmax(evidence) - np.nanmax(here) > _LITTLE)


def hold_together(
    em: Fit, posterior_fit: Fit, climber: Climber, modes: Sequence[Mode]
) -> Searches | None:
    """Lead each of the sampler's maxima to an optimum of EM; None if there was no such search.

    Parameters
    ----------
    modes
        EM's optima, see `mixcompare.comparison.modes.em_optima`.
    """
    optima = posterior_fit.result.optima
    if optima is None:
        return None
    known = list(modes)
    scorer = get_backend(posterior_fit.backend).scorer(em.problem)
    starts = scorer.occupancy(optima.parameters)
    summits = [climber.climb(tau) if np.isfinite(tau).all() else None for tau in starts]
    ends = [-1 if summit is None else place(known, summit) for summit in summits]
    at_em = {name: values[None] for name, values in em.estimate.items()}
    return Searches(
        tuple(known),
        optima,
        np.array(ends, dtype=np.intp),
        float(log_density(em, at_em)[0]),
        log_density(em, optima.parameters),
    )


def searches_table(em: Fit, searches: Searches | None) -> pd.DataFrame:
    """One row per optimum of either search, the highest first; none without a second search.

    Returns
    -------
    log_likelihood; gap to EM's maximum (negative: above it); optimum, EM's number for it from 1,
    missing if no start has reached it; spurious, whether it is; starts and start_share, of EM's
    starts; climbs and climb_share, of the sampler's; log_posterior and log_evidence, the highest
    of the sampler's maxima that lead there, missing if none does. Maxima from which EM did not
    converge make a last row.
    """
    if searches is None:
        return pd.DataFrame(columns=_COLUMNS, index=pd.Index([], name="place"))
    numbers = em.search.ends["optimum"]
    rows = [_row(em, searches, i, mode, numbers) for i, mode in enumerate(searches.modes)]
    rows.sort(key=lambda row: -row["log_likelihood"])
    lost = searches.ends < 0
    if lost.any():
        unknown: dict[str, float] = {**dict.fromkeys(_COLUMNS, np.nan), "spurious": False}
        rows.append(unknown | _climbed(searches, lost))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="place"))


_COLUMNS = [
    *("log_likelihood", "gap", "optimum", "spurious", "starts", "start_share"),
    *("climbs", "climb_share", "log_posterior", "log_evidence"),
]


def _row(em: Fit, searches: Searches, i: int, mode: Mode, numbers: IntArray) -> dict[str, float]:
    starts = 0 if mode.optimum is None else int((numbers == mode.optimum).sum())
    return {
        "log_likelihood": mode.log_likelihood,
        "gap": em.log_likelihood - mode.log_likelihood,
        "optimum": np.nan if mode.optimum is None else mode.optimum + 1,
        "spurious": mode.spurious,
        "starts": starts,
        "start_share": starts / len(numbers),
        **_climbed(searches, searches.ends == i),
    }


def _climbed(searches: Searches, here: np.ndarray) -> dict[str, float]:
    optima = searches.optima
    climbs = int(optima.climbs[here].sum())
    evidence = optima.log_evidence[here & np.isfinite(optima.log_evidence)]
    return {
        "climbs": climbs,
        "climb_share": climbs / optima.n_climbs,
        "log_posterior": float(optima.log_posterior[here].max()) if here.any() else np.nan,
        "log_evidence": float(evidence.max(initial=-np.inf)) if evidence.size else np.nan,
    }


def above(mode: Mode | None, maximum: float) -> bool:
    """Whether a mode is higher than EM's maximum."""
    return mode is not None and mode.log_likelihood > maximum + same_within(maximum)
