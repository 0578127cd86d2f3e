"""What a study of many small EM fits costs beside the fits, and its memory.

Run by hand: ``python -m tests.benchmarks.bench_study [FITS [STARTS]]``, by default 10,000 fits of
100 units, 10 rows each, 2 classes, from 3 starts. Prints, in processor time, which other programs
on the machine leave alone:

- a worker's task (data, fit, measures, packing) over a plain ``mixcompare.fit`` of the same table
  from the same seed, both in turn in one process: the median over blocks and their range;
- what coordinator and store add to a task of a study on one worker;
- the memory of both processes in tenths of that study (Linux).
"""

# ruff: noqa: T201

import multiprocessing
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mixcompare as mc
from mixcompare.study.file.load import build_study
from mixcompare.study.run.plan import Plan, make_plan
from mixcompare.study.run.pools import Here, LocalPool
from mixcompare.study.run.run_study import make_job
from mixcompare.study.run.runner import run_tasks
from mixcompare.study.run.store import Store, open_store
from mixcompare.study.task.task import Result, Task, data_of, run_batch, task_seed

BLOCKS, BLOCK = 15, 40


def tables(fits: int, starts: int) -> dict[str, Any]:
    return {
        "study": {"name": "benchmark"},
        "model": {"formula": "y ~ x", "unit": "unit", "n_components": 2},
        "simulate": {
            "units": 100,
            "periods": 10,
            "weights": [0.6, 0.4],
            "covariance": 1.0,
            "coefficients": {"Intercept": [0.0, 1.0], "x": [1.0, -1.0]},
            "covariates": {"x": {"distribution": "normal"}},
        },
        "methods": {"em": {"backend": "em", "starts": starts}},
        "run": {"replicates": fits, "seed": 1},
    }


def spent(function: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def beside_plain_fits(plan: Plan) -> tuple[list[float], list[float]]:
    """Processor seconds of a task and of a plain fit, by block."""
    job = make_job(plan.study, Path(), Here(), progress=False)
    [scenario] = plan.study.scenarios
    options = {**plan.study.methods["em"].options, "progress": False}
    packed = job.packed()
    tasks, plain = [0.0] * (BLOCKS + 1), [0.0] * (BLOCKS + 1)
    for replicate in range((BLOCKS + 1) * BLOCK):
        task = Task(replicate + 1, 0, replicate, "em")
        data, seed = data_of(job, 0, replicate), task_seed(job, task)
        frame = data.frame.assign(y=data.outcomes)
        # The next set's, so that the task has to make its own.
        data_of(job, 0, replicate + 1)

        def run(task: Task = task) -> None:
            pickle.dumps(run_batch(packed, [task]))

        def fit(frame: Any = frame, seed: int = seed) -> None:
            mc.fit(scenario.spec, frame, seed=seed, **options)

        block = replicate // BLOCK
        for side, function in ((tasks, run), (plain, fit))[:: 1 if replicate % 2 else -1]:
            side[block] += spent(function) / BLOCK
    # The first block imports and compiles what is to be imported and compiled.
    return tasks[1:], plain[1:]


def megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class TimedStore(Store):
    """A store that knows how long its records took."""

    seconds = 0.0

    def record(self, result: Result) -> None:
        self.seconds += spent(lambda: super(TimedStore, self).record(result))


def whole_study(plan: Plan) -> None:
    """Run the study on one worker and print what it took."""
    fits, pool = plan.n_fits, LocalPool(1)
    memory: list[tuple[float, float]] = []
    outcomes: list[str] = []

    def note(result: Result) -> None:
        outcomes.append(result.outcome)
        if len(outcomes) % max(1, fits // 10) == 0:
            [worker] = multiprocessing.active_children()
            assert worker.pid is not None
            memory.append((megabytes(worker.pid), megabytes(os.getpid())))

    with tempfile.TemporaryDirectory() as folder:
        job = make_job(plan.study, Path(folder), pool, progress=False)
        with open_store(Path(folder) / "study.sqlite", create=True) as opened:
            store = TimedStore(opened.path, opened._connection)
            store.plan([(s.label, s.factors) for s in plan.study.scenarios], plan.tasks())
            tasks = store.tasks(plan.labels, plan.counts, unfinished=True)
            coordinator = spent(lambda: run_tasks(job, tasks, pool, store, note))
            size = store.path.stat().st_size / 1e6
    pool.close()
    print(f"{len(outcomes)} fits on one worker, {outcomes.count('converged')} converged")
    print(
        f"processor ms a task: coordinator {1000 * coordinator / fits:.2f}, of which store "
        f"{1000 * store.seconds / fits:.2f}"
    )
    print(f"store {size:.1f} MB; memory of worker and coordinator in MB by tenths:")
    print("  " + "; ".join(f"{there:.0f} {here:.0f}" for there, here in memory))


def main(fits: int, starts: int) -> None:
    tasks, plain = beside_plain_fits(make_plan(build_study(tables(BLOCKS * BLOCK, starts))))
    above = sorted(100 * (own / other - 1) for own, other in zip(tasks, plain, strict=True))
    print(f"processor ms: a plain fit {1000 * statistics.median(plain):.1f}, ", end="")
    print(f"a task {1000 * statistics.median(tasks):.1f}; ", end="")
    print(f"above it {statistics.median(above):.1f} % ({above[0]:.1f} to {above[-1]:.1f})")
    whole_study(make_plan(build_study(tables(fits, starts))))


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(10_000, 3)[len(given) :])
