"""Unit covariates that separate classes, so that their log-odds have no finite maximum.

Where every unit that may belong to class k has ``w' (d_k - d_l) >= 0`` for all l, and some unit
has more, moving the log-odds along d never lowers the likelihood: its supremum is at infinity
(Albert & Anderson 1984). In a mixture the classes are not observed; a unit may belong to the
classes that its responsibilities leave it. Such a d is the solution of a linear programme (Konis
2007), and is believed only if the mixture's own log-likelihood does not fall along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from mixcompare.backends.em.classes import membership
from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray

# Separation drives some unit's class probability below any bound: above this one there is none.
_SUSPICIOUS = 1e-4
# Responsibility below which a unit cannot be in a class, as far as a direction is proposed.
_EXCLUDED = 1e-3
# How far to follow a direction, as change of log-odds, before it is believed.
_FOLLOWED = (2.0, 20.0)
# Fall of the log-likelihood along it, relative to its size, that is still rounding.
_ROUNDING = 1e-12
# Of the information of the log-odds, relative to the largest, and of a direction.
_NOTHING = 1e-8
# Of a direction, below which a covariate has no part in it.
_PART = 1e-6
# Why some standard errors are missing.
NO_MAXIMUM: Final = "membership covariates separate classes, and log-odds have no finite maximum"


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """Log-odds that run off to infinity.

    Attributes
    ----------
    directions
        ((K-1) c, r) orthonormal directions of the standardised log-odds, class by class
        without the first, along which the likelihood has reached its supremum.
    involved
        (K, c) which raw log-odds change along them.
    units
        How many units have a class probability of zero because of them.
    """

    directions: FloatArray
    involved: NDArray[np.bool_]
    units: int

    def sentence(self, names: Sequence[str], odds: FloatArray) -> str:
        """What it means, with the covariates' names and their log-odds (K, c) where EM stopped."""
        terms = ", ".join(
            f"{name!r} in class {k + 1} ({odds[k, j]:.3g})"
            for j, name in enumerate(names)
            for k in np.flatnonzero(self.involved[:, j])
        )
        units = "1 unit has" if self.units == 1 else f"{self.units:,} units have"
        return (
            f"The membership covariates separate classes: the log-odds of {terms}, in brackets "
            f"where EM stopped, run off to infinity, where {units} class "
            "probabilities of 0 or 1. The log-likelihood is at its supremum and these log-odds "
            "have no maximum; their standard errors are withheld. Leave the covariate out, merge "
            "its categories, or ask for the mode of the posterior (estimator='map'), whose prior "
            "keeps log-odds finite."
        )


def separation(
    classes: StaticClasses, theta: Blocks, occupancy: FloatArray, climb: Callable[[Blocks], float]
) -> Separation | None:
    """Along which directions log-odds at the end of EM run off; None if they do not.

    A prior keeps them finite. `occupancy` (G, K) is that there; `climb` gives the log-likelihood at
    other parameters of the classes, all else the same.
    """
    design, unmix, counts = classes.concomitants, classes.unmix, classes.units.counts
    if design is None or unmix is None or classes.priors is not None:
        return None
    log_probabilities = classes.log_probabilities(theta)
    if log_probabilities.min() > np.log(_SUSPICIOUS):
        return None

    def at(added: FloatArray) -> float:
        odds = theta["membership_coefficients"] + added
        return climb({**theta, "membership_coefficients": odds})

    possible = occupancy > _EXCLUDED
    moved = _all_directions(design, possible, at)
    if not moved.any():
        return None
    reached = possible.argmax(axis=1)
    change = design @ moved.T
    behind = change[np.arange(len(change)), reached][:, None] - change
    separated = behind > _NOTHING * np.abs(change).max()
    limit = np.where(separated, 0.0, np.exp(log_probabilities))
    limit /= limit.sum(axis=1, keepdims=True)
    # Of which class probabilities in the limit say nothing.
    values, vectors = np.linalg.eigh(membership.information(design, counts, limit))
    directions = vectors[:, values <= _NOTHING * max(values[-1], counts.sum())]
    # As change of the log-odds over the covariate's spread, whatever its units.
    spread = np.linalg.norm(np.linalg.solve(unmix.T, design.T), axis=1)
    raw = directions.T.reshape(-1, len(moved) - 1, moved.shape[1]) @ unmix.T * spread
    largest = np.abs(raw).max(axis=(1, 2), keepdims=True)
    involved = (np.abs(raw) > _PART * largest).any(axis=0)
    involved = np.concatenate([np.zeros((1, moved.shape[1]), dtype=bool), involved])
    return Separation(directions, involved, int(separated.any(axis=1).sum()))


def _all_directions(
    design: FloatArray, possible: NDArray[np.bool_], climb: Callable[[FloatArray], float]
) -> FloatArray:
    """(K, c) sum of the directions by which all gain that can; zero if there are none.

    One programme finds a corner of the bounded log-odds, where some that could gain do not yet;
    the next asks for these only.
    """
    scale = np.abs(design).max(axis=0)
    gains = _gains(design / scale, possible)
    waiting = np.ones(len(gains), dtype=bool)
    moved = np.zeros((possible.shape[1], design.shape[1]))
    while waiting.any():
        direction = _direction(gains, waiting, design.shape[1])
        if direction is None:
            break
        waiting &= gains @ direction <= _NOTHING
        step = _of_size_one(direction.reshape(moved.shape) / scale, design)
        if not _never_falls(climb, step):
            break
        moved += step
    return _of_size_one(moved, design) if moved.any() else moved


def _of_size_one(direction: FloatArray, design: FloatArray) -> FloatArray:
    """The direction (K, c) along which the log-odds of two classes change by at most one."""
    change = design @ direction.T
    return np.asarray(direction / np.ptp(change, axis=1).max())


def _gains(scaled: FloatArray, possible: NDArray[np.bool_]) -> FloatArray:
    """(n, K c) gain of each distinct unit's possible classes over each other class."""
    k, c = possible.shape[1], scaled.shape[1]
    contrasts = []
    for a in range(k):
        rows = np.unique(scaled[possible[:, a]], axis=0)
        for b in np.flatnonzero(np.arange(k) != a):
            contrast = np.zeros((len(rows), k, c))
            contrast[:, a], contrast[:, b] = rows, -rows
            contrasts.append(contrast.reshape(len(rows), k * c))
    return np.concatenate(contrasts)


def _direction(gains: FloatArray, waiting: NDArray[np.bool_], n_fixed: int) -> FloatArray | None:
    """(K c,) log-odds, of which the first are zero, that lower no gain and raise one that waits."""
    bounds = [(0.0, 0.0)] * n_fixed + [(-1.0, 1.0)] * (gains.shape[1] - n_fixed)
    total = gains[waiting].mean(axis=0)
    corner = linprog(-total, A_ub=-gains, b_ub=np.zeros(len(gains)), bounds=bounds, method="highs")
    if corner.x is None or total @ corner.x <= _NOTHING:
        return None
    return np.asarray(corner.x)


def _never_falls(climb: Callable[[FloatArray], float], direction: FloatArray) -> bool:
    """Whether the log-likelihood does not fall along a direction (K, c) of the log-odds."""
    here = climb(np.zeros_like(direction))
    allowed = _ROUNDING * (1 + abs(here))
    return all(climb(step * direction) >= here - allowed for step in _FOLLOWED)
