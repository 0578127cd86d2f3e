"""Why estimates or likelihoods differ: the likeliest cause, with its evidence."""

from __future__ import annotations

from typing import Final

import numpy as np

from mixcompare.comparison.evidence import Evidence
from mixcompare.comparison.glossary import (
    APPROXIMATE,
    LITTLE_MASS,
    MISSED_MODE,
    MODES,
    PRIOR,
    SADDLE,
    SEPARATION,
    SEVERAL,
    SKEWED,
    SPURIOUS,
    UNKNOWN,
    UNVISITED,
    WORSE_OPTIMUM,
    Entry,
)

_SEPARATED: Final = (SEPARATION, f"{SEPARATION.meaning} {SEPARATION.remedy}")


def likely_reason(e: Evidence) -> tuple[Entry, str]:
    """Why estimates or likelihoods differ, the most damning cause first."""
    if e.worse_optimum:
        higher = "A draw lies above" if e.scores.excess > 0 else "The sampler led above"
        return WORSE_OPTIMUM, f"{higher} EM's maximum, so EM's estimate is not the maximum."
    if e.spurious:
        return SPURIOUS, "EM's estimate is a spurious maximum, which describes a few rows."
    if e.saddle:
        return SADDLE, "EM's estimate is a saddle point of the likelihood, not a maximum."
    if e.missed_mode:
        return MISSED_MODE, "The chains have not been where EM's estimate is, which is higher."
    if e.different_modes:
        return MODES, "The chains have not mixed, so that their mean describes no mode."
    if e.unvisited and e.searches is not None and e.searches.little_mass:
        return LITTLE_MASS, LITTLE_MASS.meaning
    if e.unvisited:
        return UNVISITED, "No draw climbs to EM's estimate, so the backends describe other modes."
    if e.approximate:
        return APPROXIMATE, "An approximation of the posterior cannot settle a difference."
    if not e.converged:
        if e.separated and _most_different(e).startswith("membership"):
            return _SEPARATED
        return e.unconverged, "The chains have not converged, so the difference may be noise."
    if e.several_modes:
        return SEVERAL, (
            f"{e.modes.share_of_others:.1%} of the draws belong to other modes than the "
            "commonest, and the posterior's mean lies between them."
        )
    if e.separated:
        return _SEPARATED
    if np.isnan(e.shift).any():
        return _traced(e) or (UNKNOWN, UNKNOWN.meaning)
    moves = "moves" if e.fits("mode") else "should move"
    moved, left = pull(e)
    if moved > e.thresholds.difference and left <= 0.5 * float(
        e.estimates["difference"].abs().max()
    ):
        return PRIOR, (
            f"The prior alone {moves} parameters by up to {moved:.3g} sds; what it does not "
            f"explain is at most {left:.3g} sds. {PRIOR.remedy}"
        )
    # Where the mode is known, the pull is measured and there is nothing left to trace.
    traced = None if e.fits("mode") else _traced(e)
    return traced or (
        SKEWED,
        f"The prior {moves} parameters by at most {moved:.3g} sds, which leaves up to "
        f"{left:.3g} sds: the posterior's mean is not near its mode.",
    )


def _traced(e: Evidence) -> tuple[Entry, str] | None:
    """The prior as reason, if the parameter that differs most moves when it is power-scaled."""
    line = e.checks.sensitivity.T[_most_different(e)]
    if not line["diagnosis"]:
        return None
    return PRIOR, (
        f"Power-scaling traces the largest difference to the prior of {line['source']} "
        f"({line['diagnosis']})."
    )


def _most_different(e: Evidence) -> str:
    return str(e.estimates["difference"].abs().idxmax())


def pull(e: Evidence) -> tuple[float, float]:
    """Largest move from maximum to mode, and from there to the mean, in posterior sds."""
    difference = e.estimates["difference"]
    moved = e.shift / e.estimates["posterior_sd"].where(lambda sd: sd > 0, 1.0).to_numpy()
    return float(np.abs(moved).max()), float((difference - moved).abs().max())
