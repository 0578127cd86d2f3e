"""EM from every start, or emEM: short runs of all and long ones of the best.

Where the number of starts is not given, the search goes on in rounds until its best optimum has
been found again by an independent line of starts, or until its budget is spent. Each kind of
start has a line of its own: further starts of the kind, and starts moved a little from the best
optimum that the line has reached. Lines know nothing of each other, so that two that end at
the same optimum are evidence that no higher one is near at hand, as one that returns to its own
is not.

The budget is counted in starts and in the values that EM's passes over the data go through, not in
seconds, so that the same seed gives the same numbers on any machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import batched
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from mixcompare.backends.em.choice import Choice, Chooser
from mixcompare.backends.em.loop import iterate_together, starts_together
from mixcompare.backends.em.mixture import Mixture
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Started
from mixcompare.backends.em.starts import moved, random_starts, starting_occupancies
from mixcompare.base.arrays import FloatArray

# The budget: starts, and values of the data times classes in all their passes, which take NumPy
# about ten seconds. The first starts are run whatever they take.
MOST_STARTS: Final = 2000
_MOST_WORK: Final = 3e9
# What a pass costs beside its values, in values.
_PASS: Final = 75_000
# Starts of a round: random ones, and moved ones over all lines.
_FURTHER: Final = 10
_MOVED: Final = 40
# Child of the search's seed for the moves, far from those of the starts.
_MOVES: Final = 2**32 - 1
# Class probabilities, in numbers, beyond which a run does not keep its own.
_VALUES_KEPT: Final = 200_000


def n_starts(n_components: int, options: Options) -> int:
    """Number of random starts that are run in any case."""
    # One component has one maximum, whatever the start.
    return options.first_starts if n_components > 1 else min(options.first_starts, 1)


def search(model: Mixture, options: Options, seed: np.random.SeedSequence) -> list[Started]:
    """Run EM from the user's own start, if there is one, and from random ones.

    With short runs, every random start is first run for some iterations and only the best
    are run to their end; the others keep their short run, with the status ``"short run"``
    unless it ended by itself.
    """
    random = n_starts(model.n_components, options)
    starts = starting_occupancies(model, replace(options, starts=random), seed)
    total = random + (options.initial is not None)
    started = _ended(model, options, _with_bar(_in_lines(starts, options, 0), options, total))
    if options.starts is None and model.n_components > 1:
        _search_further(model, options, seed, started)
    return started


def n_lines(options: Options) -> int:
    """Number of independent lines of starts."""
    return max(len(options.kinds), 2)


def _search_further(
    model: Mixture, options: Options, seed: np.random.SeedSequence, started: list[Started]
) -> None:
    """Add rounds of starts until the best optimum has been found again."""
    chooser = Chooser(model, options)
    moves = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, _MOVES))
    values = model.size * model.n_components
    per_pass = values + _PASS / starts_together(model)
    random = options.first_starts
    while choice := chooser.choose(started):  # if none, further ones would end degenerate as well
        if choice.found_again:
            return
        passes = sum(s.run.n_iterations for s in started)
        if len(started) + _FURTHER + _MOVED > MOST_STARTS or passes * per_pass > _MOST_WORK:
            return
        fresh = random_starts(model, options, seed.spawn(_FURTHER), random)
        starts = list(_in_lines(fresh, options, random))
        random += _FURTHER
        starts += _moves(options, started, choice, moves)
        ended = _ended(model, options, _with_bar(iter(starts), options, len(starts)))
        height = started[choice.best].run.objective[-1]
        # Thousands of paths would fill the memory.
        started += [
            s if s.run.usable and s.run.objective[-1] > height else replace(s, run=s.run.last)
            for s in ended
        ]


def _moves(
    options: Options, started: Sequence[Started], choice: Choice, seed: np.random.SeedSequence
) -> Iterator[_Start]:
    """Starts moved from the best optimum of every line."""
    lines = np.array([s.line for s in started])
    count = n_lines(options)
    for i, child in enumerate(seed.spawn(_MOVED)):
        best = choice.best_of(np.flatnonzero(lines == i % count))
        reached = None if best is None else started[best].run.e_step
        if reached is not None:
            rng = np.random.default_rng(child)
            yield "moved", moved(reached.occupancy, rng), i % count


type _Start = tuple[str, FloatArray, int]


def _in_lines(
    starts: Iterable[tuple[str, FloatArray]], options: Options, first: int
) -> Iterator[_Start]:
    """Starts with the numbers of their lines, of which the user's own has none."""
    i = first
    for kind, occupancy in starts:
        yield kind, occupancy, -1 if kind == "user" else i % n_lines(options)
        del occupancy  # before the next are made
        i += kind != "user"


def _ended(model: Mixture, options: Options, starts: Iterator[_Start]) -> list[Started]:
    """Run starts to their end, or, with short runs, the best of them."""
    together = starts_together(model)
    ended: list[Started] = []
    if options.short_runs is None:
        for batch in batched(starts, together):
            ended += _run(model, batch, options)
            del batch  # before the next is made
        return ended
    brief = replace(options, max_iterations=min(options.short_runs, options.max_iterations))
    held: list[_Start] = []
    for batch in batched(starts, together):
        held += batch
        ended += _run(model, batch, brief)
    best = _to_continue(ended, options.continued)
    result = []
    for s in ended:
        message = f"{len(s.run.log_likelihood)} iterations; not among the best short runs"
        cut = replace(s, run=replace(s.run, status="short run", message=message))
        result.append(cut if s.run.status == "iteration limit" else s)
    for numbers in batched(sorted(best), together):
        whole = _run(model, [held[i] for i in numbers], options)
        for i, started in zip(numbers, whole, strict=True):
            result[i] = started
    return result


def _run(model: Mixture, starts: Sequence[_Start], options: Options) -> list[Started]:
    first = starts[0][1][None]
    together = first if len(starts) == 1 else np.stack([tau for _, tau, _ in starts])
    runs = iterate_together(model, together, options)
    if model.n_carriers * model.n_components > _VALUES_KEPT:
        runs = [run.lighter for run in runs]
    return [Started(kind, run, line) for (kind, _, line), run in zip(starts, runs, strict=True)]


def _to_continue(started: Sequence[Started], number: int) -> set[int]:
    """Indices of the runs cut short that have reached most, and of the user's own."""
    cut = [i for i, s in enumerate(started) if s.run.status == "iteration limit"]
    cut.sort(key=lambda i: -started[i].run.objective[-1])
    users = {i for i in cut if started[i].kind == "user"}
    return users | set([i for i in cut if i not in users][:number])


def _with_bar(starts: Iterator[_Start], options: Options, total: int) -> Iterator[_Start]:
    if sys.stderr.isatty() if options.progress is None else options.progress:
        yield from track(starts, "EM starts", total=total, console=Console(stderr=True))
    else:
        # A disabled bar still starts a thread, which costs more than many a fit.
        yield from starts
