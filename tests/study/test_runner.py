"""Tasks on workers: the same numbers anywhere, and no failure that ends a study."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mixcompare.study.file.load import build_study
from mixcompare.study.run.pools import ExecutorPool, Here, LocalPool
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from mixcompare.study.task import limits
from mixcompare.study.task.limits import FitTimeoutError, time_limit
from mixcompare.study.task.seeds import data_stream, fit_seed
from tests import faulty_fits
from tests.faulty_fits import faulty_tables, outcomes
from tests.study_cases import content, results


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[None]:
    with faulty_fits.known(tmp_path):
        yield


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


def test_any_executor_will_do(tmp_path: Path) -> None:
    study = build_study(content())
    with ThreadPoolExecutor(2) as executor:
        run_study(study, tmp_path / "there", pool=ExecutorPool(executor, 2), report=False)
    run_study(study, tmp_path / "here", pool=Here(), report=False)
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


def test_error_is_a_row_with_its_message(tmp_path: Path, faulty: None) -> None:
    run_study(build_study(faulty_tables("none")), tmp_path / "out", report=False)
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)] == ("error", "RuntimeError: a fault of its own")
    with open_store(tmp_path / "out" / "study.sqlite", create=False) as store:
        tasks = store.frame("tasks").set_index("method")
    assert tasks.loc["bad", "seed"] == str(fit_seed(4, "all", 0, "bad"))
    assert found[("one", 2)][0] == "converged"


def test_dead_worker_is_found_out_and_the_others_go_on(tmp_path: Path, faulty: None) -> None:
    study = build_study(faulty_tables("die"))
    run_study(study, tmp_path / "out", workers=2, report=False)
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)][0] == "worker died"
    assert [found[("one", r)][0] for r in range(3)] == ["converged"] * 3


@pytest.mark.parametrize("fault", ["sleep", pytest.param("deaf", marks=pytest.mark.slow)])
def test_stuck_fit_is_ended(tmp_path: Path, faulty: None, fault: str) -> None:
    # Long enough for a first fit on a busy machine.
    study = build_study(faulty_tables(fault, run__seconds_per_fit=8.0))
    began = time.monotonic()
    run_study(study, tmp_path / "out", workers=1, report=False)
    assert time.monotonic() - began < 120
    found = outcomes(tmp_path / "out" / "study.sqlite")
    assert found[("bad", 0)][0] == "timeout"
    assert [found[("one", r)][0] for r in range(3)] == ["converged"] * 3


def test_time_limit_interrupts_and_then_leaves_no_alarm() -> None:
    with pytest.raises(FitTimeoutError), time_limit(0.05, expendable=False):
        time.sleep(5)
    with time_limit(0.3, expendable=True):
        pass
    time.sleep(0.4)


def test_time_limit_interrupts_other_threads_too() -> None:
    def endless() -> str:
        try:
            with time_limit(0.05, expendable=False):
                while True:
                    time.sleep(0.001)
        except FitTimeoutError:
            return "interrupted"

    def short() -> str:
        with time_limit(0.3, expendable=False):
            pass
        for _ in range(400):
            time.sleep(0.001)
        return "left alone"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(endless).result(10) == "interrupted"
        assert pool.submit(short).result(10) == "left alone"


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
    monkeypatch.setattr("mixcompare.study.run.run_study.LocalPool", _refuse)
    run_study(build_study(content()), tmp_path, workers=0, report=False)
    run_study(build_study(content(run__seed=5)), tmp_path / "pool", pool=Here(), report=False)


def _refuse(size: int) -> None:
    raise AssertionError(f"a pool of {size} was asked for")
