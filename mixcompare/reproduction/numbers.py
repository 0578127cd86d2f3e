"""The numbers of a comparison that new fits must give again, and how closely they must."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixcompare.comparison import Comparison
from mixcompare.fit import Fit
from mixcompare.panel import FloatArray
from mixcompare.parameters import flatten, variables

# EM's path is the same up to rounding wherever it is run; relative to the size of a number
# or, where that is larger, its standard error.
EXACT: Final = 1e-8
# Chance that any of the numbers is refused though only the random numbers differ.
_FALSE_ALARM: Final = 0.001


def recorded_fits(comparison: Comparison) -> dict[str, Fit]:
    """Every fit by name: ``"em"``, ``"pymc"``, then any further ones by what they are."""
    own = {"em": comparison.em, "pymc": comparison.posterior_fit}
    further = {
        name: fit
        for name, fit in comparison.arranged.named.items()
        if all(fit is not one for one in own.values())
    }
    return own | further


def numbers(comparison: Comparison) -> pd.DataFrame:
    """Estimates of EM and summaries of the aligned draws that EM is compared with in detail.

    Returns
    -------
    source (``"em"`` or ``"pymc"``), quantity, value, and error: EM's standard error, or the
    Monte Carlo error of a summary (Vehtari et al. 2021); NaN where there is none.
    """
    return pd.concat([_em(comparison), _pymc(comparison)], ignore_index=True)


def _em(comparison: Comparison) -> pd.DataFrame:
    table = comparison.estimates
    estimate, error = table["em_estimate"].to_numpy(), table["em_se"].to_numpy()
    names = [*table.index, *(f"standard error of {name}" for name in table.index)]
    rows = pd.DataFrame(
        {
            "source": "em",
            "quantity": ["log-likelihood", *names],
            "value": [comparison.em.log_likelihood, *estimate, *error],
            "error": [np.nan, *error, *np.full(len(error), np.nan)],
        }
    )
    return rows.dropna(subset="value")


def _pymc(comparison: Comparison) -> pd.DataFrame:
    fit = comparison.posterior_fit
    total = fit.tree["log_likelihood"]["outcomes"].sum("unit").to_numpy()
    draws = np.concatenate(
        [flatten(comparison.aligned, comparison.em.parameters), total[..., None]], axis=-1
    )
    names = [*comparison.estimates.index, "log-likelihood"]
    flat = draws.reshape(-1, draws.shape[-1])
    parts = [
        pd.DataFrame(
            {
                "source": "pymc",
                "quantity": [f"{word} of {name}" for name in names],
                "value": value,
                "error": _monte_carlo_error(draws, kind),
            }
        )
        for word, kind, value in (
            ("mean", "mean", flat.mean(axis=0)),
            ("standard deviation", "sd", flat.std(axis=0, ddof=1)),
        )
    ]
    return pd.concat(parts)


def _monte_carlo_error(draws: FloatArray, kind: str) -> FloatArray:
    """(P,) standard errors of a summary of draws (C, S, P); 0 where nothing varies."""
    from arviz_stats.base import array_stats  # slow to import, needed by few

    varies = np.ptp(draws, axis=(0, 1)) > 0
    result = np.zeros(draws.shape[-1])
    moving = draws[..., varies]
    result[varies] = array_stats.mcse(moving, method=kind, chain_axis=0, draw_axis=1)
    return result


def draws_digest(fit: Fit) -> str:
    """SHA-256 of every draw of the parameters, as sampled."""
    posterior = fit.tree["posterior"].to_dataset()
    digest = hashlib.sha256()
    for name in variables(posterior):
        digest.update(f"{name}{posterior[name].shape}".encode())
        digest.update(np.ascontiguousarray(posterior[name].to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()


def agreement(reported: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """Number by number, whether two fits of the same kind agree.

    EM's must agree to 1e-8 of their size or standard error. Summaries of draws must agree
    within their Monte Carlo errors, with a normal quantile that refuses any of them with
    probability 0.001 if only the random numbers differ (Bonferroni).

    Parameters
    ----------
    reported, again
        As `numbers` gives them.

    Returns
    -------
    source, quantity, reported, again, difference, allowed, agrees; one row per number of
    either, and what one of them lacks is NaN and does not agree.
    """
    table = reported.merge(
        again, on=["source", "quantity"], how="outer", sort=False, suffixes=("_reported", "_again")
    )
    size = np.fmax(table["value_reported"].abs(), table["error_reported"])
    sampled = int((table["source"] == "pymc").sum())
    quantile = float(ndtri(1 - _FALSE_ALARM / (2 * max(sampled, 1))))
    noise = quantile * np.hypot(table["error_reported"], table["error_again"])
    allowed = np.where(table["source"] == "em", EXACT * size, noise)
    # A quantity that never varies is a constant, whose mean may differ by rounding.
    allowed = np.fmax(allowed, EXACT * table["value_reported"].abs())
    difference = table["value_again"] - table["value_reported"]
    return pd.DataFrame(
        {
            "source": table["source"],
            "quantity": table["quantity"],
            "reported": table["value_reported"],
            "again": table["value_again"],
            "difference": difference,
            "allowed": allowed,
            "agrees": difference.abs() <= allowed,
        }
    )


def to_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: numbers that it lacks become None."""
    plain = table.astype(object).where(table.notna(), None)
    return plain.to_dict("records")  # type: ignore[return-value]


def from_records(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The table of which `to_records` made rows."""
    table = pd.DataFrame(records, columns=["source", "quantity", "value", "error"])
    return table.astype({"value": float, "error": float})
