"""The numbers of fits that new ones must give again, and how closely they must."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixcompare.base.arrays import FloatArray
from mixcompare.comparison import Comparison
from mixcompare.comparison.parties import having
from mixcompare.comparison.several import align_draws
from mixcompare.fits.fit import Fit
from mixcompare.model.layout import flatten

# EM's path is the same up to rounding wherever it is run; relative to the size of a number
# or, where that is larger, its standard error.
EXACT: Final = 1e-8
# Chance that any of the numbers is refused though only the random numbers differ.
_FALSE_ALARM: Final = 0.001


def recorded_fits(comparison: Comparison) -> dict[str, Fit]:
    """Every fit by name: ``"em"``, ``"pymc"``, then any further ones by what they are."""
    further = having(comparison.parties, "maximum", "mode", "further posterior")
    return {"em": comparison.em, "pymc": comparison.posterior_fit, **further}


def numbers(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Estimates of every fit by EM, and summaries of every posterior's aligned draws.

    Parameters
    ----------
    fits
        By name. Draws are aligned to the first fit by EM of the same specification, or to
        their own mean where there is none.

    Returns
    -------
    source, the fit's name; backend; quantity; value; and error: EM's standard error, or the
    Monte Carlo error of a summary (Vehtari et al. 2021); NaN where there is none.
    """
    parts = []
    for name, fit in fits.items():
        if fit.is_optimum:
            parts.append(_em(name, fit))
        else:
            same = [f for f in fits.values() if f.is_optimum and f.spec == fit.spec]
            reference = (same or [fit])[0].responsibilities.to_numpy()
            parts.append(_pymc(name, fit, reference))
    return pd.concat(parts, ignore_index=True)


def _em(source: str, fit: Fit) -> pd.DataFrame:
    table = fit.summary()
    estimate, error = table["estimate"].to_numpy(), table["se"].to_numpy()
    names = [*table.index, *(f"standard error of {name}" for name in table.index)]
    values = [fit.log_likelihood, *estimate, *error]
    errors = [np.nan, *error, *np.full(len(error), np.nan)]
    return _rows(source, "em", ["log-likelihood", *names], values, errors).dropna(subset="value")


def _pymc(source: str, fit: Fit, reference: FloatArray) -> pd.DataFrame:
    aligned = align_draws(fit, reference).posterior
    total = fit.log_likelihood_by_draw
    draws = np.concatenate([flatten(aligned, fit.parameters), total[..., None]], axis=-1)
    names = [*(parameter.name for parameter in fit.parameters), "log-likelihood"]
    flat = draws.reshape(-1, draws.shape[-1])
    parts = []
    for word, kind, values in (
        ("mean", "mean", flat.mean(axis=0)),
        ("standard deviation", "sd", flat.std(axis=0, ddof=1)),
    ):
        quantities = [f"{word} of {name}" for name in names]
        errors = _monte_carlo_error(draws, kind)
        parts.append(_rows(source, "pymc", quantities, values, errors))
    return pd.concat(parts)


def _rows(
    source: str, backend: str, quantities: list[str], values: Any, errors: Any
) -> pd.DataFrame:
    columns = {"quantity": quantities, "value": values, "error": errors}
    return pd.DataFrame({"source": source, "backend": backend, **columns})


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
    digest = hashlib.sha256()
    for name, values in fit.draws.parameters.items():
        digest.update(f"{name}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()


def digests(fits: Mapping[str, Fit]) -> dict[str, str]:
    """`draws_digest` of every posterior among fits."""
    return {name: draws_digest(fit) for name, fit in fits.items() if fit.has_draws}


def agreement(reported: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """Number by number, whether two sets of fits agree.

    EM's must agree to 1e-8 of their size or standard error. Summaries of draws must agree
    within their Monte Carlo errors, with a normal quantile that refuses any of them with
    probability 0.001 if only the random numbers differ (Bonferroni).

    Parameters
    ----------
    reported, again
        As `numbers` gives them.

    Returns
    -------
    source, backend, quantity, reported, again, difference, allowed, agrees; one row per
    number of either, and what one of them lacks is NaN and does not agree.
    """
    keys = ["source", "backend", "quantity"]
    table = pd.concat([reported[keys], again[keys]]).drop_duplicates(ignore_index=True)
    for side, suffix in ((reported, "_reported"), (again, "_again")):
        suffixed = side.rename(columns={name: f"{name}{suffix}" for name in ("value", "error")})
        table = table.merge(suffixed, on=keys, how="left")
    size = np.fmax(table["value_reported"].abs(), table["error_reported"])
    sampled = int((table["backend"] == "pymc").sum())
    quantile = float(ndtri(1 - _FALSE_ALARM / (2 * max(sampled, 1))))
    noise = quantile * np.hypot(table["error_reported"], table["error_again"])
    allowed = np.where(table["backend"] == "em", EXACT * size, noise)
    # A quantity that never varies is a constant, whose mean may differ by rounding.
    allowed = np.fmax(allowed, EXACT * table["value_reported"].abs())
    difference = table["value_again"] - table["value_reported"]
    return pd.DataFrame(
        {
            **{key: table[key] for key in keys},
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
    table = pd.DataFrame(records, columns=["source", "backend", "quantity", "value", "error"])
    return table.astype({"value": float, "error": float})
