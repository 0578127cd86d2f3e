"""A disk without room is a paragraph, never a traceback or half a file."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mixcompare as mc
from mixcompare.cli import app as cli
from tests.report_page import growth

# Every file of the process may have so many bytes: to it, a disk that fills up.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
import mixcompare as mc
{code}
"""


def limited(code: str, limit: int) -> subprocess.CompletedProcess[str]:
    text = LIMITED.format(code=code, limit=limit)
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=300
    )


def test_a_fit_on_a_full_disk(tmp_path: Path) -> None:
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
    path = mc.fit(spec, growth(), starts=2, seed=1, progress=False).save(tmp_path / "em.nc")
    before = path.read_bytes()
    code = f"""
fit = mc.load({str(path)!r})
for name in ("em.nc", "new.nc"):
    try:
        fit.save({str(tmp_path)!r} + "/" + name)
    except mc.OptionError as error:
        print(error)
"""
    done = limited(code, 20_000)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("em.nc", "new.nc"), strict=True):
        assert line.startswith(f"cannot write {tmp_path / name}: File too large. Free some space")
    assert os.listdir(tmp_path) == ["em.nc"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/tmp/somewhere"),
        PermissionError(errno.EACCES, "Permission denied", "/etc/x"),
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
    ],
)
def test_errors_of_the_disk_at_the_prompt(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("mixcompare: ")
    assert said.count("\n") == 1
    assert "TMPDIR" in said
    assert json.dumps(error.strerror)[1:-1] in said


def test_other_errors_are_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(FileNotFoundError):
        cli.main()
