"""Fits over a range of K whose log-likelihood never falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixcompare.backends import fit
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DegenerateFitError
from mixcompare.base.maxima import same_within
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec

_ROUNDS = 3
_MORE_STARTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The model with one number of classes.

    Attributes
    ----------
    n_components
        K.
    fit
        The fit; None if every start ended degenerate.
    rounds
        How often it was fitted: more than once if its log-likelihood was below that of
        fewer classes.
    falls
        Whether it still is.
    message
        What happened, in words.
    """

    n_components: int
    fit: Fit | None
    rounds: int
    falls: bool
    message: str


def fit_range(
    spec: MixtureSpec,
    panel: Panel,
    counts: Sequence[int],
    seed: int,
    options: Mapping[str, Any],
) -> list[Candidate]:
    """Fit every number of classes, the smallest first.

    K + 1 classes can always do as well as K, so a lower log-likelihood means that EM missed
    the maximum: it is then run again, up to three times, with one start from the smaller fit
    whose classes are split, and with other random ones, three times as many if their number
    is given.

    Parameters
    ----------
    options
        The EM's.
    """
    candidates: list[Candidate] = []
    for count in sorted(counts):
        usable = [c.fit for c in candidates if c.fit is not None]
        candidates.append(
            _candidate(replace(spec, n_components=count), panel, usable, seed, options)
        )
    return candidates


def _candidate(
    spec: MixtureSpec,
    panel: Panel,
    smaller: Sequence[Fit],
    seed: int,
    options: Mapping[str, Any],
) -> Candidate:
    k = spec.n_components
    floor = max((fit.log_likelihood for fit in smaller if _is_regular(fit)), default=-np.inf)
    best: Fit | None = None
    message = ""
    starts = options.get("starts")
    for step in range(_ROUNDS + 1):
        rng = np.random.SeedSequence(seed, spawn_key=(k, step))
        more: dict[str, Any] = {}
        if step:
            starts = None if starts is None else starts * _MORE_STARTS
            more["initial"] = split(smaller[-1].responsibilities.to_numpy(), k, rng)
        root = int(rng.generate_state(1)[0])
        try:
            tried = fit(spec, panel, seed=root, **{**options, **more, "starts": starts})
        except DegenerateFitError as error:
            message = str(error)
        else:
            if best is None or _rank(tried) > _rank(best):
                best, message = tried, tried.message
        if best is None and not smaller:
            break
        if best is not None and not _falls(best, floor):
            break
    return Candidate(k, best, step + 1, best is not None and _falls(best, floor), message)


def climb_higher(
    candidate: Candidate, draw: Mapping[str, FloatArray], height: float, options: Mapping[str, Any]
) -> Candidate:
    """Run EM from a posterior's draw if that lies above its maximum.

    Parameters
    ----------
    draw, height
        The highest draw, arrays by name, and its log-likelihood.
    """
    best = candidate.fit
    if best is None or height <= best.log_likelihood + same_within(height):
        return candidate
    # The same starts as before, and the draw.
    more = {"initial": draw, "starts": len(best.search.ends["optimum"])}
    try:
        tried = fit(best.spec, best.panel, seed=best.seed, **{**options, **more})
    except DegenerateFitError:
        return candidate
    if _rank(tried) <= _rank(best):
        return candidate
    return replace(
        candidate,
        fit=tried,
        rounds=candidate.rounds + 1,
        message=f"EM's own starts had missed the maximum, which a draw led to; {tried.message}",
    )


def renew_falls(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Mark anew whose log-likelihood is below that of fewer classes."""
    floor, renewed = -np.inf, []
    for candidate in candidates:
        fitted = candidate.fit
        renewed.append(replace(candidate, falls=fitted is not None and _falls(fitted, floor)))
        if fitted is not None and _is_regular(fitted):
            floor = max(floor, fitted.log_likelihood)
    return renewed


def _is_regular(fit: Fit) -> bool:
    return fit.status != "spurious"


def _rank(fit: Fit) -> tuple[bool, float]:
    """By height, spurious maxima below all others."""
    return _is_regular(fit), fit.log_likelihood


def _falls(fit: Fit, floor: float) -> bool:
    return fit.log_likelihood < floor - same_within(floor)


def split(responsibilities: FloatArray, k: int, seed: np.random.SeedSequence) -> FloatArray:
    """(G, k) responsibilities whose further classes are parts of the largest ones.

    Each unit's probability of the largest class is shared with a new one at random, until
    there are k classes.
    """
    rng = np.random.default_rng(seed.spawn(1)[0])
    columns = list(responsibilities.T)
    while len(columns) < k:
        largest = int(np.argmax([column.sum() for column in columns]))
        part = rng.random(len(responsibilities))
        columns.append(columns[largest] * part)
        columns[largest] = columns[largest] * (1 - part)
    return np.stack(columns, axis=1)
