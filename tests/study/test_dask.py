"""Studies on a Dask cluster: the same numbers, whatever happens to its workers."""

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

import pytest

from mixcompare.base.errors import MachineError
from mixcompare.study.file.load import build_study
from mixcompare.study.run.pools import DaskPool
from mixcompare.study.run.run_study import run_study
from tests import faulty_fits
from tests.faulty_fits import faulty_tables, outcomes
from tests.study_cases import content, results

pytest.importorskip("distributed")


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
    quiet["start_new_session"] = True
    # Of a task, by default three; each costs the time limit of a fit that has to be ended.
    quiet["env"] = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    processes = [subprocess.Popen(started[0], **quiet)]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        processes += [subprocess.Popen(command, **quiet) for command in started[1:]]
        yield json.loads(file.read_text())["address"]
    finally:
        # With the workers' own processes, since a worker that is being replaced ends slowly.
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a cluster of two workers that know the faulty backend."""
    with (
        faulty_fits.known(tmp_path_factory.mktemp("faulty")),
        dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as address,
    ):
        yield address


def test_cluster_that_loses_a_worker_gives_the_same(tmp_path: Path, cluster: str) -> None:
    study = build_study(content(run__replicates=15))
    run_study(study, tmp_path / "here", workers=0, report=False)
    pool = KillingPool(cluster, 8)
    run_study(study, tmp_path / "dask", pool=pool, report=False)
    assert pool.submitted > 8
    here, there = (results(tmp_path / name / "study.sqlite") for name in ("here", "dask"))
    assert here == there
    assert len(here["tasks"]) == 60


@pytest.mark.parametrize("fault", ["endless", pytest.param("deaf", marks=pytest.mark.slow)])
def test_stuck_fit_is_ended(tmp_path: Path, cluster: str, fault: str) -> None:
    # Long enough for a first fit on a busy machine.
    study = build_study(faulty_tables(fault, run__seconds_per_fit=8.0))
    run_study(study, tmp_path, pool=DaskPool(cluster), report=False)
    found = outcomes(tmp_path / "study.sqlite")
    assert found[("bad", 0)][0] == "timeout"
    assert [found[("one", r)][0] for r in range(3)] == ["converged"] * 3


@pytest.mark.slow
def test_mcmc_gives_the_same_numbers_anywhere(tmp_path: Path, cluster: str) -> None:
    nuts = {"backend": "pymc", "draws": 40, "tune": 60, "chains": 2}
    tables = content(methods={"nuts": nuts}, run__replicates=2)
    study = build_study(tables)
    run_study(study, tmp_path / "here", workers=0, report=False)
    run_study(study, tmp_path / "two", workers=2, report=False)
    run_study(study, tmp_path / "dask", pool=DaskPool(cluster, 2), report=False)
    here, *others = (results(tmp_path / name / "study.sqlite") for name in ("here", "two", "dask"))
    assert len(here["estimates"]) == 4 * 8
    assert others == [here, here]


def test_cluster_whose_workers_are_gone_is_waited_for_and_then_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixcompare.study.run.runner._SILENCE", 0.3)
    with dask_cluster(tmp_path, 1) as address:
        pool = DaskPool(address, patience=1.0)
        pool.check()
        pool._client.retire_workers(list(pool._client.ncores()), close_workers=True)
        deadline = time.monotonic() + 60
        while pool._client.ncores() and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(MachineError, match=r"has had no worker for 1 seconds.*is kept"):
            run_study(build_study(content()), tmp_path / "out", pool=pool, report=False)
    assert "all Dask workers" in capsys.readouterr().err
    assert not any(outcome for outcome, _ in outcomes(tmp_path / "out" / "study.sqlite").values())


class BeheadingPool(DaskPool):
    """A cluster whose scheduler is killed when a certain batch is handed to it."""

    def __init__(self, address: str, at: int) -> None:
        super().__init__(address)
        self.left = at

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = super().submit(function, *arguments)
        self.left -= 1
        if not self.left:
            os.kill(self._client.run_on_scheduler(os.getpid), signal.SIGKILL)
        return future


@pytest.mark.slow
def test_cluster_whose_scheduler_is_killed_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixcompare.study.run.runner._SILENCE", 0.3)
    study = build_study(content(run__replicates=20))
    with dask_cluster(tmp_path, 1) as address:
        pool = BeheadingPool(address, 6)
        with pytest.raises(MachineError, match=r"the Dask scheduler at tcp://.* is kept"):
            run_study(study, tmp_path / "out", pool=pool, report=False)
    found = {str(own) for own, _ in outcomes(tmp_path / "out" / "study.sqlite").values()}
    assert found == {"converged", "nan"}
