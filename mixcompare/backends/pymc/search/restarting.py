"""Chains that start once more, since where they are the posterior has next to no mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import logsumexp

from mixcompare.backends.pymc.search.maxima import Maximum
from mixcompare.backends.pymc.search.weighing import Mode, nearly_all
from mixcompare.base.arrays import IntArray
from mixcompare.fits.bridge import LogEvidence

# Laplace's evidence of a maximum that no chain is at counts where it is higher by so much: a
# hundred times the mass, and as much again for what the approximation can be wrong by.
_FAR_ABOVE: Final = 2 * float(np.log(100))


@dataclass(frozen=True, slots=True, eq=False)
class Restart:
    """Chains that were started once more, about other maxima.

    Attributes
    ----------
    chains
        Their numbers, from 0.
    below
        By how much the log evidence of the mode in which they were lies below the others', with
        its standard error; NaN where Laplace's approximations alone were compared.
    """

    chains: IntArray
    below: LogEvidence


def stuck_in(
    known: Sequence[Maximum], visited: IntArray, modes: Sequence[Mode]
) -> tuple[list[Restart], IntArray]:
    """Chains that are to start once more, and places of the maxima about which they do."""
    laplace = np.array([maximum.log_evidence for maximum in known])
    laplace = np.where(np.isfinite(laplace), laplace, -np.inf)
    reached = float(logsumexp(laplace[np.unique(visited)]))
    highest = int(laplace.argmax())
    if laplace[highest] > reached + _FAR_ABOVE:
        below = LogEvidence(float(laplace[highest] - reached), np.nan)
        return [Restart(np.arange(len(visited)), below)], np.array([highest])
    top = nearly_all([mode.evidence for mode in modes]) if modes else None
    if top is None:
        return [], np.array([], dtype=np.intp)
    best = modes[top].evidence
    restarts = [
        Restart(
            mode.chains,
            LogEvidence(
                best.value - mode.evidence.value, float(np.hypot(best.error, mode.evidence.error))
            ),
        )
        for i, mode in enumerate(modes)
        if i != top
    ]
    order = modes[top].maxima[np.argsort(-laplace[modes[top].maxima], kind="stable")]
    return restarts, order
