"""EM's optima: their table, where they and draws lie about the best, and EM's way up to it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mixcompare import labels
from mixcompare.backends import occupancy_at
from mixcompare.backends.em.scoring import Scorer
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.comparison.modes import spurious_starts
from mixcompare.fits.fit import Fit
from mixcompare.labels.metrics import total_variation


def optima_table(em: Fit) -> pd.DataFrame:
    """EM's distinct optima, best first.

    Returns
    -------
    log_likelihood, gap to the best (negative: above it, a spurious one), starts that reached
    it and their share, units' worth of its smallest class, whether it is spurious with the rows
    of the class that makes it so, and the status of its starts.
    """
    starts = em.search.ends
    frame = pd.DataFrame(
        {
            "optimum": starts["optimum"],
            "log_likelihood": starts["log_likelihood"],
            "smallest_class": em.search.parameters["weights"].min(axis=1) * em.n_independent,
            "spurious": spurious_starts(em),
            "spurious_rows": starts.get("spurious_rows", np.nan),
            "status": starts["status"],
        }
    )
    usable = frame[frame["optimum"] >= 0].groupby("optimum")
    table = usable.agg(
        log_likelihood=("log_likelihood", "max"),
        starts=("log_likelihood", "size"),
        smallest_class=("smallest_class", "first"),
        spurious=("spurious", "any"),
        spurious_rows=("spurious_rows", "first"),
        status=("status", lambda s: ", ".join(sorted(set(s)))),
    )
    table.insert(1, "gap", table["log_likelihood"].iloc[0] - table["log_likelihood"])
    table.insert(3, "share", table["starts"] / len(frame))
    return table


def distance_of_optima(em: Fit, numbers: Iterable[int]) -> FloatArray:
    """(O,) mean total variation of class probabilities at optima from those at the best.

    Parameters
    ----------
    numbers
        Of the optima, as in the index of `optima_table`.
    """
    optimum = em.search.ends["optimum"]
    scorer, reference = Scorer(em.problem), em.responsibilities.to_numpy()
    distance = []
    for number in numbers:
        first = np.flatnonzero(optimum == number)[:1]
        end = {name: values[first] for name, values in em.search.parameters.items()}
        distance.append(total_variation(reference, scorer.occupancy(end)[0]).mean())
    return np.array(distance)


def distance_and_height_of_draws(
    em: Fit, posterior_fit: Fit, permutation: IntArray, most: int
) -> FloatArray:
    """(D, 2) of evenly spaced draws: distance as of optima, log-likelihood less EM's maximum.

    Parameters
    ----------
    permutation
        (C, S, K) that give draws EM's labels.
    most
        How many draws at the most, over all chains.
    """
    numbers = posterior_fit.draws.numbers
    total = posterior_fit.log_likelihood_by_draw
    step = max(1, -(-total.size // most))
    drawn = occupancy_at(posterior_fit, numbers[:, ::step])
    tau = labels.permute(drawn, permutation[:, ::step], axis=-1)
    reference = em.responsibilities.to_numpy()
    distance = [total_variation(reference, one).mean() for one in tau.reshape(-1, *tau.shape[2:])]
    return np.column_stack([distance, total[:, ::step].ravel() - em.log_likelihood])


def bounds(em: Fit, most: int) -> tuple[FloatArray, FloatArray]:
    """Log-likelihood and lower bound of the best start's first iterates, at most so many.

    Returns
    -------
    (I,) and (I - 1,), see `mixcompare.backends.em.scoring.Scorer.lower_bounds`.
    """
    history = em.tree["history"].to_dataset().isel(iteration=slice(most))
    return Scorer(em.problem).lower_bounds(em.layout.take(history))
