"""Running tasks on a pool: in batches, each result stored at once, no death fatal."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Final

from mixcompare.study.limits import GRACE
from mixcompare.study.pools import Pool
from mixcompare.study.store import Store
from mixcompare.study.task import Job, Result, Task, run_batch, task_seed

# A batch takes about so long: much against the cost of sending it, little to lose.
_BATCH_SECONDS: Final = 0.5
_LARGEST_BATCH: Final = 200
# Batches that a worker has waiting, so that it is never idle.
_AHEAD: Final = 2

type Notice = Callable[[Result], None]


@dataclass(slots=True)
class _Speed:
    """How long tasks of each method take, from those that are finished."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    count: Counter[str] = field(default_factory=Counter)

    def note(self, method: str, seconds: float) -> None:
        self.seconds[method] += seconds
        self.count[method] += 1

    def of(self, method: str) -> float | None:
        done = self.count[method]
        return self.seconds[method] / done if done else None


def run_tasks(
    job: Job, tasks: Sequence[Task], pool: Pool, store: Store, notice: Notice = lambda _: None
) -> None:
    """Run tasks and store their results as they come.

    Tasks whose worker died are run again one at a time, so that the one at fault is known.

    Parameters
    ----------
    job
        The study.
    tasks
        Those to run, in the order in which they are sent.
    pool
        Where.
    store
        Where results go; only this process writes it.
    notice
        Called with each result after it is stored.
    """
    run = _Run(job, pool, store, notice)
    suspects = run.all(tasks)
    for task in suspects:
        run.alone(task)


class _Run:
    """The state of `run_tasks`."""

    def __init__(self, job: Job, pool: Pool, store: Store, notice: Notice) -> None:
        self.job, self.pool, self.store, self.notice = job, pool, store, notice
        self.packed = job.packed()
        self.speed = _Speed()

    def all(self, tasks: Sequence[Task]) -> list[Task]:
        """Run tasks; those that were under way when a worker died are handed back."""
        waiting = deque(tasks)
        flying: dict[Future[Any], list[Task]] = {}
        suspects: list[Task] = []
        while waiting or flying:
            while waiting and len(flying) < _AHEAD * self.pool.size:
                if not self._send(waiting, flying, suspects):
                    break
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            died = False
            for future in done:
                batch = flying.pop(future)
                died |= not self._collect(future, batch, suspects)
            if died:
                # In a pool of processes the others' futures have failed too, or will.
                self._drain(flying, suspects)
                self.pool.renew()
        return suspects

    def _send(
        self,
        waiting: deque[Task],
        flying: dict[Future[Any], list[Task]],
        suspects: list[Task],
    ) -> bool:
        batch = self._next_batch(waiting)
        try:
            flying[self.pool.submit(run_batch, self.packed, batch)] = batch
        except self.pool.deaths:
            waiting.extendleft(reversed(batch))
            self._drain(flying, suspects)
            self.pool.renew()
            return False
        return True

    def _next_batch(self, waiting: deque[Task]) -> list[Task]:
        """Tasks of about half a second; one of a method whose time is not known yet."""
        batch, total = [waiting.popleft()], 0.0
        # Towards the end small batches keep all workers busy.
        share = max(1, len(waiting) // (_AHEAD * self.pool.size))
        while waiting and len(batch) < min(_LARGEST_BATCH, share):
            seconds = self.speed.of(batch[-1].method)
            if seconds is None or (total := total + seconds) > _BATCH_SECONDS:
                break
            batch.append(waiting.popleft())
        return batch

    def _drain(self, flying: dict[Future[Any], list[Task]], suspects: list[Task]) -> None:
        """Wait for what is under way; keep what succeeded."""
        wait(flying)
        for future, batch in flying.items():
            self._collect(future, batch, suspects)
        flying.clear()

    def _collect(self, future: Future[Any], batch: list[Task], suspects: list[Task]) -> bool:
        try:
            results: list[Result] = future.result()
        except self.pool.deaths:
            suspects.extend(batch)
            return False
        by_number = {task.number: task for task in batch}
        for result in results:
            self.speed.note(by_number[result.number].method, result.seconds)
            self._keep(result)
        return True

    def _keep(self, result: Result) -> None:
        self.store.record(result)
        self.notice(result)

    def alone(self, task: Task) -> None:
        """Run one task with nothing beside it; if its worker dies again, that is its outcome."""
        began = time.perf_counter()
        try:
            [result] = self.pool.submit(run_batch, self.packed, [task]).result()
        except self.pool.deaths:
            result = self._death(task, time.perf_counter() - began)
            self.pool.renew()
        self._keep(result)

    def _death(self, task: Task, seconds: float) -> Result:
        limit, seed = self.job.seconds_per_fit, task_seed(self.job, task)
        if limit is not None and seconds >= limit + GRACE:
            message = f"did not listen to the interrupt after {limit:g} s; its process was ended"
            return Result(task.number, "timeout", message, seconds, seed)
        message = "the process ended while this task was alone in it"
        return Result(task.number, "worker died", message, seconds, seed)
