"""Running tasks on a pool: in batches, each result stored at once, no death fatal."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Final

from mixcompare.base.errors import MachineError
from mixcompare.base.machine import killed_for_memory
from mixcompare.base.workers import check_start, ready
from mixcompare.study.run.pools import Pool
from mixcompare.study.run.store import Store
from mixcompare.study.task.limits import GRACE
from mixcompare.study.task.task import STOPPED, Job, Result, Task, run_batch, task_seed

# A batch takes about so long: much against the cost of sending it, little to lose.
_BATCH_SECONDS: Final = 0.5
_LARGEST_BATCH: Final = 200
# Batches that a worker has waiting, so that it is never idle.
_AHEAD: Final = 2
# Seconds without a result after which the pool is asked whether it still has workers.
_SILENCE: Final = 5.0

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

    Raises
    ------
    MachineError
        If workers cannot start or are gone, or the machine does not let a task end, as when a
        disk is full. What has not ended is left undone.
    """
    if not tasks:
        return
    run = _Run(job, pool, store, notice)
    check_start(lambda: run.first(min(pool.size, len(tasks))), pool.deaths)
    suspects = run.all(tasks)
    for task in suspects:
        run.alone(task)


class _Run:
    """The state of `run_tasks`."""

    def __init__(self, job: Job, pool: Pool, store: Store, notice: Notice) -> None:
        self.job, self.pool, self.store, self.notice = job, pool, store, notice
        self.packed = job.packed()
        self.speed = _Speed()
        self.stopped: str | None = None

    def all(self, tasks: Sequence[Task]) -> list[Task]:
        """Run tasks; those that were under way when a worker died are handed back."""
        waiting = deque(tasks)
        flying: dict[Future[Any], list[Task]] = {}
        suspects: list[Task] = []
        while waiting or flying:
            while waiting and len(flying) < _AHEAD * self.pool.size:
                if not self._send(waiting, flying, suspects):
                    break
            done = self._wait(flying, FIRST_COMPLETED)
            died = False
            for future in done:
                batch = flying.pop(future)
                died |= not self._collect(future, batch, suspects)
            self._check_going()
            if died:
                # In a pool of processes the others' futures have failed too, or will.
                self._drain(flying, suspects)
                self.pool.renew()
        return suspects

    def first(self, workers: int = 1) -> object:
        """Let workers do a task that cannot be at fault, and wait for the first of them."""
        # All start at once; one after another they would cost each other's time to start.
        started = [self.pool.submit(ready) for _ in range(workers)]
        return self._wait(started, FIRST_COMPLETED).pop().result()

    def _wait(self, flying: Collection[Future[Any]], until: str) -> set[Future[Any]]:
        """Those that are done, while the pool has workers."""
        while True:
            done, rest = wait(flying, timeout=_SILENCE, return_when=until)
            if not rest or (done and until == FIRST_COMPLETED):
                return done
            self.pool.check()

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
        self._wait(flying, ALL_COMPLETED)
        for future, batch in flying.items():
            self._collect(future, batch, suspects)
        flying.clear()
        self._check_going()

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

    def _check_going(self) -> None:
        if self.stopped is not None:
            raise MachineError(f"{self.stopped}.")

    def _keep(self, result: Result) -> None:
        if result.outcome == STOPPED:
            # What others have finished meanwhile is kept first.
            self.stopped = result.message
            return
        self.store.record(result)
        self.notice(result)

    def alone(self, task: Task) -> None:
        """Run one task with nothing beside it; if its worker dies again, that is its outcome."""
        began, killed = time.perf_counter(), killed_for_memory()
        try:
            future = self.pool.submit(run_batch, self.packed, [task])
            self._wait([future], ALL_COMPLETED)
            [result] = future.result()
        except self.pool.deaths:
            result = self._death(task, time.perf_counter() - began)
            if killed_for_memory() > killed:
                raise MachineError(
                    "the system has ended a worker for want of memory. Ask for fewer workers."
                ) from None
            self.pool.renew()
            # Where no worker can start any more, the task is not at fault.
            check_start(self.first, self.pool.deaths)
        self._keep(result)
        self._check_going()

    def _death(self, task: Task, seconds: float) -> Result:
        limit, seed = self.job.seconds_per_fit, task_seed(self.job, task)
        if limit is not None and seconds >= limit + GRACE:
            message = f"did not listen to the interrupt after {limit:g} s; its process was ended"
            return Result(task.number, "timeout", message, seconds, seed)
        message = "the process ended while this task was alone in it"
        return Result(task.number, "worker died", message, seconds, seed)
