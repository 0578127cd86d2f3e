"""Whether the chains agree, in words with the evidence.

Converged means that, after alignment, every reported parameter and the summed
log-likelihood have a rank-normalised split R-hat of at most 1.01 and at least 100
effective draws (bulk) per chain (Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021), and
that no transition diverged. The log-likelihood does not depend on labels: chains that
disagree on it sit in different modes, whatever the relabelling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mixcompare.backends.pymc.exploration import MODES_APART
from mixcompare.backends.pymc.options import Options
from mixcompare.backends.pymc.search.restarting import Restart
from mixcompare.backends.pymc.search.search import Search
from mixcompare.backends.pymc.search.weighing import Mode, shares
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.fits.bridge import LogEvidence, mean_evidence
from mixcompare.fits.heights import SHARE, allowance
from mixcompare.fits.summary import convergence

R_HAT_LIMIT: Final = 1.01
ESS_PER_CHAIN: Final = 100
# Spread of independent estimates, in their own errors: by chance once in a hundred for four.
_RUNS_APART: Final = 2.0


def diagnose(
    names: Sequence[str], aligned: FloatArray, log_likelihood: FloatArray, diverging: FloatArray
) -> tuple[str, str]:
    """Status and message of a fit.

    Of aligned draws (C, S, P) of P named parameters, the log-likelihood (C, S) summed over units,
    and whether each transition (C, S) diverged.
    """
    chains, draws = log_likelihood.shape
    quantities = np.concatenate([aligned, log_likelihood[..., None]], axis=-1)
    measures = convergence(quantities, ("r_hat", "ess_bulk"))
    r_hat, ess = measures["r_hat"], measures["ess_bulk"]
    labels = [*names, "the log-likelihood"]
    if np.isnan(r_hat).all():
        return "not converged", f"{chains} chain of {draws} draws: R-hat needs two chains."
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
    limits = {
        f"R-hat of at most {R_HAT_LIMIT}": r_hat > R_HAT_LIMIT,
        f"bulk ESS of at least {wanted} ({ESS_PER_CHAIN} per chain)": ess < wanted,
        "no divergent transitions": divergent > 0,
    }
    return ", ".join(limit for limit, missed in limits.items() if missed)


def _modes(r_hat: float, log_likelihood: FloatArray) -> str:
    if not r_hat > MODES_APART:
        return ""
    levels = "; ".join(
        f"{_chains(members)} at {log_likelihood[members].mean():.1f}"
        for members in occupancy(log_likelihood)
    )
    return (
        f" The chains sit in different modes: the log-likelihood, which does not depend on "
        f"labels, has R-hat {r_hat:.2f} and means by chain: {levels}. No relabelling can undo this."
    )


def occupancy(log_likelihood: FloatArray) -> list[IntArray]:
    """Chains by mode, the highest log-likelihood (C, S) summed over units first.

    Chains are told apart where successive means differ by more than the draws of a chain
    spread (twice their mean standard deviation).
    """
    means = log_likelihood.mean(axis=1)
    order = np.argsort(-means, kind="stable")
    gaps = -np.diff(means[order])
    apart = np.flatnonzero(gaps > 2 * log_likelihood.std(axis=1).mean())
    return [np.sort(members) for members in np.split(order, apart + 1)]


def in_modes(modes: Sequence[Mode], restarts: Sequence[Restart]) -> str:
    """How much of the mass chains that are apart stand for, and which were started once more."""
    text = "".join(f" {_restarted(restart)}" for restart in restarts)
    if not modes:
        return text
    masses = shares([mode.evidence for mode in modes])
    by_mode = "; ".join(
        f"{_chains(mode.chains)} {_evidence_of(mode, mass)}"
        for mode, mass in zip(modes, masses, strict=True)
    )
    return (
        f"{text} By bridge sampling in each mode: {by_mode}. Modes without a chain do not count, "
        "and means over all chains weigh a mode by its chains, not by its mass."
    )


def _chains(members: IntArray) -> str:
    return f"chain{'s' if len(members) > 1 else ''} {', '.join(str(c + 1) for c in members)}"


def _evidence_of(mode: Mode, mass: float) -> str:
    value, error = mode.evidence.value, mode.evidence.error
    if np.isnan(value):
        return "with too few draws for a log evidence"
    share = "" if np.isnan(mass) else f", {mass:.2%} of the mass"
    return f"with log evidence {value:.2f} (standard error {error:.2g}){share}"


def _restarted(restart: Restart) -> str:
    value, error = restart.below.value, restart.below.error
    by = f"standard error {error:.2g}" if np.isfinite(error) else "by Laplace's approximation"
    were = "were" if len(restart.chains) > 1 else "was"
    return (
        f"{_chains(restart.chains).capitalize()} {were} started once more, out of a mode whose log "
        f"evidence is {value:.1f} lower ({by})."
    )


def missed_maximum(search: Search | None, stats: Mapping[str, FloatArray]) -> str:
    """Which runs of sequential Monte Carlo have no particle at a maximum that has been found.

    That of the highest evidence by Laplace's approximation counts, if this is no small part of
    their estimate; for how near particles must be see `mixcompare.fits.heights`. They count by
    half, since they stem from one another. Empty if there are no such runs.
    """
    proper = () if search is None else [m for m in search.maxima if m.proper]
    if not proper or "log_marginal_likelihood" not in stats:
        return ""
    best, whole = proper[0], _whole(stats).value
    below = best.log_density - stats["lp"].max(axis=1)
    limit = allowance(best.point.size, stats["lp"].shape[1] / 2, share=SHARE)
    runs = np.flatnonzero(below > limit)
    if not runs.size or best.log_evidence < whole + np.log(SHARE):
        return ""
    return (
        f" {_chains(runs).capitalize()} missed a mode that climbs have found: no particle comes "
        f"nearer to its top than {below[runs].min():.1f} in log density, where {limit:.1f} is "
        f"allowed for, and its log evidence by Laplace's approximation is {best.log_evidence:.1f}. "
        "Sequential Monte Carlo from the prior cannot be relied on here; more draws may help."
    )


def approximation(sampler: str, draws: int) -> str:
    """What there is to say of draws that are not the posterior's."""
    return (
        f"{draws} draws from {sampler}'s approximation of the posterior, a cheap look: it may miss "
        "modes and understate spread, and nothing here can tell. Sample with a NUTS sampler before "
        "relying on it."
    )


def remarks(options: Options, stats: Mapping[str, FloatArray]) -> str:
    """What else a reader has to know of a run."""
    notes = []
    if options.init == "em":
        notes.append(
            " Chains started near given parameters (init='em'), so they are no evidence that these "
            "were found independently."
        )
    if options.ordered_by is not None:
        notes.append(
            f" Components are numbered by {options.ordered_by} in every draw: the posterior under "
            "that ordering constraint, in which classes that overlap in it are mixed up."
        )
    if "log_marginal_likelihood" in stats:
        notes.append(_evidence(stats))
    return "".join(notes)


def _evidence(stats: Mapping[str, FloatArray]) -> str:
    by_run, errors = (stats[f"log_marginal_likelihood{end}"] for end in ("", "_error"))
    whole = _whole(stats)
    text = (
        f" Log marginal likelihood {whole.value:.2f}, standard error {whole.error:.2g} "
        f"(by chain {by_run.min():.2f} to {by_run.max():.2f})."
    )
    if len(by_run) > 1 and by_run.std(ddof=1) > _RUNS_APART * np.sqrt((errors**2).mean()):
        text += (
            " The chains differ by more than each expects of itself: particles are too few to "
            "cross between all modes on the way, and more draws make the error smaller."
        )
    return text


def _whole(stats: Mapping[str, FloatArray]) -> LogEvidence:
    return mean_evidence(stats["log_marginal_likelihood"], stats["log_marginal_likelihood_error"])
