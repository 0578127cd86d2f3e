"""Files and folders appear whole or not at all, whenever the process is killed."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mixcompare.base.errors import OptionError
from mixcompare.base.files import staging
from mixcompare.base.files.staging import check_folder_name, remove_leftovers, staged, write_whole

# The children only write files and are killed.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

NAMES = ("figures/a.svg", "figures/b.svg", "tables/a.csv", "report.html")
HIDDEN = ".mixcompare-unfinished"


def write(folder: Path, text: str) -> None:
    with staged(folder, last="report.html") as inside:
        for name in NAMES:
            path = inside / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and HIDDEN not in path.parts
    }


def killed(work: Callable[[], None], calls: int) -> bool:
    """Whether a process was killed before its so-manieth call of what changes files."""
    process = os.fork()
    if process == 0:
        left = [calls]

        def counted(name: str) -> None:
            plain = getattr(os, name)

            def call(*given: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return plain(*given, **options)

            setattr(os, name, call)

        for name in ("replace", "rename", "unlink", "rmdir", "mkdir", "open", "fsync"):
            counted(name)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def test_a_kill_at_any_step_leaves_no_mixture(tmp_path: Path) -> None:
    old, new = dict.fromkeys(NAMES, "old"), dict.fromkeys(NAMES, "new")
    seen = set()
    for calls in range(200):
        folder = tmp_path / str(calls)
        write(folder, "old")
        (folder / "notes.txt").write_text("mine")
        done = not killed(lambda folder=folder: write(folder, "new"), calls)  # type: ignore[misc]
        found = contents(folder)
        assert found.pop("notes.txt") == "mine"
        assert "report.html" not in found or found in (old, new)
        seen.add(found.get("report.html"))
        remove_leftovers(folder)
        after = contents(folder)
        assert after.pop("notes.txt") == "mine"
        assert after in (old, new)
        assert after == new or found == old
        assert not (folder / HIDDEN).exists()
        if done:
            break
    else:
        pytest.fail("it never came to its end")
    assert seen == {"old", None, "new"}
    assert calls > 20


def test_a_kill_while_a_file_is_written(tmp_path: Path) -> None:
    for calls in range(50):
        path = tmp_path / str(calls) / "fit.nc"
        write_whole(path, b"old")
        done = not killed(lambda path=path: write_whole(path, b"n", b"ew"), calls)  # type: ignore[misc]
        assert path.read_bytes() in (b"old", b"new")
        write_whole(path.with_name("other.nc"), b"")  # the next start
        assert sorted(os.listdir(path.parent)) == ["fit.nc", "other.nc"]
        if done:
            return
    pytest.fail("it never came to its end")


def test_what_a_living_process_makes_is_left_alone(tmp_path: Path) -> None:
    with staged(tmp_path, last="report.html") as inside:
        (inside / "report.html").write_text("slow")
        remove_leftovers(tmp_path)
        write_whole(tmp_path / "fit.nc", b"quick")
        assert (inside / "report.html").read_text() == "slow"
    assert contents(tmp_path) == {"report.html": "slow", "fit.nc": "quick"}
    assert not (tmp_path / HIDDEN).exists()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    other = [tmp_path / "a.part", tmp_path / HIDDEN / "notes.txt", tmp_path / ".mixcompare-mine"]
    for path in other:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / HIDDEN / "folder").mkdir()
    remove_leftovers(tmp_path)
    write_whole(tmp_path / "fit.nc", b"")
    assert all(path.exists() for path in other)
    assert (tmp_path / HIDDEN / "folder").is_dir()


def test_leftovers_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "new").mkdir(parents=True)
    (elsewhere / "new" / "mine.txt").touch()
    (elsewhere / "ready").write_text("report.html")
    folder = tmp_path / "folder"
    (folder / HIDDEN).mkdir(parents=True)
    (folder / HIDDEN / "0123.lock").touch()
    (folder / HIDDEN / "0123").symlink_to(elsewhere)
    remove_leftovers(folder)
    assert (elsewhere / "new" / "mine.txt").exists()
    assert not (folder / "mine.txt").exists()


def test_a_later_report_is_not_replaced_by_one_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "old")

    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if process == 0:
        monkeypatch.setattr(staging, "_move", stop)
        write(tmp_path, "left over")
        os._exit(0)
    os.waitpid(process, 0)
    assert contents(tmp_path) == dict.fromkeys(NAMES, "old")
    later = time.time() + 10
    os.utime(tmp_path / "report.html", (later, later))
    remove_leftovers(tmp_path)
    assert contents(tmp_path) == dict.fromkeys(NAMES, "old")


def test_an_error_while_files_move_puts_all_back(tmp_path: Path) -> None:
    write(tmp_path, "old")
    (tmp_path / "tables" / "a.csv").unlink()
    (tmp_path / "tables" / "a.csv").mkdir()
    with pytest.raises(OptionError, match=r"cannot write .*Is a directory \(.*a\.csv\)"):
        write(tmp_path, "new")
    found = contents(tmp_path)
    assert found == {name: "old" for name in NAMES if name != "tables/a.csv"}
    assert (tmp_path / "tables" / "a.csv").is_dir()
    assert not (tmp_path / HIDDEN).exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "old")
    write_whole(tmp_path / "fit.nc", b"old")
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    words = r"cannot write .*fit\.nc: No space left on device\. Free some space, or choose"
    with pytest.raises(OptionError, match=words):
        write_whole(tmp_path / "fit.nc", b"new")
    with (
        pytest.raises(OptionError, match=r"cannot write the output folder .*No space left"),
        staged(tmp_path, last="report.html"),
    ):
        full()
    assert contents(tmp_path) == before
    assert not (tmp_path / HIDDEN).exists()


def test_errors_of_other_things_are_not_the_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged(tmp_path, last="report.html"):
        (tmp_path / "absent.csv").read_text()


@pytest.mark.parametrize("name", ["x.html", "x.csv", "x.NC", "x.pdf"])
def test_a_folder_with_the_name_of_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=rf"{name}: its name is that of a file.* such as .*/x\."):
        check_folder_name(tmp_path / name)
    (tmp_path / name).mkdir()
    check_folder_name(tmp_path / name)
    check_folder_name(tmp_path / "a.v1")


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OptionError, match="pipe: it is a device or a pipe"):
        write_whole(pipe, b"x")
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_impossible_names_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="Choose another name"):
        write_whole(tmp_path / name, b"x")
    assert not list(tmp_path.iterdir())
