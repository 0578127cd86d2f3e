"""Whether a restructuring changes a number, or the speed: two versions held against each other.

``record FILE.npz [--package ROOT] [--only GROUP,...]``
    fits the cases of `number_cases` with the package that lies in the folder ROOT (by default
    this checkout's) and writes every number and text of their results into one file; twice if
    kernels have to be compiled, which changes last digits of EM in the process that does.
``compare A.npz B.npz [--only GROUP,...]``
    says by group how many arrays are the same to the bit, how far others are apart, relative to
    the largest finite size in the array, and what only one file has. Its status is 1 where
    anything is missing, or apart by more than 1e-12.
``speed A B [--repeat N]``
    times operations of the packages in the folders A and B, in turn and each time in a fresh
    process: medians of processor time, and of B's ratio to A's.

Run as ``python -m tests.benchmarks.same_numbers`` from the root of this checkout, in one
environment and on one kind of processor: other versions of NumPy or nutpie change last digits.
"""

# It prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Arrays = dict[str, NDArray[Any]]

ROOT = Path(__file__).parents[2]
LARGEST = 1e-12
# Differences of what is the same but for rounding: held against one, not against themselves.
OF_ROUNDING = (
    "criterion",
    "score_distance",
    *(f"{kind}_error" for kind in ("weights", "coefficients", "variance")),
    *(f"cost_of_{part}" for part in ("weights", "coefficients", "variance")),
)
_SMALL = re.compile(r"\d(?:\.\d+)?e-(?:1[1-9]|[2-9]\d)")


def use(root: Path) -> None:
    """Let ``mixcompare`` be the package in a folder, here and in processes that start here."""
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    import mixcompare

    place = Path(mixcompare.__file__).resolve()
    if root.resolve() != place.parents[1]:
        raise SystemExit(f"mixcompare was imported from {place}, not from {root}.")
    print(f"mixcompare from {place}", flush=True)


def record(file: Path, root: Path, only: list[str]) -> None:
    """Write the numbers of all cases, or those of some groups."""
    use(root)
    from tests.benchmarks.number_cases import GROUPS

    found: Arrays = {}
    compiled = _compiled(root)
    for group in only or GROUPS:
        began = time.process_time()
        for name, case in GROUPS[group]().items():
            started = time.process_time()
            found |= dict(_results(case, f"{group}/{name}"))
            if (spent := time.process_time() - started) > 2:
                print(f"  {group}/{name}: {spent:.1f} s")
        print(f"{group}: {time.process_time() - began:.1f} s of processor time", flush=True)
    if _compiled(root) != compiled:
        # Kernels differ in last bits between the process that compiles them and those that
        # find them in the cache.
        print("Kernels were compiled: once more, from the cache.", flush=True)
        os.execv(sys.executable, sys.orig_argv)
    np.savez_compressed(file, **found)  # type: ignore[arg-type]
    errors = [name for name in found if name.endswith("/error") and name.count("/") == 2]
    print(f"{len(found)} arrays; refused: {', '.join(errors)}")


def _compiled(root: Path) -> set[Path]:
    """Files of numba's cache."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    return {
        path
        for place in (root / "mixcompare", *([Path(folder)] if folder else []))
        for path in place.rglob("*.nbc")
    }


def _results(case: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """A case's leaves, its warnings and its refusal, if it is one."""
    from mixcompare import DataWarning
    from tests.benchmarks.number_leaves import leaves

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            yield from leaves(case(), name)
        except Exception as error:  # a refusal, or what has broken: the other cases go on
            yield f"{name}/error", np.array(f"{type(error).__name__}: {error}")
    texts = [str(w.message) for w in told if issubclass(w.category, DataWarning)]
    if texts:
        yield f"{name}/warnings", np.array(texts)


def compare(first: Path, second: Path, only: list[str]) -> bool:
    """Print differences by group; True if there are none."""
    before, after = (_read(path, only) for path in (first, second))
    same: Counter[str] = Counter()
    apart: dict[str, float] = {}
    for name in before.keys() & after.keys():
        floor = 1.0 if name.rpartition("/")[2] in OF_ROUNDING else 0.0
        distance = difference(before[name], after[name], floor)
        same[_group(name)] += distance == 0
        if distance:
            apart[name] = distance
    one_only = {"only in the first": before.keys() - after.keys()}
    one_only["only in the second"] = after.keys() - before.keys()
    for group in sorted({_group(name) for name in before.keys() | after.keys()}):
        mine = {name: d for name, d in apart.items() if _group(name) == group}
        print(f"{group}: {same[group]} arrays the same to the bit, {len(mine)} not", end="")
        print(f", largest relative difference {max(mine.values()):.3g}" if mine else "")
        for name in sorted(mine, key=lambda name: -mine[name])[:20]:
            print(f"  {mine[name]:.3g} {name}{_texts(before[name], after[name])}")
        for where, names in one_only.items():
            listed = sorted(name for name in names if _group(name) == group)
            if listed:
                print(f"  {len(listed)} {where}: {', '.join(listed[:10])}")
    return max(apart.values(), default=0.0) <= LARGEST and not any(one_only.values())


def _read(path: Path, only: list[str]) -> Arrays:
    """All arrays of a file, or those of some groups."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files if not only or _group(name) in only}


def difference(first: NDArray[Any], second: NDArray[Any], floor: float = 0.0) -> float:
    """Largest difference relative to the largest finite size; 0 only if all bits are the same.

    Infinite where shapes, kinds, texts, whole numbers or the places of NaN differ; numbers of
    rounding's size within texts may.

    Parameters
    ----------
    floor
        Least size that differences are relative to.
    """
    if first.shape != second.shape or first.dtype.kind != second.dtype.kind:
        return np.inf
    if first.dtype == second.dtype and first.tobytes() == second.tobytes():
        return 0.0
    if first.dtype.kind == "U":
        pairs = zip(first.ravel().tolist(), second.ravel().tolist(), strict=True)
        if all(_SMALL.sub("0", one) == _SMALL.sub("0", other) for one, other in pairs):
            return 0.0 if np.array_equal(first, second) else float(np.finfo(float).tiny)
    if first.dtype.kind != "f":
        return 0.0 if np.array_equal(first, second) else np.inf
    usual = np.isfinite(first)
    if not np.array_equal(first[~usual], second[~usual], equal_nan=True):
        return np.inf
    if not np.isfinite(second[usual]).all():
        return np.inf
    scale = np.abs(first[usual]).max(initial=floor)
    largest = np.abs(first[usual] - second[usual]).max(initial=0.0)
    # Zeros of either sign, and NaN of other bits, are not the same to the bit.
    return float(max(largest / scale if largest else 0.0, np.finfo(float).tiny))


def _group(name: str) -> str:
    return name.partition("/")[0]


def _texts(first: NDArray[Any], second: NDArray[Any]) -> str:
    """The first text that differs."""
    if first.shape != second.shape or first.dtype.kind != "U" or second.dtype.kind != "U":
        return f" {first.dtype}{first.shape} {second.dtype}{second.shape}"
    for one, other in zip(first.ravel(), second.ravel(), strict=True):
        if one != other:
            pairs = enumerate(zip(one, other, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
            near = slice(max(at - 20, 0), at + 60)
            return f"\n      {one[near]!r}\n      {other[near]!r}"
    return ""


def speed(roots: tuple[Path, Path], repeats: int) -> None:
    """Print medians of processor seconds of both packages, and of the second's ratios."""
    for root in roots:
        _timed(root)  # compiles what is to be compiled
    rounds = []
    for turn in range(repeats):
        # Each goes first as often as the other.
        order = roots[:: -1 if turn % 2 else 1]
        times = {root: _timed(root) for root in order}
        rounds.append(tuple(times[root] for root in roots))
    for name in rounds[0][0]:
        before, after = ([both[side][name] for both in rounds] for side in (0, 1))
        ratios = sorted(b / a for a, b in zip(before, after, strict=True))
        print(
            f"{name}: {1e3 * statistics.median(before):.1f} and "
            f"{1e3 * statistics.median(after):.1f} ms, ratio {statistics.median(ratios):.3f} "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


def _timed(root: Path) -> dict[str, float]:
    """Processor seconds by operation of the package in a folder, in fresh processes."""
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["mixcompare"].partition(":")
    start = f"import sys; sys.path.insert(0, {str(root)!r}); "
    programs = {
        "import mixcompare": "import mixcompare",
        "mixcompare --help": f"from {module} import {function}; sys.argv[1:] = ['--help']; "
        f"{function}()",
    }
    times = {name: _spent(start + program) for name, program in programs.items()}
    command = [sys.executable, "-m", __spec__.name, "time", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    within: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times | within


def _spent(program: str) -> float:
    """Processor seconds of a Python program, the interpreter's start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--package", type=Path, default=ROOT)
    comparing = commands.add_parser("compare")
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    for command in (recording, comparing):
        command.add_argument("--only", type=lambda text: text.split(","), default=[])
    timing = commands.add_parser("speed")
    timing.add_argument("roots", type=Path, nargs=2)
    timing.add_argument("--repeat", type=int, default=5)
    commands.add_parser("time").add_argument("root", type=Path)
    given = parser.parse_args()
    if given.command == "record":
        record(given.file, given.package.resolve(), given.only)
    elif given.command == "compare":
        sys.exit(not compare(given.first, given.second, given.only))
    elif given.command == "speed":
        first, second = given.roots
        speed((first.resolve(), second.resolve()), given.repeat)
    else:
        use(given.root)
        from tests.benchmarks.speed_cases import measure

        print(measure())


if __name__ == "__main__":
    main()
