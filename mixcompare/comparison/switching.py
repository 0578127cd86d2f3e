"""How labels moved between draws, what does not depend on them, and EM's optima."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixcompare.backends import occupancy_in_batches
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import convergence
from mixcompare.labels import (
    IntArray,
    Switching,
    expected_pairs,
    pair_probabilities,
    switching,
)


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
        (
            "draws between switches",
            float(moved.stay.mean()),
            f"by chain: {', '.join(f'{stay:.0f}' for stay in moved.stay)}; {draws}: never switched",
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


def invariants_table(fit: Fit) -> pd.DataFrame:
    """Convergence of what no relabelling of a posterior can change, to be judged without any.

    Returns
    -------
    mean, sd, r_hat, ess_bulk and ess_tail of the log-likelihood, the sorted weights, the
    expected share of pairs of units that are together, and single such pairs, of which the
    largest R-hat and the smallest ESS are given. One component's weight never varies and is
    left out, and so are pairs.
    """
    weights = fit.draws.parameters["weights"]
    units, k = fit.result.occupancy.shape
    values = {"log-likelihood": fit.log_likelihood_by_draw}
    pairs = _spread_pairs(units)
    if k > 1:
        ordered = -np.sort(-weights, axis=-1)
        values |= {f"weight {i + 1} by size": ordered[..., i] for i in range(k)}
        together = [
            np.column_stack([expected_pairs(tau), pair_probabilities(tau, pairs)])
            for tau in occupancy_in_batches(fit)
        ]
        by_draw = np.concatenate(together).reshape(*weights.shape[:2], -1)
        values["pairs of units together"] = by_draw[..., 0]
    stacked = np.stack(list(values.values()), axis=-1)
    table = pd.DataFrame(
        {
            "mean": stacked.mean(axis=(0, 1)),
            "sd": stacked.std(axis=(0, 1), ddof=1),
            **convergence(stacked, _MEASURES),
        },
        index=pd.Index(list(values), name="quantity"),
    )
    if k > 1:
        measured = convergence(by_draw[..., 1:])
        worst = {name: _worst(name, measured[name]) for name in _MEASURES}
        table.loc[f"worst of {len(pairs)} pairs of units"] = {"mean": np.nan, "sd": np.nan, **worst}
    return table


_MEASURES = ("r_hat", "ess_bulk", "ess_tail")
_PAIRED_UNITS = 15


def _spread_pairs(units: int) -> IntArray:
    """(P, 2) all pairs of a few evenly spaced units."""
    few = np.unique(np.linspace(0, units - 1, _PAIRED_UNITS).astype(np.intp))
    return few[np.argwhere(np.triu(np.ones((len(few), len(few)), dtype=bool), 1))]


def _worst(name: str, values: FloatArray) -> float:
    values = values[np.isfinite(values)]
    return float((max if name == "r_hat" else min)(values, default=np.nan))


def invariant_r_hat(invariants: pd.DataFrame) -> dict[str, float]:
    """R-hat of the log-likelihood and the largest of the sorted weights."""
    r_hat = {"log-likelihood": float(invariants["r_hat"]["log-likelihood"])}
    weights = invariants["r_hat"][invariants.index.str.startswith("weight ")]
    return r_hat | ({"sorted weights": float(weights.max())} if len(weights) else {})


def _largest(values: pd.Series) -> float:
    return float(values.max(skipna=True))


def _smallest(values: pd.Series) -> float:
    return float(values.min(skipna=True))
