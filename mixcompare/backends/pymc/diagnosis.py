"""Whether the chains agree, in words with the evidence.

Converged means that, after alignment, every reported parameter and the summed
log-likelihood have a rank-normalised split R-hat of at most 1.01 and at least 100
effective draws (bulk) per chain (Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021), and
that no transition diverged. The log-likelihood does not depend on labels: chains that
disagree on it sit in different modes, whatever the relabelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mixcompare.panel import FloatArray
from mixcompare.summary import convergence

R_HAT_LIMIT: Final = 1.01
ESS_PER_CHAIN: Final = 100
# Slow mixing inside one mode rarely exceeds this; chains in modes of their own do.
_MODES_APART: Final = 1.1


def diagnose(
    names: Sequence[str],
    aligned: FloatArray,
    log_likelihood: FloatArray,
    diverging: FloatArray,
) -> tuple[str, str]:
    """Status and message of a fit.

    Parameters
    ----------
    names
        Names of the P reported parameters.
    aligned
        (C, S, P) aligned draws.
    log_likelihood
        (C, S) summed over units.
    diverging
        (C, S) whether the transition diverged.
    """
    chains, draws = log_likelihood.shape
    measures = convergence(np.concatenate([aligned, log_likelihood[..., None]], axis=-1))
    r_hat, ess = measures["r_hat"], measures["ess_bulk"]
    labels = [*names, "the log-likelihood"]
    worst, scarce = int(np.nanargmax(r_hat)), int(np.nanargmin(ess))
    divergent = int(diverging.sum())
    evidence = (
        f"{chains} chains of {draws} draws: largest R-hat {r_hat[worst]:.3f} ({labels[worst]}), "
        f"smallest bulk ESS {ess[scarce]:.0f} ({labels[scarce]}), {divergent} divergent "
        f"transition{'' if divergent == 1 else 's'}."
    )
    missed = _missed(r_hat[worst], ess[scarce], ESS_PER_CHAIN * chains, divergent)
    if not missed:
        return "converged", evidence
    return "not converged", f"{evidence} Missed: {missed}.{_modes(r_hat[-1], log_likelihood)}"


def _missed(r_hat: float, ess: float, wanted: int, divergent: int) -> str:
    reasons = []
    if r_hat > R_HAT_LIMIT:
        reasons.append(f"R-hat of at most {R_HAT_LIMIT}")
    if ess < wanted:
        reasons.append(f"bulk ESS of at least {wanted} ({ESS_PER_CHAIN} per chain)")
    if divergent:
        reasons.append("no divergent transitions")
    return ", ".join(reasons)


def _modes(r_hat: float, log_likelihood: FloatArray) -> str:
    if not r_hat > _MODES_APART:
        return ""
    means = ", ".join(f"{value:.1f}" for value in log_likelihood.mean(axis=1))
    return (
        f" The chains sit in different modes: the log-likelihood, which does not depend on "
        f"labels, has R-hat {r_hat:.2f} and means {means} by chain."
    )
