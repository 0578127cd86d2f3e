"""Compiled code that is kept on disk is never older than what it was made of."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mixcompare.backends.em.kernels.panel_kernels import weighted_squares
from mixcompare.base import kernel_cache

PROGRAM = """
import sys
from pathlib import Path
from mixcompare.base import kernel_cache
kernel_cache._PACKAGE = Path({folder!r})
from kernel import twice
print(twice(), sum(twice.stats.cache_hits.values()))
"""


def run(folder: Path) -> list[str]:
    """What the kernel gives in a fresh process, and how often it came from the cache."""
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=str(folder))],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.split()


def test_a_constant_of_another_file_is_never_stale(tmp_path: Path) -> None:
    mark = "from mixcompare.base.kernel_cache import njit\n"
    (tmp_path / "constant.py").write_text(f"{mark}SIZE = 2\n")
    (tmp_path / "kernel.py").write_text(
        f"{mark}from constant import SIZE\n@njit(cache=True)\ndef twice():\n    return 2 * SIZE\n"
    )
    assert run(tmp_path) == ["4", "0"]
    assert run(tmp_path) == ["4", "1"]
    (tmp_path / "constant.py").write_text(f"{mark}SIZE = 3\n")
    assert run(tmp_path) == ["6", "0"]


def test_kernels_are_made_of_kernels_only() -> None:
    """Or a constant from elsewhere would not be among the sources."""
    package = Path(kernel_cache.__file__).parent.parent
    names = {
        ".".join(("mixcompare", *path.relative_to(package).with_suffix("").parts))
        for path in kernel_cache.kernel_files()
    }
    assert {
        "mixcompare.prepared.triangles",
        "mixcompare.backends.em.kernels.panel_kernels",
    } <= names
    assert "mixcompare.backends.pymc.density.density_kernels" in names
    for path in kernel_cache.kernel_files():
        tree = ast.walk(ast.parse(path.read_text("utf-8")))
        taken = {node.module or "" for node in tree if isinstance(node, ast.ImportFrom)}
        own = {module for module in taken if module.startswith("mixcompare")}
        assert own <= names | {"mixcompare.base.kernel_cache"}, path


def test_names_are_distinct_and_functions_work() -> None:
    assert weighted_squares.py_func.__qualname__.startswith("weighted_squares_")
    own = np.ones((1, 2, 128))
    assert weighted_squares(own, np.full((2, 3), 0.5))[:, 0, 0] == pytest.approx(1.5)


DENSITY = """
import numpy as np
import mixcompare as mc
from mixcompare.backends.pymc.density.packing import pack
from mixcompare.backends.pymc.mixture import build_mixture
from mixcompare.data.panel import build_panel
from mixcompare.prepared.problem import Problem
from tests.compiled_density import density
rng = np.random.default_rng(0)
table = {"u": np.repeat(np.arange(40), 5), "x": rng.normal(size=200), "y": rng.normal(size=200)}
spec = mc.MixtureSpec("y ~ x", unit="u", n_components=2)
mixture = build_mixture(Problem.of(spec, build_panel(spec, table)))
block = pack(mixture)
for point in rng.normal(size=(50, mixture.n_free)):
    value, gradient = density(point, block)
    print(value.hex(), *(float(slope).hex() for slope in gradient))
"""


@pytest.mark.slow
def test_code_just_compiled_rounds_like_code_from_the_cache(tmp_path: Path) -> None:
    """Or a machine's first draws would differ in the last digit from all later ones."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", DENSITY]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        for _ in range(2)
    )
    assert any(path.suffix == ".nbc" for path in tmp_path.rglob("*"))
    assert len(first.splitlines()) == 50
    assert first == second
