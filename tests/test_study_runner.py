"""Tasks on workers: the same numbers anywhere, and no failure that ends a study."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixcompare.backends import BACKENDS
from mixcompare.study import limits
from mixcompare.study.limits import FitTimeoutError, time_limit
from mixcompare.study.load import build_study
from mixcompare.study.pools import DaskPool, Here, LocalPool
from mixcompare.study.run import run_study
from mixcompare.study.seeds import data_stream, fit_seed
from mixcompare.study.store import open_store
from tests.study_cases import content, results

# What a stuck or deadly fit looks like, as a backend that a spawned worker can import.
FAULTY = '''\
"""Fits that go wrong in the way that the study's option says."""

import ctypes, os, signal, time
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    fault: str = "none"
    progress: object = None


def run(spec, prepared, options, seed):
    if options.fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if options.fault == "sleep":
        time.sleep(600)
    if options.fault == "deaf":
        # A C function that holds the interpreter's lock and never returns to Python.
        ctypes.PyDLL(None).sleep(600)
    raise RuntimeError("a fault of its own")
'''


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a backend whose fits go wrong, known to this process and its workers."""
    (tmp_path / "faulty_backend.py").write_text(FAULTY)
    # Imported before anything else in every process whose path has it.
    (tmp_path / "sitecustomize.py").write_text(
        "import mixcompare.backends as b\nb.BACKENDS['faulty'] = 'faulty_backend'\n"
    )
    monkeypatch.setitem(BACKENDS, "faulty", "faulty_backend")
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return "faulty"


def outcomes(store: Path) -> dict[tuple[str, int], tuple[str, str]]:
    with open_store(store, create=False) as opened:
        frame = opened.frame("tasks")
    return {
        (t.method, t.replicate): (t.outcome, t.message)  # type: ignore[misc]
        for t in frame.itertuples()
    }


def faulty_tables(backend: str, fault: str, **changes: Any) -> dict[str, Any]:
    tables = content(methods__bad={"backend": backend, "fault": fault, "replicates": 1}, **changes)
    del tables["grid"], tables["methods"]["five"]
    return tables


def test_streams_depend_on_names_and_not_on_order() -> None:
    seeds = {
        fit_seed(root, scenario, replicate, method)
        for root in (0, 1)
        for scenario in ("a", "b")
        for replicate in range(50)
        for method in ("em", "nuts")
    }
    assert len(seeds) == 400
    assert max(seeds) < 2**63
    assert fit_seed(3, "units=50", 7, "em") == 1094966450707108845
    states = {tuple(data_stream(0, s, r).generate_state(2)) for s in "ab" for r in range(50)}
    assert len(states) == 100


def test_two_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    study = build_study(content(run__replicates=8))
    run_study(study, tmp_path / "here", workers=0, report=False)
    run_study(study, tmp_path / "there", workers=2, report=False)
    stores = [tmp_path / name / "study.sqlite" for name in ("here", "there")]
    assert results(stores[0]) == results(stores[1])


def test_methods_see_the_same_data(tmp_path: Path) -> None:
    tables = content(
        methods__one={"backend": "em", "starts": 8}, methods__five={"backend": "em", "starts": 8}
    )
    run_study(build_study(tables), tmp_path, report=False)
    found = results(tmp_path / "study.sqlite")["criteria"]
    values = {(row[0], row[1], row[2]): row[5] for row in found if row[4] == "log_likelihood"}
    for scenario, replicate, method in list(values):
        other = values[(scenario, replicate, "five" if method == "one" else "one")]
        assert values[(scenario, replicate, method)] == pytest.approx(other, rel=1e-9)


def test_error_is_a_row_with_its_message(tmp_path: Path, faulty: str) -> None:
    run_study(build_study(faulty_tables(faulty, "none")), tmp_path / "out", report=False)
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)] == ("error", "RuntimeError: a fault of its own")
    assert found[("one", 2)][0] == "converged"


def test_dead_worker_is_found_out_and_the_others_go_on(tmp_path: Path, faulty: str) -> None:
    study = build_study(faulty_tables(faulty, "die"))
    run_study(study, tmp_path / "out", workers=2, report=False)
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)][0] == "worker died"
    assert [found[("one", r)][0] for r in range(3)] == ["converged"] * 3


@pytest.mark.parametrize("fault", ["sleep", pytest.param("deaf", marks=pytest.mark.slow)])
def test_stuck_fit_is_ended(tmp_path: Path, faulty: str, fault: str) -> None:
    # Long enough for a first fit on a busy machine.
    study = build_study(faulty_tables(faulty, fault, run__seconds_per_fit=8.0))
    began = time.monotonic()
    run_study(study, tmp_path / "out", workers=1, report=False)
    assert time.monotonic() - began < 120
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)][0] == "timeout"
    assert [found[("one", r)][0] for r in range(3)] == ["converged"] * 3


def test_time_limit_interrupts_and_then_leaves_no_alarm() -> None:
    with pytest.raises(FitTimeoutError), time_limit(0.05, expendable=False):
        time.sleep(5)
    with time_limit(0.05, expendable=True):
        pass
    time.sleep(0.1)


def test_workers_have_one_thread(tmp_path: Path) -> None:
    pool = LocalPool(1)
    try:
        threads = pool.submit(_threads).result(timeout=60)
    finally:
        pool.close()
    assert set(threads) == {1}
    assert all(os.environ.get(name) != "1" or name in _BEFORE for name in limits.THREAD_VARIABLES)


_BEFORE = {name for name in limits.THREAD_VARIABLES if os.environ.get(name) == "1"}


def _threads() -> list[int]:
    from threadpoolctl import threadpool_info

    np.eye(2) @ np.eye(2)
    return [pool["num_threads"] for pool in threadpool_info()]


def test_study_without_workers_stays_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixcompare.study.run.LocalPool", _refuse)
    run_study(build_study(content()), tmp_path, workers=0, report=False)
    run_study(build_study(content(run__seed=5)), tmp_path / "pool", pool=Here(), report=False)


def _refuse(size: int) -> None:
    raise AssertionError(f"a pool of {size} was asked for")


class KillingPool(DaskPool):
    """A cluster that loses a worker when a certain batch is handed to it."""

    def __init__(self, address: str, at: int) -> None:
        super().__init__(address, workers=2)
        self.at, self.submitted = at, 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.submitted += 1
        if self.submitted == self.at:
            os.kill(next(iter(self._client.run(os.getpid).values())), signal.SIGKILL)
        return super().submit(function, *arguments)


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[str]:
    """Address of a Dask scheduler in a process of its own, with worker processes."""
    file = folder / "scheduler.json"
    module = [sys.executable, "-m"]
    started = [
        [*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(file)],
        *(
            [*module, "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads",
             "1", "--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(folder)]
            for _ in range(workers)
        ),
    ]  # fmt: skip
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    processes = [subprocess.Popen(started[0], **quiet)]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        processes += [subprocess.Popen(command, **quiet) for command in started[1:]]
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def test_dask_cluster_that_loses_a_worker_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    study = build_study(content(run__replicates=15))
    run_study(study, tmp_path / "here", workers=0, report=False)
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", 2) as address:
        pool = KillingPool(address, 8)
        run_study(study, tmp_path / "dask", pool=pool, report=False)
        assert pool.submitted > 8
    here, there = (results(tmp_path / name / "study.sqlite") for name in ("here", "dask"))
    assert here == there
    assert len(here["tasks"]) == 60
