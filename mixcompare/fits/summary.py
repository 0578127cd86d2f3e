"""Tables of parameters: estimates with standard errors, or posterior draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from mixcompare.base.arrays import FloatArray
from mixcompare.model.layout import Parameter

LEVEL = 0.95
Z = float(ndtri(0.5 + LEVEL / 2))


def wald_interval(
    parameters: Sequence[Parameter], estimate: FloatArray, standard_error: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """95 % intervals that stay within each parameter's range.

    Normal on the parameter's own scale for coefficients and covariances, on the logit
    scale for probabilities and on the log scale for what is positive, by the delta method.

    Parameters
    ----------
    parameters
        What the values are, (P,).
    estimate, standard_error
        (P,) each; a standard error that is not available is NaN and so is its interval.

    Returns
    -------
    lower, upper
        (P,) each.
    """
    is_probability = np.array([p.support == "probability" for p in parameters])
    is_positive = np.array([p.support == "positive" for p in parameters])
    lower, upper = estimate - Z * standard_error, estimate + Z * standard_error
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        on_log = Z * standard_error / estimate
        on_logit = on_log / (1 - estimate)
        for bound, sign in ((lower, -1), (upper, 1)):
            bound[is_positive] = (estimate * np.exp(sign * on_log))[is_positive]
            bound[is_probability] = expit(logit(estimate) + sign * on_logit)[is_probability]
    return lower, upper


def summarise_estimate(
    parameters: Sequence[Parameter], estimate: FloatArray, standard_error: FloatArray
) -> pd.DataFrame:
    """Columns estimate, se, lower, upper (95 %); one row per parameter."""
    lower, upper = wald_interval(parameters, estimate, standard_error)
    return pd.DataFrame(
        {"estimate": estimate, "se": standard_error, "lower": lower, "upper": upper},
        index=_index(parameters),
    )


def summarise_posterior(parameters: Sequence[Parameter], draws: FloatArray) -> pd.DataFrame:
    """Moments, 95 % equal-tailed interval and convergence of draws.

    Parameters
    ----------
    draws
        (C, S, P) values of C chains with S draws.

    Returns
    -------
    Columns mean, median, sd, lower, upper, r_hat (rank-normalised split; Vehtari et al.
    2021), ess_bulk, ess_tail, mcse_mean; one row per parameter.
    """
    flat = draws.reshape(-1, draws.shape[-1])
    lower, upper = np.quantile(flat, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    return pd.DataFrame(
        {
            "mean": flat.mean(axis=0),
            "median": np.median(flat, axis=0),
            "sd": flat.std(axis=0, ddof=1),
            "lower": lower,
            "upper": upper,
            **convergence(draws),
        },
        index=_index(parameters),
    )


MEASURES: Final = ("r_hat", "ess_bulk", "ess_tail", "mcse_mean")


def convergence(draws: FloatArray, measures: Sequence[str] = MEASURES) -> dict[str, FloatArray]:
    """R-hat, bulk and tail ESS and the Monte Carlo error of the mean.

    Parameters
    ----------
    draws
        (C, S, P). A quantity that never varies (one component's weight) gives NaN.
    measures
        Those of them that are wanted.
    """
    from arviz_stats.base import array_stats  # slow to import, needed by few

    functions: dict[str, Callable[..., FloatArray]] = {
        "r_hat": array_stats.rhat,
        "ess_bulk": partial(array_stats.ess, method="bulk"),
        "ess_tail": partial(array_stats.ess, method="tail", prob=(0.05, 0.95)),
        "mcse_mean": array_stats.mcse,
    }
    varies = np.ptp(draws, axis=(0, 1)) > 0
    result = {name: np.full(draws.shape[-1], np.nan) for name in measures}
    if varies.any():
        for name, values in result.items():
            values[varies] = functions[name](draws[..., varies], chain_axis=0, draw_axis=1)
    return result


def _index(parameters: Sequence[Parameter]) -> pd.Index:
    return pd.Index([p.name for p in parameters], name="parameter")


def thinned(draws: FloatArray, count: int) -> FloatArray:
    """So many of the draws, spread evenly over all chains.

    Parameters
    ----------
    draws
        (C, S, ...) by chain.
    count
        L, not more than C S.

    Returns
    -------
    (L, ...), nearly independent where they are far enough apart.
    """
    merged = draws.reshape(-1, *draws.shape[2:])
    return np.asarray(merged[np.linspace(0, len(merged) - 1, count).astype(np.intp)])
