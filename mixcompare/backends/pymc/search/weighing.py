"""How much of the posterior's mass each mode has, from the draws of the chains that are in it.

The evidence of a mode is the density's integral over it, by bridge sampling (Meng & Wong 1996;
Gronau et al. 2017) between the mode's own draws, aligned to one labelling, and the normal
density with the moments of their first half. A draw of the latter counts only where it is
labelled so already, and the other labellings by their number. It is assumed that chains have
explored the whole of their mode and nothing else, and that modes lie so far apart that the
normal density of one does not reach another. Then evidences of modes add up to the marginal
likelihood as far as modes are known, and modes that no chain is in have no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare import labels
from mixcompare.backends.pymc.evaluate import evaluate
from mixcompare.backends.pymc.search.maxima import Maximum, Terrain
from mixcompare.backends.pymc.search.visits import together
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.fits.bridge import LogEvidence, bridge, fit_proposal

# Allowed for each evidence, in standard errors, before a mode counts as nearly all.
_ERRORS: Final = 2.0
# The least share that is nearly all.
NEARLY_ALL: Final = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """Chains that are in one mode.

    Attributes
    ----------
    chains
        Their numbers, from 0.
    maxima
        Places of the maxima to which their draws climb.
    evidence
        Of the mode, over all labellings.
    """

    chains: IntArray
    maxima: IntArray
    evidence: LogEvidence


def modes_of(
    terrain: Terrain,
    known: Sequence[Maximum],
    visited: IntArray,
    points: FloatArray,
    rng: np.random.Generator,
) -> tuple[Mode, ...]:
    """The modes of chains that have no maximum in common, none where all have; with evidences."""
    groups = together(visited)
    if len(groups) == 1:
        return ()
    modes = []
    for chains in groups:
        maxima = np.unique(visited[chains])
        highest = known[max(maxima, key=lambda i: known[i].log_density)]
        modes.append(Mode(chains, maxima, mode_evidence(terrain, highest, points[chains], rng)))
    return tuple(sorted(modes, key=lambda mode: -np.nan_to_num(mode.evidence.value, nan=-np.inf)))


def mode_evidence(
    terrain: Terrain, maximum: Maximum, points: FloatArray, rng: np.random.Generator
) -> LogEvidence:
    """The evidence of a mode from its chains' draws (C, S, D); NaN where they are too few.

    Parameters
    ----------
    maximum
        Of the mode, to whose labelling draws are aligned.
    """
    chains, length, d = points.shape
    flat = points.reshape(-1, d)
    aligned = terrain.mixture.renumbered(flat, _order(terrain, maximum, flat))
    aligned = aligned.reshape(points.shape)
    half = length // 2
    try:
        proposal = fit_proposal(aligned[:, :half].reshape(-1, d), np.eye(d)[None])
    except np.linalg.LinAlgError:
        return LogEvidence(np.nan, np.nan)
    met, made = aligned[:, half:].reshape(-1, d), proposal.draw(chains * length, rng)
    labelled_so = (_order(terrain, maximum, made) == np.arange(terrain.mixture.n_components)).all(
        axis=1
    )
    with np.errstate(all="ignore"):
        heights = np.where(labelled_so, terrain.density(made)[0], -np.inf)
    estimate = bridge(
        (terrain.density(met)[0] - proposal.log_density(met)).reshape(chains, -1),
        np.nan_to_num(heights, nan=-np.inf) - proposal.log_density(made),
    )
    return LogEvidence(
        estimate.value + float(np.log(terrain.copies(maximum.point))), estimate.error
    )


def shares(evidences: Sequence[LogEvidence]) -> FloatArray:
    """Each mode's share in the sum of all evidences."""
    values = np.array([evidence.value for evidence in evidences])
    relative = np.exp(values - values.max())
    return np.asarray(relative / relative.sum())


def nearly_all(evidences: Sequence[LogEvidence]) -> int | None:
    """The mode that has nearly all of the mass even if errors are against it; None without."""
    values = np.array([evidence.value for evidence in evidences])
    errors = _ERRORS * np.array([evidence.error for evidence in evidences])
    if not np.isfinite([values, errors]).all():
        return None
    top = int(values.argmax())
    against = values + np.where(np.arange(values.size) == top, -errors, errors)
    least = 1 / np.exp(against - against[top]).sum()
    return top if least >= NEARLY_ALL else None


def _order(terrain: Terrain, maximum: Maximum, points: FloatArray) -> IntArray:
    """(n, K) permutations of points (n, D) to a maximum's labelling."""
    mixture = terrain.mixture
    variables = mixture.constrained(mixture.split(points))
    with np.errstate(all="ignore"):
        tau = evaluate(mixture, variables, len(points)).occupancy.at(slice(None))
    return labels.align_to_reference(np.nan_to_num(tau), maximum.responsibilities)
