"""Time of an EM iteration, NumPy and compiled, and its ratio to scikit-learn and flexmix.

Run by hand: ``python tests/benchmarks/bench_em.py [--peers]``. The peers are not among the
project's dependencies: install scikit-learn anywhere on PYTHONPATH, and R with flexmix
(Debian: r-base-core, r-cran-flexmix); without them their columns are left out.
"""

# Threads are counted when NumPy loads, hence the order; and it prints.
# ruff: noqa: E402, T201

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mixcompare as mc
from mixcompare.backends.em import Options, run
from mixcompare.backends.em.compiled import Compiled
from mixcompare.backends.em.loop import Run, iterate
from mixcompare.backends.em.standardise import Standardised, standardise
from mixcompare.backends.em.steps import e_step, m_step
from mixcompare.compress import compress
from mixcompare.outcome import Outcome
from mixcompare.panel import FloatArray, Panel

TOLERANCE = 1e-8
SKLEARN_ITERATIONS = 5

FLEXMIX = """
suppressMessages(library(flexmix))
arguments <- commandArgs(TRUE)
read <- function(name, columns) matrix(
  readBin(file.path(arguments[1], name), "double", 1e9), ncol = columns, byrow = TRUE)
p <- as.integer(arguments[2]); K <- as.integer(arguments[3])
x <- read("x", p); y <- read("y", 1)[, 1]; group <- factor(read("unit", 1)[, 1])
tau <- read("tau", K)
control <- list(tolerance = as.numeric(arguments[4]), minprior = 0, iter.max = 10000)
seconds <- system.time(
  fit <- flexmix(y ~ x - 1 | group, data = data.frame(y = y, x = I(x), group = group), k = K,
                 cluster = tau, control = control))["elapsed"]
cat(sprintf("%.17g %d %.17g", seconds, fit@iter, fit@logLik))
"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Data, and responsibilities (G, K) to start from."""

    title: str
    spec: mc.MixtureSpec
    panel: Panel
    start: FloatArray


def make_case(units: int, rows: int, p: int, k: int, m: int = 1) -> Case:
    """A mixture of regressions on an intercept and normal covariates."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(units), rows)
    classes = rng.integers(k, size=units)
    x = rng.normal(size=(unit.size, p))
    x[:, 0] = 1
    coefficients = rng.normal(size=(k, p, m)) * (1.0 / np.sqrt(rows) if rows > 1 else 2.0)
    y = np.einsum("ni,nij->nj", x, coefficients[classes[unit]]) + rng.normal(size=(unit.size, m))
    names = tuple(f"y{j}" for j in range(m))
    panel = Panel(
        outcomes=y,
        covariates=x,
        unit=unit,
        unit_labels=np.arange(units),
        cell=None,
        row=np.arange(unit.size),
        outcome_names=names,
        covariate_names=tuple(f"x{i}" for i in range(p)),
        variables={},
    )
    # Leans to the truth, so that every program finds the same optimum.
    start = 0.5 * np.eye(k)[classes] + 0.5 * rng.dirichlet(np.ones(k), size=units)
    what = (
        f"panel G={units:,} T={rows} p={p} K={k}" if rows > 1 else f"mixture {units:,} d={m} K={k}"
    )
    return Case(what, mc.MixtureSpec(f"{' + '.join(names)} ~ 1", n_components=k), panel, start)


def best_time(action: Callable[[], object], repeats: int) -> float:
    """Least wall time of a few runs, in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def iteration_time(case: Case, data: Standardised) -> float:
    """Seconds of an M-step and the E-step that follows it."""
    tau = case.start
    for _ in range(2):  # compiles, and lets the responsibilities sharpen
        tau = e_step(data, m_step(case.spec, data, tau)).responsibilities
    repeats = 3 if data.covariates.size * data.shape[-1] > 1e6 else 20
    return best_time(lambda: e_step(data, m_step(case.spec, data, tau)), repeats)


def whole_fit(case: Case) -> tuple[float, float, int, float]:
    """Seconds from the rows to the optimum and to the labelled results, iterations, value."""
    options = Options(
        starts=0,
        initial=case.start,
        criterion="log_likelihood",
        tolerance=TOLERANCE,
        acceleration="none",
        kernels="numba",
        progress=False,
    )

    def optimum() -> Run:
        data = standardise(case.spec, compress(case.panel))
        return iterate(case.spec, data.using(Compiled(data)), case.start, options)

    def results() -> Outcome:
        return run(case.spec, compress(case.panel), options, np.random.SeedSequence(0))

    path = optimum().log_likelihood
    return best_time(optimum, 3), best_time(results, 3), len(path), path[-1]


def flexmix(case: Case) -> tuple[float, int, float] | None:
    """The same fit by flexmix, if it is there."""
    if shutil.which("Rscript") is None:
        print("  flexmix: no Rscript here")
        return None
    panel, k = case.panel, case.spec.n_components
    arrays = {
        "x": panel.covariates,
        "y": panel.outcomes,
        "unit": panel.unit,
        "tau": case.start[panel.unit],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, array in arrays.items():
            (Path(folder) / name).write_bytes(np.ascontiguousarray(array, dtype=float).tobytes())
        script = Path(folder) / "fit.R"
        script.write_text(FLEXMIX)
        sizes = [str(panel.covariates.shape[1]), str(k), str(TOLERANCE)]
        shown = subprocess.run(
            ["Rscript", str(script), folder, *sizes], capture_output=True, text=True, check=False
        )
    if shown.returncode:
        print(f"  flexmix failed: {shown.stderr.strip()[-300:]}")
        return None
    seconds, iterations, log_likelihood = shown.stdout.split()
    return float(seconds), int(iterations), float(log_likelihood)


def sklearn_iteration(case: Case) -> float | None:
    """Seconds of an iteration of GaussianMixture from the same start."""
    try:
        mixture = importlib.import_module("sklearn.mixture")
    except ImportError:
        print("  scikit-learn is not installed")
        return None
    y = case.panel.outcomes
    model = mixture.GaussianMixture(case.spec.n_components)
    # Its own steps, without the k-means start and the bookkeeping of fit().
    model._initialize(y, case.start)

    def step() -> None:
        _, log_responsibilities = model._e_step(y)
        model._m_step(y, log_responsibilities)

    step()
    return best_time(step, SKLEARN_ITERATIONS)


def report(case: Case, *, peers: bool) -> None:
    """Print a case's figures."""
    prepared = compress(case.panel)
    data = standardise(case.spec, prepared)
    plain = iteration_time(case, data)
    kernels = iteration_time(case, data.using(Compiled(data)))
    compression = best_time(lambda: compress(case.panel), 3)
    print(
        f"{case.title:<36} compress {1e3 * compression:8.2f} ms   iteration: NumPy "
        f"{1e3 * plain:8.3f} ms   kernels {1e3 * kernels:8.3f} ms   ratio {plain / kernels:5.1f}",
        flush=True,
    )
    if peers and case.panel.outcomes.shape[1] > 1:
        theirs = sklearn_iteration(case)
        if theirs:
            print(
                f"  scikit-learn {1e3 * theirs:.1f} ms, {theirs / kernels:.1f} times ours",
                flush=True,
            )
    elif peers:
        optimum, results, iterations, reached = whole_fit(case)
        print(
            f"  ours: {optimum:.4f} s, {iterations} iterations to {reached:.3f}; "
            f"{results:.4f} s with standard errors and labelled results",
            flush=True,
        )
        fit = flexmix(case)
        if fit:
            print(
                f"  flexmix: {fit[0]:.3f} s, {fit[1]} iterations to {fit[2]:.3f}: "
                f"{fit[0] / optimum:.0f} times ours, an iteration {fit[0] / fit[1] / kernels:.0f}",
                flush=True,
            )


def main() -> None:
    """Run all cases."""
    peers = "--peers" in sys.argv
    for units, d, k in ((200_000, 10, 8), (1_000_000, 4, 5), (20_000, 30, 10)):
        report(make_case(units, 1, 1, k, d), peers=peers)
    for units, rows, p, k in ((500, 100, 4, 3), (545, 8, 8, 3), (20_000, 50, 10, 5)):
        report(make_case(units, rows, p, k), peers=peers)


if __name__ == "__main__":
    main()
