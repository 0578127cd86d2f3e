"""What the machine does is no fit's fault: the run stops with a sentence, and goes on later."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mixcompare as mc
from mixcompare import DataError, OptionError
from mixcompare.base.errors import MachineError
from mixcompare.cli import app as cli
from mixcompare.pages import exports
from mixcompare.study.file import methods as study_methods
from mixcompare.study.file.load import build_study
from mixcompare.study.run import run_study as study_run
from mixcompare.study.run import runner as study_runner
from mixcompare.study.run import store as study_store
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import Store, open_store
from mixcompare.study.task import task
from mixcompare.study.task.kept import fit_file
from tests import faulty_fits
from tests.faulty_fits import faulty_tables
from tests.places import ROOT
from tests.study_cases import content, invoke, results, toml

REPOSITORY = ROOT
RUN = """
import sys, mixcompare as mc
mc.run_study(sys.argv[1], sys.argv[2], workers=2, progress=False)
"""
SELECT = """
import sys, mixcompare as mc
spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=2)
data = {"unit": [i // 3 for i in range(60)], "x": [i % 7 for i in range(60)],
        "y": [(i * i) % 11 + 9 * (i < 30) + i / 97 for i in range(60)]}
mc.select(spec, data, n_components=[1, 2], starts=1, replicates=2, replicate_starts=1, workers=2)
"""


def finished(store: Path) -> dict[str, int]:
    """Tasks by outcome, those undone under "none"."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT ifnull(outcome, 'none'), count(*) FROM tasks GROUP BY 1")
        found = dict(rows.fetchall())
    connection.close()
    return found


@pytest.mark.parametrize("script", [RUN, SELECT])
def test_script_without_a_guard_is_told_so(tmp_path: Path, script: str) -> None:
    (tmp_path / "study.toml").write_text(toml(content()))
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py", "study.toml", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 1
    assert 'under a line `if __name__ == "__main__":`' in done.stderr
    assert done.stderr.count("Traceback") == 1
    if script is RUN:
        assert finished(tmp_path / "out" / "study.sqlite") == {"none": 12}


def _full(path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _full_behind_an_error(path: Path) -> None:
    try:
        _full(path)
    except OSError as error:
        raise OptionError(f"cannot write {path}. Choose another folder.") from error


def _full_in_words(path: Path) -> None:
    raise RuntimeError("cc: error writing to /tmp/x.s: No space left on device")


def _gone(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.write_text("")


def _memory(path: Path) -> None:
    raise MemoryError("Unable to allocate 4.00 MiB")


FAULTS: dict[Callable[[Path], None], str] = {
    _full: "the disk is full: .*fits",
    _full_behind_an_error: "the disk is full: .*fits",
    _full_in_words: "No space left on device",
    _gone: r"No such file or directory: .*fits",
    _memory: "not enough memory .Unable to allocate 4.00 MiB",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What a run of four fits that nothing stops leaves."""
    folder = tmp_path_factory.mktemp("whole")
    run_study(build_study(content(run__replicates=1)), folder, report=False)
    return results(folder / "study.sqlite")


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_the_machine_stops_the_run_and_leaves_the_task_undone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Path], None],
    undisturbed: dict[str, list[Any]],
) -> None:
    study = build_study(content(run__keep_fits=True, run__replicates=1))
    whole, count = mc.Fit.save, 0

    def save(fit: mc.Fit, path: Path) -> Path:
        nonlocal count
        count += 1
        if count > 1:
            fault(path)
        return whole(fit, path)

    with monkeypatch.context() as patch:
        patch.setattr(mc.Fit, "save", save)
        with pytest.raises(MachineError, match=f"{FAULTS[fault]}.*what is finished is kept") as got:
            run_study(study, tmp_path / "out", report=False)
    assert "\n" not in str(got.value)
    store = tmp_path / "out" / "study.sqlite"
    assert finished(store) == {"converged": 1, "none": 3}
    run_study(study, tmp_path / "out", report=False)
    assert results(store) == undisturbed


def test_fault_in_a_worker_stops_the_run_too(tmp_path: Path) -> None:
    study = build_study(content(run__keep_fits=True))
    (tmp_path / "fits").mkdir()
    # What a worker wants to write is there already, and is a folder.
    name = fit_file(study, 0, 0, "one")
    (tmp_path / "fits" / name).mkdir()
    with pytest.raises(MachineError, match=r"it is a folder.*what is finished is kept"):
        run_study(study, tmp_path, workers=1, report=False)
    assert "error" not in finished(tmp_path / "study.sqlite")


def test_worker_that_the_system_ended_for_memory_is_no_failed_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(range(100))
    monkeypatch.setattr(study_runner, "killed_for_memory", lambda: next(counts))
    with faulty_fits.known(tmp_path):
        study = build_study(faulty_tables("die"))
        with pytest.raises(MachineError, match="ended a worker for want of memory"):
            run_study(study, tmp_path / "out", workers=1, report=False)
    assert "worker died" not in finished(tmp_path / "out" / "study.sqlite")


def test_full_disk_in_the_store_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_study(content(run__replicates=20))

    def small(path: Path, *, create: bool) -> Store:
        store = open_store(path, create=create)
        store._connection.execute("PRAGMA max_page_count = 24")
        return store

    with monkeypatch.context() as patch:
        patch.setattr(study_run, "open_store", small)
        with pytest.raises(
            MachineError, match=r"study\.sqlite cannot be written: .*is full\. .*ro"
        ):
            run_study(study, tmp_path, report=False)
    before = finished(tmp_path / "study.sqlite")
    assert set(before) == {"converged", "none"}
    run_study(study, tmp_path, report=False)
    assert finished(tmp_path / "study.sqlite") == {"converged": 80}


def test_full_disk_in_the_report_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_study(content())
    with monkeypatch.context() as patch:
        patch.setattr(exports, "write_files", lambda folder, files: _full(folder))
        with pytest.raises(mc.MixCompareError, match="No space left on device"):
            run_study(study, tmp_path)
    assert finished(tmp_path / "study.sqlite") == {"converged": 12}
    assert not list(tmp_path.glob(".mixcompare-*"))
    assert run_study(study, tmp_path).report is not None


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_files_that_may_not_grow_end_the_command_with_a_paragraph(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(toml(content(run__replicates=40)))
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000)); "
        "from mixcompare.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "run", "study.toml", "-o", "out", "--workers", "0"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("mixcompare: ")
    assert "study.sqlite cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not {"error", "timeout", "worker died"} & set(finished(tmp_path / "out/study.sqlite"))


def test_store_that_is_moved_away_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Store.record

    def vanish(store: Store, result: Any) -> None:
        record(store, result)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)

    monkeypatch.setattr(Store, "record", vanish)
    with pytest.raises(MachineError, match=r"study\.sqlite has been moved or removed"):
        run_study(build_study(content()), tmp_path / "out", report=False)


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """Folder of a study that has run: study.toml and out/."""
    (tmp_path / "study.toml").write_text(toml(content(run__replicates=12)))
    run_study(tmp_path / "study.toml", tmp_path / "out", report=False)
    return tmp_path


def test_damaged_pages_are_noticed(done: Path) -> None:
    store = done / "out" / "study.sqlite"
    whole = store.read_bytes()
    assert len(whole) > 8 * 4096
    # Pages of tables or their indexes; a page of zeros is damaged, too.
    for junk, at in ((b"\xff" * 4096, 4), (b"\x00" * 4096, 6), (os.urandom(4096), 7)):
        store.write_bytes(whole[: at * 4096] + junk + whole[(at + 1) * 4096 :])
        for command in (["status"], ["run", "--no-report"], ["export", done / "t"]):
            name, *more = command
            with pytest.raises(DataError, match=r"study\.sqlite is damaged .*\.recover") as caught:
                invoke(name, done / "study.toml", *more, "--output", done / "out")
            assert "\n" not in str(caught.value)
    store.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"damaged|not the store"):
        invoke("status", done / "study.toml", "--output", done / "out")
    store.write_bytes(b"no database at all" * 300)
    with pytest.raises(DataError, match="is not the store of a study"):
        invoke("status", done / "study.toml", "--output", done / "out")


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Files of the folder may not be written, not even by the superuser."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    root = os.geteuid() == 0
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if root:
        for above in folder.parents[:-2]:
            above.chmod(above.stat().st_mode | 0o055)
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
def test_read_only_store_can_be_looked_at_and_not_run(done: Path) -> None:
    out = done / "out"
    study = build_study(content(run__replicates=12))
    with nobody(out):
        with open_store(out / "study.sqlite", create=False) as store:
            assert len(store.frame("tasks")) == 48
        with pytest.raises(OptionError, match=r"is read-only .*copy .*--output.*mixcompare status"):
            run_study(study, out, report=False)
    (out / "study.sqlite").unlink()
    with nobody(out), pytest.raises(OptionError, match="cannot write the output folder"):
        run_study(study, out, report=False)


def test_locked_store_is_a_sentence(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_store, "_PATIENCE", 0.1)
    other = sqlite3.connect(done / "out" / "study.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OptionError, match=r"study\.sqlite is locked by another program"):
        run_study(done / "study.toml", done / "out", report=False)
    other.close()
    run_study(done / "study.toml", done / "out", report=False)


def test_error_that_is_a_fits_own_is_still_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exits(*_: object, **__: object) -> None:
        sys.exit(3)

    monkeypatch.setattr(study_methods, "fit", exits)
    run_study(build_study(content(run__replicates=1)), tmp_path, report=False)
    assert finished(tmp_path / "study.sqlite") == {"error": 4}


def test_data_that_vanish_stop_the_run(
    tmp_path: Path, tiny_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = content(data={"file": str(tiny_csv), "resample": "units"}, run__replicates=1)
    del tables["simulate"], tables["grid"]
    study = build_study(tables)
    prepare = study_run._prepare

    def prepared(*given: Any, **options: Any) -> Any:
        task._reader.cache_clear()
        tiny_csv.unlink()
        return prepare(*given, **options)

    monkeypatch.setattr(study_run, "_prepare", prepared)
    with pytest.raises(MachineError, match=r"a worker cannot read the data: .*tiny\.csv"):
        run_study(study, tmp_path / "out", report=False)
    assert finished(tmp_path / "out" / "study.sqlite") == {"none": 2}


def test_command_on_a_full_disk_ends_with_a_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mixcompare", "show", "x.nc"])
    for error in (OSError(errno.ENOSPC, "full", str(tmp_path)), MemoryError("no 5 GB")):

        def fail(error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(cli, "app", fail)
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"mixcompare: full ({tmp_path}). Free some space there")
    assert said[1].startswith("mixcompare: there is not enough memory (no 5 GB).")
