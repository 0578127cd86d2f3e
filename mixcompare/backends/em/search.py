"""EM from every start, or emEM: short runs of all and long ones of the best."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import batched

import numpy as np
from rich.console import Console
from rich.progress import track

from mixcompare.backends.em.loop import iterate_together, starts_together
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.runs import Run
from mixcompare.backends.em.standardise import Standardised
from mixcompare.backends.em.starts import starting_responsibilities
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec

# Responsibilities, in numbers, beyond which a run does not keep its own.
_VALUES_KEPT = 200_000

type _Start = tuple[str, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A kind of start and the run that it gave."""

    kind: str
    run: Run


def n_starts(spec: MixtureSpec, options: Options) -> int:
    """Number of random starts that are worth running."""
    # One component has one maximum, whatever the start.
    return options.starts if spec.n_components > 1 else min(options.starts, 1)


def search(
    spec: MixtureSpec, data: Standardised, options: Options, seed: np.random.SeedSequence
) -> list[Started]:
    """Run EM from the user's own start, if there is one, and from random ones.

    With short runs, every random start is first run for some iterations and only the best
    are run to their end; the others keep their short run, with the status ``"short run"``
    unless it ended by itself.
    """
    random = n_starts(spec, options)
    starts = starting_responsibilities(spec, data, replace(options, starts=random), seed)
    total = random + (options.initial is not None)
    together = starts_together(spec, data)
    shown = _shown(starts, options, total)
    if options.short_runs is None:
        return [
            started
            for batch in batched(shown, together)
            for started in _run(spec, data, batch, options)
        ]
    brief = replace(options, max_iterations=min(options.short_runs, options.max_iterations))
    held: list[_Start] = []
    ended: list[Started] = []
    for batch in batched(shown, together):
        held += batch
        ended += _run(spec, data, batch, brief)
    best = _to_continue(ended, options.continued)
    result = [_cut(started) for started in ended]
    for chosen in batched(sorted(best), together):
        whole = _run(spec, data, [held[i] for i in chosen], options)
        for i, started in zip(chosen, whole, strict=True):
            result[i] = started
    return result


def _run(
    spec: MixtureSpec, data: Standardised, starts: Sequence[_Start], options: Options
) -> list[Started]:
    together = np.stack([responsibilities for _, responsibilities in starts])
    runs = iterate_together(spec, data, together, options)
    if data.shape[0] * spec.n_components > _VALUES_KEPT:
        runs = [_lighter(run) for run in runs]
    return [Started(kind, run) for (kind, _), run in zip(starts, runs, strict=True)]


def _lighter(run: Run) -> Run:
    """The same run, whose last E-step makes its arrays by unit anew when asked for them."""
    return run if run.e_step is None else replace(run, e_step=replace(run.e_step, arrays=None))


def _to_continue(started: Sequence[Started], number: int) -> set[int]:
    """Indices of the runs cut short that have reached most, and of the user's own."""
    cut = [i for i, s in enumerate(started) if s.run.status == "iteration limit"]
    cut.sort(key=lambda i: -started[i].run.objective[-1])
    users = {i for i in cut if started[i].kind == "user"}
    return users | set([i for i in cut if i not in users][:number])


def _cut(started: Started) -> Started:
    if started.run.status != "iteration limit":
        return started
    message = f"{len(started.run.log_likelihood)} iterations; not among the best short runs"
    return replace(started, run=replace(started.run, status="short run", message=message))


def _shown(
    starts: Iterator[tuple[str, FloatArray]], options: Options, total: int
) -> Iterator[tuple[str, FloatArray]]:
    if sys.stderr.isatty() if options.progress is None else options.progress:
        yield from track(starts, "EM starts", total=total, console=Console(stderr=True))
    else:
        # A disabled bar still starts a thread, which costs more than many a fit.
        yield from starts
