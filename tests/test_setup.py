"""The two commands' set-up: which Python is taken, and what the lock file holds."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.places import ROOT

REPOSITORY = ROOT

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The set-up files in a folder whose name has a space."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", ".python-version", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / ".requirements.lock").touch()
    return folder


def make(*arguments: str, cwd: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run make with no command but the system's and those in `path`."""
    environment = {
        "PATH": f"{path}:{os.defpath}",
        "HOME": str(path),
        "PYENV_ROOT": str(path),
    }
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def shim(path: Path, name: str, target: str) -> None:
    file = path / name
    file.write_text(f"#!/bin/sh\n{target}\n")
    file.chmod(0o755)


@needs_make
def test_help_is_the_default_goal(checkout: Path, tmp_path: Path) -> None:
    done = make(cwd=checkout, path=tmp_path)
    assert done.returncode == 0
    assert "make study" in done.stdout
    assert not (checkout / ".venv").exists()


@needs_make
@pytest.mark.parametrize("goal", ["study", "test"])
def test_python_that_does_not_run_is_refused_clearly(
    checkout: Path, tmp_path: Path, goal: str
) -> None:
    done = make(goal, "PYTHON=/nowhere/python", cwd=checkout, path=tmp_path)
    assert done.returncode != 0
    assert "/nowhere/python is not a Python >= 3.12" in done.stderr
    assert not (checkout / ".venv").exists()


@needs_make
def test_commands_that_fail_or_are_too_old_are_passed_over(checkout: Path, tmp_path: Path) -> None:
    for name in ("python3.13", "python3.12", "python3.14", "python3"):
        shim(tmp_path, name, "exit 1")
    shim(tmp_path, "python", f'exec "{sys.executable}" "$@"')
    # Ends with an error where pip is to install the empty project; .venv is there by then.
    done = make("study", cwd=checkout, path=tmp_path)
    assert "Making .venv with python\n" in done.stdout
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_lock_has_exact_versions_with_hashes_and_no_index() -> None:
    lock = (REPOSITORY / ".requirements.lock").read_text()
    assert not re.search(r"https?://|--(index|extra-index|find-links)", lock)
    requirements = re.split(r"\n(?=\S)", lock.strip())
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(
            r"[\w.-]+==[\w.]+( ;[^\\]*)? \\\n    --hash=sha256:[0-9a-f]{64}", requirement
        )


def test_lock_holds_every_direct_dependency() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    # The optional samplers are large, and no test needs them.
    locked_extras = (extras[name] for name in extras if name not in ("jax", "pathfinder"))
    wanted = [
        *project["project"]["dependencies"],
        *itertools.chain(*locked_extras),
        *project["dependency-groups"]["dev"],
    ]
    locked = set(re.findall(r"^([\w.-]+)==", (REPOSITORY / ".requirements.lock").read_text(), re.M))
    assert {re.match(r"[\w.-]+", name).group() for name in wanted} <= locked  # type: ignore[union-attr]
