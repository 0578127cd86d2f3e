"""Several runs of EM for one model: what starts and stopping rules make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from mixcompare.backends.em.stopping import TOLERANCES
from mixcompare.base.arrays import FloatArray
from mixcompare.comparison.modes import spurious_starts
from mixcompare.fits.fit import Fit

# In log-likelihood: closer than this to the maximum, no interval would notice.
NEAR: Final = 0.01


def runs_table(maxima: Mapping[str, Fit]) -> pd.DataFrame:
    """One row per fit by EM that maximises the likelihood.

    Parameters
    ----------
    maxima
        Fits by name.

    Returns
    -------
    kinds of start; criterion; tolerance; starts; near, the share of them that ended within
    0.01 of the highest log-likelihood of all the fits; lowest, the largest shortfall of a
    usable start that is not spurious; iterations, the median over starts; log_likelihood;
    shortfall, the highest of all fits less this one; score_distance, the distance from a zero
    score in standard errors; seconds.
    """
    top = max(fit.log_likelihood for fit in maxima.values())
    return pd.DataFrame.from_dict(
        {name: _row(fit, top) for name, fit in maxima.items()}, orient="index"
    ).rename_axis("fit")


def _row(fit: Fit, top: float) -> dict[str, float | str]:
    starts = fit.search.ends
    total = len(starts["optimum"])
    usable = (starts["optimum"] >= 0) & ~spurious_starts(fit)
    shortfall = top - starts["log_likelihood"][usable]
    criterion, given = str(fit.options["criterion"]), fit.options["tolerance"]
    return {
        "kinds": ", ".join(dict.fromkeys(map(str, starts["kind"]))),
        "criterion": criterion,
        "tolerance": TOLERANCES[criterion] if given is None else float(given),
        "starts": total,
        "near": float((shortfall <= NEAR).sum() / total),
        "lowest": float(shortfall.max(initial=0.0)),
        "iterations": float(np.median(starts["iterations"])),
        "log_likelihood": fit.log_likelihood,
        "shortfall": top - fit.log_likelihood,
        "score_distance": float(fit.result.measures["score_distance"]),
        "seconds": fit.seconds,
    }


def near_by_iteration(fit: Fit, top: float) -> FloatArray:
    """(I,) share of the starts that are within 0.01 of a log-likelihood, by iteration.

    A start that has stopped stays where it stopped; one that became unusable or spurious never
    counts, and one whose path was not kept is left out.
    """
    history = fit.search.log_likelihood_history
    usable = (fit.search.ends["optimum"] >= 0) & ~spurious_starts(fit)
    kept = np.isfinite(history).any(axis=1) | ~usable
    history, usable = history[kept], usable[kept]
    stayed = pd.DataFrame(history).ffill(axis=1).to_numpy()
    return np.asarray(((stayed >= top - NEAR) & usable[:, None]).mean(axis=0))
