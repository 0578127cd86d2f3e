"""Modes that remain after alignment, told from copies of one mode.

A mode here is an optimum of the likelihood up to its labels, and a draw belongs to the one
that EM reaches from it (Yao & Lindsay 2009). That needs no choice of distance or number of
clusters. It knows nothing of how high the barriers between modes are: where classes overlap, a
posterior with a single hump can lie over several small optima, which the table shows by
their small gaps and distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixcompare import labels
from mixcompare.backends import occupancy_at
from mixcompare.backends.em.climbing import Climber, Summit
from mixcompare.base.arrays import FloatArray
from mixcompare.base.maxima import same_within
from mixcompare.fits.fit import Fit
from mixcompare.labels import IntArray
from mixcompare.labels.metrics import total_variation

# Ends of one height whose class probabilities are nearer than this on average are one mode.
_SAME_PLACE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """An optimum of the likelihood, labelled as EM's estimate as far as it can be.

    Attributes
    ----------
    log_likelihood, objective
        All constants in; the objective is what EM climbs, see `Summit`.
    responsibilities
        (G, K).
    parameters
        Arrays by name, in the data's units.
    optimum
        Number of EM's optimum, 0 the best; None if none of EM's starts has reached it.
    spurious
        Whether a few rows that are close by chance make it, see
        `mixcompare.backends.em.emissions.normal.spurious`.
    """

    log_likelihood: float
    objective: float
    responsibilities: FloatArray
    parameters: Mapping[str, FloatArray]
    optimum: int | None
    spurious: bool


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Where draws climb to.

    Attributes
    ----------
    modes
        Those that were visited and EM's best optimum, the highest first.
    visited
        (C, D) place in `modes` of each climbed draw; -1 if EM did not converge from it.
    draws
        (D,) which draws of each chain were climbed from.
    permutation
        (C, D, K) that give the climbed draws the labels of their modes.
    """

    modes: tuple[Mode, ...]
    visited: IntArray
    draws: IntArray
    permutation: IntArray

    @property
    def highest(self) -> Mode:
        """The mode of highest objective that is not spurious, if there is one."""
        return next((mode for mode in self.modes if not mode.spurious), self.modes[0])

    @property
    def share_of_spurious(self) -> float:
        """Share of the climbed draws that end at a spurious maximum."""
        spurious = np.array([mode.spurious for mode in self.modes])
        return float(self.shares[spurious].mean(axis=1).sum())

    @property
    def shares(self) -> FloatArray:
        """(modes, C) shares of each chain's climbed draws."""
        return np.stack([(self.visited == i).mean(axis=1) for i in range(len(self.modes))])

    @property
    def share_of_em(self) -> float:
        """Share of the climbed draws that end at EM's best optimum."""
        numbers = [mode.optimum for mode in self.modes]
        return float(self.shares[numbers.index(0)].mean())

    @property
    def share_of_others(self) -> float:
        """Share of the draws from which EM converged that end anywhere but at the commonest mode.

        Zero if EM converged from none.
        """
        ended = float((self.visited >= 0).mean())
        return 1 - float(self.shares.mean(axis=1).max()) / ended if ended else 0.0


def find_modes(optima: Sequence[Mode], climber: Climber, posterior_fit: Fit, climbs: int) -> Modes:
    """Climb from evenly spaced draws of every chain by EM.

    Parameters
    ----------
    optima
        EM's, see `em_optima`.
    climber
        EM on the fits' data.
    climbs
        How many draws to climb from, over all chains; at least one of each.
    """
    numbers = posterior_fit.draws.numbers
    chains, available = numbers.shape
    wanted = min(available, max(1, climbs // chains))
    draws = np.unique(np.linspace(0, available - 1, wanted).astype(np.intp))
    known = list(optima)

    def climb(tau: FloatArray) -> tuple[int, IntArray]:
        summit = climber.climb(tau)
        if summit is None:
            return -1, labels.align_to_reference(tau, known[0].responsibilities)
        number = place(known, summit)
        # EM keeps the draw's labels on its way up, so that what aligns its end aligns it.
        end = labels.align_to_reference(summit.responsibilities, known[number].responsibilities)
        return number, end

    visited, permutation = labels.climbing(occupancy_at(posterior_fit, numbers[:, draws]), climb)
    return _sorted(known, visited, draws, permutation)


def em_optima(em: Fit, climber: Climber) -> list[Mode]:
    """EM's distinct optima, the best first, at the best start that reached each."""
    starts = em.search.ends
    numbers, log_likelihood = starts["optimum"], starts["log_likelihood"]
    objective = log_likelihood + starts["log_prior"]
    spurious = spurious_starts(em)
    optima = []
    for optimum in range(numbers.max() + 1):
        members = np.flatnonzero(numbers == optimum)
        best = members[objective[members].argmax()]
        parameters = {name: values[best] for name, values in em.search.parameters.items()}
        tau = climber.responsibilities(parameters)
        heights = float(log_likelihood[best]), float(objective[best])
        optima.append(Mode(*heights, tau, parameters, optimum, bool(spurious[best])))
    return optima


def spurious_starts(em: Fit) -> NDArray[np.bool_]:
    """(S,) whether the optimum that each of EM's starts reached is spurious."""
    starts = em.search.ends
    if "spurious" not in starts:  # a fit that was saved before they were marked
        return np.zeros(len(starts["optimum"]), dtype=bool)
    return np.asarray(starts["spurious"], dtype=bool)


def place(known: list[Mode], summit: Summit) -> int:
    """Number of the summit among the known modes, to which it is added if it is new."""
    near = same_within(summit.objective)
    for i, mode in enumerate(known):
        if abs(mode.objective - summit.objective) > near:
            continue
        order = labels.align_to_reference(summit.responsibilities, mode.responsibilities)
        apart = total_variation(summit.responsibilities[:, order], mode.responsibilities)
        if apart.mean() <= _SAME_PLACE:
            return i
    order = labels.align_to_reference(summit.responsibilities, known[0].responsibilities)
    arrays, tau = summit.blocks(order), summit.responsibilities[:, order]
    spurious = summit.spurious is not None
    known.append(Mode(summit.log_likelihood, summit.objective, tau, arrays, None, spurious))
    return len(known) - 1


def _sorted(known: list[Mode], visited: IntArray, draws: IntArray, permutation: IntArray) -> Modes:
    """The visited modes and EM's best optimum, the highest first."""
    kept = [i for i in range(len(known)) if i == 0 or (visited == i).any()]
    kept.sort(key=lambda i: -known[i].objective)
    renamed = np.full(len(known) + 1, -1, dtype=np.intp)  # the last is for -1
    renamed[kept] = np.arange(len(kept))
    return Modes(tuple(known[i] for i in kept), renamed[visited], draws, permutation)


def modes_table(em: Fit, modes: Modes, by_draw: FloatArray) -> pd.DataFrame:
    """One row per mode, the highest first.

    Parameters
    ----------
    by_draw
        (C, S) log-likelihoods of all draws.

    Returns
    -------
    log_likelihood; gap to EM's maximum (negative: above it); optimum, EM's number for it from
    1, missing if no start has reached it; spurious, whether it is; draws and share of the
    climbed draws that end there; draws_log_likelihood, their mean log-likelihood before
    climbing; distance, mean total variation from EM's class probabilities; smallest_class in
    units; and the share of each chain's draws. Draws from which EM did not converge make a last
    row.
    """
    climbed = by_draw[:, modes.draws]
    reference = modes.modes[[m.optimum for m in modes.modes].index(0)].responsibilities
    rows = []
    for i, mode in enumerate(modes.modes):
        here = modes.visited == i
        rows.append(
            {
                "log_likelihood": mode.log_likelihood,
                "gap": em.log_likelihood - mode.log_likelihood,
                "optimum": np.nan if mode.optimum is None else mode.optimum + 1,
                "spurious": mode.spurious,
                "distance": float(total_variation(mode.responsibilities, reference).mean()),
                "smallest_class": float((em.replicated @ mode.responsibilities).min()),
                **_visits(here, climbed),
            }
        )
    unfinished = modes.visited < 0
    if unfinished.any():
        rows.append(_visits(unfinished, climbed))
    names = [str(i + 1) for i in range(len(modes.modes))] + ["none"] * int(unfinished.any())
    return pd.DataFrame(rows, index=pd.Index(names, name="mode"))


def _visits(here: np.ndarray, climbed: FloatArray) -> dict[str, float]:
    return {
        "draws": int(here.sum()),
        "share": float(here.mean()),
        "draws_log_likelihood": float(climbed[here].mean()) if here.any() else np.nan,
        **{f"chain {c + 1}": float(row.mean()) for c, row in enumerate(here)},
    }
