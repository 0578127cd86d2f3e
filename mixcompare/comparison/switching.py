"""How labels moved between draws, and which optima EM's starts found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.fit import Fit
from mixcompare.labels import IntArray, Switching, switching
from mixcompare.panel import FloatArray
from mixcompare.summary import convergence


def switching_table(
    permutation: IntArray, estimates: pd.DataFrame, invariant: dict[str, float]
) -> tuple[Switching, pd.DataFrame]:
    """Counts of label switches, and convergence before and after alignment.

    Parameters
    ----------
    permutation
        (chain, draw, K) that align the draws to EM's estimate.
    estimates
        As `estimates_table` gives them.
    invariant
        R-hat of quantities that no relabelling can change.
    """
    moved = switching(permutation)
    chains, draws, _ = permutation.shape
    lines: list[tuple[str, float, str]] = [
        ("labellings visited", moved.labellings, f"over {chains} chains x {draws} draws"),
        (
            "labellings within a chain",
            int(moved.by_chain.max()),
            f"by chain: {', '.join(map(str, moved.by_chain))}",
        ),
        (
            "switches per chain",
            float(moved.switches.mean()),
            f"by chain: {', '.join(map(str, moved.switches))}",
        ),
        ("share of draws relabelled", moved.relabelled, "away from the commonest labelling"),
        ("largest R-hat as sampled", _largest(estimates["r_hat_raw"]), "labels as sampled"),
        ("largest R-hat aligned", _largest(estimates["r_hat"]), "labels aligned to EM"),
        ("smallest bulk ESS as sampled", _smallest(estimates["ess_bulk_raw"]), ""),
        ("smallest bulk ESS aligned", _smallest(estimates["ess_bulk"]), ""),
        *((f"R-hat of {name}", value, "label-invariant") for name, value in invariant.items()),
    ]
    table = pd.DataFrame(lines, columns=["quantity", "value", "note"]).set_index("quantity")
    return moved, table


def invariant_r_hat(log_likelihood: FloatArray, weights: FloatArray) -> dict[str, float]:
    """R-hat of the log-likelihood (C, S) and of the sorted weights (C, S, K).

    One component's weight never varies and is left out.
    """
    found = {"log-likelihood": float(convergence(log_likelihood[..., None])["r_hat"][0])}
    if weights.shape[-1] > 1:
        ordered = convergence(np.sort(weights, axis=-1))
        found["sorted weights"] = float(ordered["r_hat"].max())
    return found


def optima_table(em: Fit) -> pd.DataFrame:
    """EM's distinct optima, best first.

    Returns
    -------
    log_likelihood, gap to the best, starts that reached it and their share, units'
    worth of its smallest class, and the status of its starts.
    """
    starts = em.tree["starts"].to_dataset()
    frame = pd.DataFrame(
        {
            "optimum": starts["optimum"].to_numpy(),
            "log_likelihood": starts["log_likelihood"].to_numpy(),
            "smallest_class": starts["weights"].min("component").to_numpy()
            * em.responsibilities.sizes["unit"],
            "status": starts["status"].to_numpy(),
        }
    )
    usable = frame[frame["optimum"] >= 0].groupby("optimum")
    table = usable.agg(
        log_likelihood=("log_likelihood", "max"),
        starts=("log_likelihood", "size"),
        smallest_class=("smallest_class", "first"),
        status=("status", lambda s: ", ".join(sorted(set(s)))),
    )
    table.insert(1, "gap", table["log_likelihood"].max() - table["log_likelihood"])
    table.insert(3, "share", table["starts"] / len(frame))
    return table


def _largest(values: pd.Series) -> float:
    return float(values.max(skipna=True))


def _smallest(values: pd.Series) -> float:
    return float(values.min(skipna=True))
