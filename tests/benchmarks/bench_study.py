"""Overhead and memory of a study of many small EM fits on one worker.

Run by hand: ``python tests/benchmarks/bench_study.py [FITS]``, by default 10,000 fits of 100
units, 10 rows each, 2 classes. Prints the wall time over the fits' own time (a fit from its panel
to its result, and with the data set's making), and the worker's and this process's memory in
tenths of the run (Linux).
"""

# ruff: noqa: T201

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mixcompare.study.load import build_study
from mixcompare.study.plan import make_plan
from mixcompare.study.pools import LocalPool
from mixcompare.study.run import make_job
from mixcompare.study.runner import run_tasks
from mixcompare.study.store import open_store
from mixcompare.study.task import Result, data_of


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
        "methods": {"em": {"backend": "em", "starts": 3}},
        "run": {"replicates": fits, "seed": 1},
    }


def megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
            began = time.perf_counter()
            run_tasks(job, tasks[20:], pool, store, note)
            wall = time.perf_counter() - began
            failed = store.frame("tasks")["outcome"].isin(["error", "timeout", "worker died"]).sum()
            size = store.path.stat().st_size / 1e6
    pool.close()
    began = time.perf_counter()
    for replicate in range(100):
        data_of(job, 0, replicate)
    making = (time.perf_counter() - began) / 100
    own = sum(seconds)
    print(f"{len(seconds)} fits, {failed} failed; {1000 * own / len(seconds):.1f} ms a fit")
    print(f"wall {wall:.1f} s; over the fits' own time: {100 * (wall / own - 1):.1f} %")
    whole = own + making * len(seconds)
    print(f"over fits and data ({1000 * making:.1f} ms each): {100 * (wall / whole - 1):.1f} %")
    print(f"store {size:.1f} MB; memory of worker and coordinator in MB by tenths:")
    print("  " + "; ".join(f"{worker:.0f} {own:.0f}" for worker, own in memory))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
