"""Information criteria, on numbers; knows no backend. Less is better in all of them."""

from __future__ import annotations

import numpy as np

from mixcompare.base.arrays import FloatArray


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Akaike's criterion ``-2 l + 2 d`` (Akaike 1974)."""
    return -2 * log_likelihood + 2 * n_parameters


def bic(log_likelihood: float, n_parameters: int, n: float) -> float:
    """Schwarz's criterion ``-2 l + d log n`` (Schwarz 1978)."""
    return float(-2 * log_likelihood + n_parameters * np.log(n))


def sabic(log_likelihood: float, n_parameters: int, n: float) -> float:
    """Sample-size adjusted BIC ``-2 l + d log((n + 2) / 24)`` (Sclove 1987)."""
    return bic(log_likelihood, n_parameters, (n + 2) / 24)


def icl(
    log_likelihood: float,
    n_parameters: int,
    responsibilities: FloatArray,
    unit_weights: FloatArray | None = None,
) -> float:
    """Integrated completed likelihood in BIC's form (Biernacki, Celeux & Govaert 2000).

    BIC with n = units less twice the log-probability of the most probable classification:
    ``-2 l - 2 sum_g log max_k tau_gk + d log n``. It asks for classes that are told apart.

    Parameters
    ----------
    responsibilities
        (G, K) at the maximum.
    unit_weights
        (G,) how often each unit counts; by default once.
    """
    counted = np.ones(len(responsibilities)) if unit_weights is None else unit_weights
    certainty = float(counted @ np.log(responsibilities.max(axis=1)))
    return bic(log_likelihood, n_parameters, float(counted.sum())) - 2 * certainty
