"""A study that is killed goes on where it was, and ends with the same numbers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mixcompare import OptionError
from mixcompare.study.file.load import build_study
from mixcompare.study.run import signature
from mixcompare.study.run.lock import only_runner
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from mixcompare.study.task.limits import THREAD_VARIABLES
from tests.killed_runs import finished
from tests.places import ROOT
from tests.study_cases import content, results, toml
from tests.test_architecture import MODULES, own_imports

REPOSITORY = ROOT
TABLES = content(run__replicates=30, grid__crossed={"simulate.separation": [0.6, 0.8, 1.0]})


def command(folder: Path, workers: int) -> list[str]:
    return [
        sys.executable, "-m", "mixcompare.cli", "run", str(folder / "study.toml"),
        "--output", str(folder / "out"), "--workers", str(workers),
    ]  # fmt: skip


def killed_and_resumed(tmp_path: Path, kills: int) -> list[int]:
    """Numbers of finished tasks after each kill of a run without workers."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
    arguments = [str(tmp_path / "study.toml"), str(tmp_path / "out"), str(kills)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed_runs", *arguments],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts: list[int] = json.loads(done.stdout)
    return counts


def killed_with_workers(tmp_path: Path, kills: int) -> list[int]:
    """Numbers of finished tasks after each kill of a command that has two workers."""
    store = tmp_path / "out" / "study.sqlite"
    rng = random.Random(7)
    counts = []
    for _ in range(kills):
        process = subprocess.Popen(
            command(tmp_path, 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = finished(store)
        deadline = time.monotonic() + 60
        while finished(store) <= before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(finished(store))
    subprocess.run(command(tmp_path, 2), check=True, capture_output=True)
    return counts


@pytest.mark.parametrize(
    ("killed", "kills"),
    [(killed_and_resumed, 20), pytest.param(killed_with_workers, 4, marks=pytest.mark.slow)],
)
def test_killed_study_ends_like_one_that_was_not(
    tmp_path: Path, killed: Callable[[Path, int], list[int]], kills: int
) -> None:
    (tmp_path / "study.toml").write_text(toml(TABLES))
    counts = killed(tmp_path, kills)
    assert len(counts) == kills
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < 180
    run_study(build_study(TABLES), tmp_path / "whole", workers=0, report=False)
    whole = results(tmp_path / "whole" / "study.sqlite")
    assert results(tmp_path / "out" / "study.sqlite") == whole
    assert len(whole["tasks"]) == 180


def test_finished_study_runs_nothing_again(tmp_path: Path) -> None:
    study = build_study(content())
    run_study(study, tmp_path, report=False)
    with open_store(tmp_path / "study.sqlite", create=False) as store:
        before = store.frame("tasks")
    run_study(study, tmp_path, report=False)
    with open_store(tmp_path / "study.sqlite", create=False) as store:
        assert store.frame("tasks").equals(before)


def test_more_replicates_methods_and_scenarios_leave_finished_tasks_alone(tmp_path: Path) -> None:
    run_study(build_study(content()), tmp_path / "grown", report=False)
    larger = content(
        run__replicates=4,
        grid__crossed={"simulate.separation": [1.0, 0.7, 0.5]},
        methods__plain={"backend": "em", "starts": 1, "acceleration": "none"},
    )
    run_study(build_study(larger), tmp_path / "grown", report=False)
    run_study(build_study(larger), tmp_path / "new", report=False)
    stores = [tmp_path / name / "study.sqlite" for name in ("grown", "new")]
    frames = []
    for path in stores:
        with open_store(path, create=False) as store:
            frame = store.frame("estimates").drop(columns="task")
            frames.append(frame.sort_values(["scenario", "replicate", "method", "estimand"]))
    assert frames[0].reset_index(drop=True).equals(frames[1].reset_index(drop=True))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run__seed": 5}, r"changed since are \[run\] seed\."),
        ({"methods__one": {"backend": "em", "starts": 2}}, r"\[methods.one\]"),
        ({"simulate__units": 31}, r"scenario separation=0.7, scenario separation=1\.0|=1\."),
        ({"estimands": {"parameters": ["x"]}}, r"\[estimands\]"),
    ],
)
def test_changed_study_is_refused_and_named(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    run_study(build_study(content()), tmp_path, report=False)
    before = results(tmp_path / "study.sqlite")
    changed = build_study(content(**changes))
    with pytest.raises(OptionError, match=f"{expected}.*--keep.*--discard") as caught:
        run_study(changed, tmp_path, report=False)
    assert "study.sqlite" in str(caught.value)
    assert results(tmp_path / "study.sqlite") == before
    run_study(changed, tmp_path, on_change="keep", report=False)
    assert results(tmp_path / "study.sqlite") == before
    run_study(changed, tmp_path, on_change="discard", report=False)
    assert results(tmp_path / "study.sqlite") != before


def test_changed_data_and_versions_are_refused(
    tmp_path: Path, tiny_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = content()
    del tables["simulate"], tables["grid"]
    tables["data"] = {"file": str(tiny_csv), "resample": "units"}
    run_study(build_study(tables), tmp_path / "out", report=False)
    monkeypatch.setattr("mixcompare.study.run.signature.versions", lambda: {"numpy": "0.1"})
    with pytest.raises(OptionError, match=r"versions \(.*numpy .* -> 0\.1"):
        run_study(build_study(tables), tmp_path / "out", report=False)
    monkeypatch.undo()
    tiny_csv.write_text(tiny_csv.read_text().replace(",0,", ",7,", 1) + "25,0.1,0.2\n")
    with pytest.raises(OptionError, match="changed since are the data"):
        run_study(build_study(tables), tmp_path / "out", report=False)


def test_changed_source_is_refused_and_its_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_study(content())
    run_study(study, tmp_path, report=False)
    changed = {**signature.sources(), "panel.py": "another", "backends/em/new.py": "new"}
    monkeypatch.setattr(signature, "sources", lambda: changed)
    files = r"backends/em/new\.py, panel\.py"
    with pytest.raises(OptionError, match=rf"are mixcompare's source \({files}\)\. .*--keep"):
        run_study(study, tmp_path, report=False)
    run_study(study, tmp_path, report=False, on_change="keep")
    run_study(study, tmp_path, report=False)


def test_every_source_that_a_fit_reaches_counts() -> None:
    # They word errors, choose K when the fits are done, and say where a report comes from.
    harmless = {"study.file.slips", "study.file.select_table", "reproduction.origin"}
    pending = ["study.task.task", *(name for name in MODULES if name.startswith("backends."))]
    needed = set(pending)
    while pending:
        found = own_imports(pending.pop(), lazy=False) - needed - harmless
        needed |= found
        pending += found
    package = REPOSITORY / "mixcompare"
    files = {MODULES[name].relative_to(package).as_posix() for name in needed}
    assert "study/task/extract.py" in files
    assert files <= set(signature.sources())
    assert not any(name.startswith(("report/", "cli")) for name in signature.sources())


def test_two_runs_of_one_study_are_refused(tmp_path: Path) -> None:
    study = build_study(content())
    tmp_path.joinpath("out").mkdir()
    with (
        only_runner(tmp_path / "out" / "study.sqlite"),
        pytest.raises(OptionError, match="run by another process"),
    ):
        run_study(study, tmp_path / "out", report=False)
