"""Time and peak memory of a whole `mc.fit`, standard errors and all, in a process of its own.

Run by hand: ``python -m tests.benchmarks.bench_memory [UNITS OUTCOMES CLASSES STARTS]``; without
numbers, Gaussian mixtures of 1,000,000 x 10 in 4 classes and of 20,000 x 30 in 10, two starts each,
some minutes. Seconds are of CPU; memory is what the process needs beyond its
table, compressed data are the units' factors of covariates and outcomes. ``python -m
tests.benchmarks.bench_memory posterior [UNITS DRAWS]`` fits by MCMC, 5,000 units in 3 classes with
4 chains of 1,000 draws unless told otherwise, and saves the fit; memory is then all of the process.
"""

# ruff: noqa: T201

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

import mixcompare as mc
from mixcompare.prepared.compress import compress

CASES = ((1_000_000, 10, 4, 2), (20_000, 30, 10, 2))


def peak() -> float:
    """Bytes, the most so far."""
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def one(units: int, outcomes: int, classes: int, starts: int) -> str:
    """A line with the figures of one fit."""
    rng = np.random.default_rng(0)
    means = 3 * rng.normal(size=(classes, outcomes))
    values = means[rng.integers(classes, size=units)] + rng.normal(size=(units, outcomes))
    table = pd.DataFrame(values, columns=[f"y{i}" for i in range(outcomes)])
    spec = mc.MixtureSpec(" + ".join(table.columns) + " ~ 1", n_components=classes)
    # Libraries and compiled code, on a small model.
    small = mc.MixtureSpec("y0 + y1 ~ 1", n_components=2)
    mc.fit(small, table.head(500), starts=1, kernels="numba")
    before, began = peak(), time.process_time()
    fit = mc.fit(spec, table, starts=starts, seed=1, progress=False)
    seconds, more = time.process_time() - began, peak() - before
    compressed = compress(fit.panel).factor.nbytes
    return (
        f"{units:,} x {outcomes}, K = {classes}, {starts} starts, {fit.n_parameters} parameters: "
        f"{seconds:.1f} s, {more / 1e6:.0f} MB more, "
        f"{more / compressed:.2f} times the compressed data"
    )


class Cost(NamedTuple):
    """Of a posterior: seconds of CPU, peak memory of its fit, its file, and peak with saving it."""

    seconds: float
    fit_bytes: float
    file_bytes: int
    save_bytes: float


def posterior(units: int, draws: int) -> Cost:
    """Fit 5 rows of each unit in 3 classes by 4 chains, and save the fit."""
    rng = np.random.default_rng(0)
    unit, x = np.repeat(np.arange(units), 5), rng.normal(size=5 * units)
    z = rng.integers(3, size=units)[unit]
    y = np.array([-3.0, 0.0, 3.0])[z] + np.array([1.0, -1.0, 0.5])[z] * x + rng.normal(size=len(x))
    spec = mc.MixtureSpec("y ~ x", unit="unit", n_components=3)
    began = time.process_time()
    fit = mc.fit(
        spec,
        pd.DataFrame({"unit": unit, "x": x, "y": y}),
        backend="pymc",
        seed=1,
        draws=draws,
        tune=200,
        chains=4,
        progress=False,
    )
    seconds, fitted = time.process_time() - began, peak()
    with TemporaryDirectory() as folder:
        size = fit.save(Path(folder) / "fit.nc").stat().st_size
    return Cost(seconds, fitted, size, peak())


def main() -> None:
    """Print a line for each case."""
    if sys.argv[1:2] == ["posterior"]:
        units, draws = map(int, sys.argv[2:] or (5_000, 1_000))
        cost = posterior(units, draws)
        print(
            f"{units:,} units, 4 x {draws:,} draws: {cost.seconds:.1f} s, at most "
            f"{cost.fit_bytes / 1e6:.0f} MB, {cost.save_bytes / 1e6:.0f} MB with saving; file of "
            f"{cost.file_bytes / 1e6:.0f} MB"
        )
        return
    if len(sys.argv) > 1:
        print(one(*map(int, sys.argv[1:])))
        return
    for case in CASES:
        program = [sys.executable, "-m", "tests.benchmarks.bench_memory", *map(str, case)]
        subprocess.run(program, check=True)


if __name__ == "__main__":
    main()
