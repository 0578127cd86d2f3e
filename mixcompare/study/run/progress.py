"""A bar with rate, time left and failures so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mixcompare.study.run.store import FAILURES
from mixcompare.study.task.task import Result


@contextmanager
def progress_bar(total: int, done: int, *, show: bool) -> Iterator[Callable[[Result], None]]:
    """A bar on standard error; what it gives is called with every result.

    Parameters
    ----------
    total, done
        Tasks of the study, and those that were finished before.
    show
        Whether anything is shown.
    """
    columns = (
        TextColumn("fits"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    console = Console(stderr=True)
    failed = 0
    with Progress(*columns, console=console, disable=not show, refresh_per_second=2) as bar:
        line = bar.add_task("fits", total=total, completed=done, rate="", failed=0)

        def advance(result: Result) -> None:
            nonlocal failed
            failed += result.outcome in FAILURES
            speed = bar.tasks[0].speed
            bar.update(
                line, advance=1, failed=failed, rate="" if speed is None else f"{speed:.1f}/s"
            )

        yield advance
