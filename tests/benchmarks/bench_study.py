"""Overhead and memory of a study of many small EM fits on one worker.

Run by hand: ``python tests/benchmarks/bench_study.py [FITS]``, by default 10,000 fits of 100
units, 10 rows each, 2 classes. Prints processor time of worker and coordinator over that of
plain calls of ``mixcompare.fit`` on the same tables, which other programs on the machine leave
alone, and the memory of both in tenths of the run (Linux).
"""

# ruff: noqa: T201

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mixcompare as mc
from mixcompare.study.load import build_study
from mixcompare.study.plan import make_plan
from mixcompare.study.pools import LocalPool
from mixcompare.study.run import make_job
from mixcompare.study.runner import run_tasks
from mixcompare.study.store import open_store
from mixcompare.study.task import Job, Result, data_of

STARTS = 3


def tables(fits: int) -> dict[str, Any]:
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
        "methods": {"em": {"backend": "em", "starts": STARTS}},
        "run": {"replicates": fits, "seed": 1},
    }


def megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plain_fit(job: Job, fits: int) -> float:
    """Processor seconds of a fit from a table, data made beforehand."""
    [scenario] = job.study.scenarios
    sets = [data_of(job, 0, replicate) for replicate in range(fits)]
    frames = [s.frame.assign(y=s.outcomes) for s in sets]
    mc.fit(scenario.spec, frames[0], starts=STARTS, progress=False)
    began = time.process_time()
    for frame in frames:
        mc.fit(scenario.spec, frame, starts=STARTS, progress=False)
    return (time.process_time() - began) / fits


def main(fits: int) -> None:
    plan = make_plan(build_study(tables(fits)))
    pool = LocalPool(1)
    seconds: list[float] = []
    memory: list[tuple[float, float]] = []

    def note(result: Result) -> None:
        seconds.append(result.seconds)
        if len(seconds) % max(1, fits // 10) == 0:
            [worker] = multiprocessing.active_children()
            assert worker.pid is not None
            memory.append((megabytes(worker.pid), megabytes(os.getpid())))

    with tempfile.TemporaryDirectory() as folder:
        job = make_job(plan.study, Path(folder), pool, progress=False)
        with open_store(Path(folder) / "study.sqlite", create=True) as store:
            store.plan([(s.label, s.factors) for s in plan.study.scenarios], plan.tasks())
            tasks = store.tasks(plan.labels, plan.counts, unfinished=True)
            # The first batches start the worker and compile what is to be compiled.
            run_tasks(job, tasks[:20], pool, store)
            [worker] = multiprocessing.active_children()
            assert worker.pid is not None
            began = processor_seconds(worker.pid), time.process_time()
            run_tasks(job, tasks[20:], pool, store, note)
            spent = processor_seconds(worker.pid) - began[0], time.process_time() - began[1]
            failed = store.frame("tasks")["outcome"].isin(["error", "timeout", "worker died"]).sum()
            size = store.path.stat().st_size / 1e6
    pool.close()
    plain = plain_fit(job, 300)
    each = [1000 * total / len(seconds) for total in spent]
    print(f"{len(seconds)} fits, {failed} failed")
    print(f"processor ms a fit: worker {each[0]:.1f}, coordinator {each[1]:.2f}")
    print(f"a plain fit {1000 * plain:.1f}: {100 * (each[0] / plain / 1000 - 1):.1f} % above it")
    print(f"store {size:.1f} MB; memory of worker and coordinator in MB by tenths:")
    print("  " + "; ".join(f"{there:.0f} {here:.0f}" for there, here in memory))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
