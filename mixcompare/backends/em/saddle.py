"""Whether EM has stopped at a saddle point of its objective, and the way off it.

The eigenvalues of the observed information relative to that of the complete data are one less
the rates at which EM approaches its end (Dempster, Laird & Rubin 1977, section 3; McLachlan &
Krishnan 2008, section 3.9): where one is negative, EM moves away from any point beside that end,
which is a saddle point and reached only from points of its own symmetry. Where two classes
are the same, their weights are not identified, and directions that tell the classes apart
may have no curvature at all although the objective rises along a bend of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

from mixcompare import labels
from mixcompare.backends.em.information import (
    Curvature,
    complete_information,
    factor,
    free_layout,
    score_and_information,
)
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run, Started, joined
from mixcompare.backends.em.standard_errors import with_sandwich
from mixcompare.backends.em.theta import Theta
from mixcompare.base.arrays import FloatArray
from mixcompare.base.maxima import same_within

# Relative to the complete data's: below it, curvature is clearly negative, or next to none.
_NEGATIVE, _FLAT = -1e-4, 1e-6
# Rounding of a curvature, relative to the sum of absolute terms that it is made of.
_ROUNDING = 1e3 * float(np.finfo(float).eps)
# A score farther from zero, in the complete data's standard errors, is not at rest.
_AT_REST = 0.01
_BEYOND = ", beyond "
# How far to step aside, in the classes' standard deviations; along how many directions.
_ASIDE, _DIRECTIONS = 0.3, 4


def off_saddles(
    model: Mixture,
    started: Sequence[Started],
    options: Options,
    choose: Callable[[Sequence[Started]], int],
) -> tuple[list[Started], Curvature]:
    """Lead the best start off saddle points, as long as it stands at one.

    EM is run from both sides of the saddle point. If it ends higher, the start goes on as that
    run; if not, the start and all that stopped at the same height have the status ``"saddle"``,
    and give way to the best of the others.

    `choose` gives the number of the best start. Returned are the starts with such ones replaced,
    and score and information at the best one's end, classes ordered by their weight.
    """
    started = list(started)
    while True:
        best = choose(started)
        run = started[best].run
        at = run.path[-1]
        at = model.permute(at, labels.by_weight(at.weights))
        keep_outer = with_sandwich(model, options.standard_errors)
        curvature = score_and_information(model, at, keep_outer=keep_outer)
        other = _beyond(model, run, at, curvature, options)
        if other is None:
            return started, curvature
        for i, s in enumerate(started):
            if i == best or s.run.status != "converged":
                continue
            here, there = run.objective[-1], s.run.objective[-1]
            if abs(there - here) <= _above(run) - here:
                started[i] = replace(s, run=_as_saddle(s.run, f"start {best} stopped there too"))
        started[best] = replace(started[best], run=other)


def _beyond(
    model: Mixture, run: Run, at: Theta, curvature: Curvature, options: Options
) -> Run | None:
    """The run continued off the saddle point at its end; None if it is at none."""
    if model.n_components == 1 or run.status != "converged":
        return None
    # Of classes that are the same the information is singular but for rounding.
    if factor(curvature[2]) is not None and not model.coincide(at):
        return None
    directions, clear = _directions(model, at, curvature)
    highest, end = run, ""
    for tau in _aside(model, at, directions):
        tried = iterate(model, tau, options)
        if not end and (tried.objective > _above(run)).any():
            end = f"EM from beside it rises: {tried.message}"
        if tried.usable and tried.objective[-1] > max(_above(run), highest.objective[-1]):
            highest = tried
    if highest is not run:
        here = f"a saddle point after {len(run.log_likelihood)} iterations"
        before = run.message.partition(_BEYOND)[2]
        return joined(run, highest, _BEYOND.join(filter(None, [highest.message, here, before])))
    if clear or end:
        return _as_saddle(run, end or "the curvature is negative")
    return None


def _directions(model: Mixture, at: Theta, curvature: Curvature) -> tuple[FloatArray, bool]:
    """(r, n) directions that may lead up, one complete-data standard error long.

    None where the score is not zero. And whether the curvature along them is clearly negative,
    or there is none and two classes are the same.
    """
    _, total, information = curvature
    nothing = np.empty((0, len(total))), False
    complete = complete_information(model, at)
    size = np.sqrt(np.maximum(np.diag(complete), 0.0))
    if not (np.isfinite(complete).all() and np.isfinite(information).all() and size.all()):
        return nothing
    scaled, score = complete / np.outer(size, size), total / size
    try:
        distance = score @ cho_solve(cho_factor(scaled), score)
        values, vectors = eigh(information / np.outer(size, size), scaled)
    except np.linalg.LinAlgError:  # some parameter is next to unknown even with the classes
        return nothing
    if distance > _AT_REST**2:
        return nothing
    noise = _ROUNDING * np.abs(vectors).sum(axis=0) ** 2
    falling = values < -np.maximum(-_NEGATIVE, noise)
    leading = falling | (values < np.maximum(_FLAT, noise)) if model.coincide(at) else falling
    return (vectors[:, leading] / size[:, None]).T[:_DIRECTIONS], bool(falling.any())


def _aside(model: Mixture, at: Theta, directions: FloatArray) -> Iterator[FloatArray]:
    """Class probabilities (C, K) on both sides of a point, near and far along each direction."""
    rows = float(model.units.weigh(model.rows[:, None]).sum())
    for direction in directions:
        for n in (rows * at.weights.min(), rows):
            for sign in (1, -1):
                yield model.occupancy(_moved(model, at, sign * _ASIDE * np.sqrt(n) * direction))


def _moved(model: Mixture, at: Theta, step: FloatArray) -> Theta:
    """Parameters a step of the free ones away."""
    place = free_layout(model)
    each = zip(model.emissions, at.responses, place.spans, strict=True)
    responses = tuple(emission.moved(response, step[span]) for emission, response, span in each)
    return Theta(model.classes.moved(at.classes, step[place.odds]), responses)


def _above(run: Run) -> float:
    return float(run.objective[-1] + same_within(run.objective[-1]))


def _as_saddle(run: Run, note: str) -> Run:
    return replace(run, status="saddle", message=f"{run.message}; a saddle point ({note})")
