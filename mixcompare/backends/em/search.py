"""EM from every start, or emEM: short runs of all and long ones of the best."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.progress import track

from mixcompare.backends.em.loop import Run, iterate
from mixcompare.backends.em.options import Options
from mixcompare.backends.em.standardise import Standardised
from mixcompare.backends.em.starts import starting_responsibilities
from mixcompare.panel import FloatArray
from mixcompare.spec import MixtureSpec


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
    if options.short_runs is None:
        return [
            Started(kind, iterate(spec, data, tau, options))
            for kind, tau in _shown(starts, options, total)
        ]
    brief = replace(options, max_iterations=min(options.short_runs, options.max_iterations))
    held: list[tuple[FloatArray, Started]] = []
    for kind, tau in _shown(starts, options, total):
        chosen = options if kind == "user" else brief
        held.append((tau, Started(kind, iterate(spec, data, tau, chosen))))
    best = _most_promising([started for _, started in held], options.continued)
    return [
        Started(started.kind, iterate(spec, data, tau, options)) if i in best else _cut(started)
        for i, (tau, started) in enumerate(held)
    ]


def _most_promising(started: Sequence[Started], number: int) -> set[int]:
    """Indices of the runs cut short that have reached the highest objective."""
    cut = [i for i, s in enumerate(started) if _is_cut(s)]
    return set(sorted(cut, key=lambda i: -started[i].run.objective[-1])[:number])


def _is_cut(started: Started) -> bool:
    return started.kind != "user" and started.run.status == "iteration limit"


def _cut(started: Started) -> Started:
    if not _is_cut(started):
        return started
    message = f"{len(started.run.parameters)} iterations; not among the best short runs"
    return replace(started, run=replace(started.run, status="short run", message=message))


def _shown(
    starts: Iterator[tuple[str, FloatArray]], options: Options, total: int
) -> Iterator[tuple[str, FloatArray]]:
    if sys.stderr.isatty() if options.progress is None else options.progress:
        yield from track(starts, "EM starts", total=total, console=Console(stderr=True))
    else:
        # A disabled bar still starts a thread, which costs more than many a fit.
        yield from starts
