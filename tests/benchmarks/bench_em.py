"""What the README's speed tables claim, measured in one run, with ratios to peers.

Run by hand: ``python -m tests.benchmarks.bench_em [--peers]``, about three minutes. The peers
are not among the project's dependencies: install scikit-learn anywhere on PYTHONPATH, and R
with flexmix (Debian: r-base-core, r-cran-flexmix); without them their figures are left out.
Seconds are of CPU, with one thread; two programs that are compared take turns on the same data.
"""

# ruff: noqa: T201

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mixcompare.backends.em import Options, run
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.kernels.compiled_mixture import compiled
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import Mixture, maximise
from mixcompare.backends.em.runs import Run
from mixcompare.prepared.compress import compress
from mixcompare.prepared.problem import Problem
from tests.benchmarks.cases import Case, best, make_case, side_by_side
from tests.benchmarks.peak_memory import measure

TOLERANCE = 1e-8
PANELS = ((500, 100, 4, 3), (545, 8, 8, 3), (20_000, 50, 10, 5))
MIXTURES = ((200_000, 10, 8), (1_000_000, 4, 5), (20_000, 30, 10))

FLEXMIX = """
suppressMessages(library(flexmix))
arguments <- commandArgs(TRUE)
read <- function(name, columns) matrix(
  readBin(file.path(arguments[1], name), "double", 1e9), ncol = columns, byrow = TRUE)
p <- as.integer(arguments[2]); K <- as.integer(arguments[3])
x <- read("x", p); y <- read("y", 1)[, 1]; group <- factor(read("unit", 1)[, 1])
tau <- read("tau", K)
control <- list(tolerance = as.numeric(arguments[4]), minprior = 0, iter.max = 10000)
seconds <- Inf
began <- Sys.time()
for (i in 1:50) {
  used <- system.time(
    fit <- flexmix(y ~ x - 1 | group, data = data.frame(y = y, x = I(x), group = group), k = K,
                   cluster = tau, control = control))
  seconds <- min(seconds, used[["user.self"]] + used[["sys.self"]])
  if (difftime(Sys.time(), began, units = "secs") > 15) break
}
cat(sprintf("%.17g %d %.17g", seconds, fit@iter, fit@logLik))
"""


def prepared(case: Case) -> Mixture:
    """From the rows to packed units."""
    data = mixture_of(case.spec, compress(case.panel, "numba"))
    return compiled(data)


def iteration(case: Case, data: Mixture) -> Callable[[], object]:
    """An M-step and the E-step that follows it, from an E-step."""
    reached = data.expect(maximise(data, case.start))
    reached = data.expect(maximise(data, reached))
    return lambda: data.expect(maximise(data, reached))


def panel(sizes: tuple[int, int, int, int], *, peers: bool) -> None:
    """Whole fits of a panel, against flexmix."""
    case = make_case(*sizes)
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
        return iterate(prepared(case), case.start, options)

    def results() -> object:
        return run(Problem.of(case.spec, case.panel, "numba"), options, np.random.SeedSequence(0))

    reached = optimum().log_likelihood
    results()
    theirs = flexmix(case) if peers else None
    whole, labelled = best(optimum), best(results)
    compression = best(lambda: compress(case.panel, "numba"))
    data = prepared(case)
    kernels, plain = side_by_side(
        iteration(case, data), iteration(case, mixture_of(case.spec, compress(case.panel)))
    )
    print(
        f"{case.title}: whole fit {1e3 * whole:.2f} ms (compression {1e3 * compression:.2f}), "
        f"{len(reached)} iterations to {reached[-1]:.3f}; with standard errors and labelled "
        f"results {1e3 * labelled:.1f} ms; an iteration {1e3 * kernels:.3f} ms, by NumPy "
        f"{1e3 * plain:.3f}",
        flush=True,
    )
    if theirs:
        seconds, iterations, log_likelihood = theirs
        print(
            f"  flexmix {seconds:.3f} s, {iterations} iterations to {log_likelihood:.3f}: "
            f"{seconds / whole:.0f} times ours, an iteration {seconds / iterations / kernels:.0f}",
            flush=True,
        )


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


def mixture(sizes: tuple[int, int, int], *, peers: bool) -> None:
    """Iterations of a Gaussian mixture and their memory, against scikit-learn."""
    units, d, k = sizes
    case = make_case(units, 1, 1, k, d)
    data = prepared(case)
    plain = best(iteration(case, mixture_of(case.spec, compress(case.panel))))
    theirs = sklearn_iteration(case) if peers else None
    if theirs is None:
        kernels = best(iteration(case, data))
    else:
        kernels, their_seconds = side_by_side(iteration(case, data), theirs)
    print(f"{case.title}: an iteration {1e3 * kernels:.2f} ms, by NumPy {1e3 * plain:.1f}")
    if theirs is not None:
        print(
            f"  scikit-learn {1e3 * their_seconds:.1f} ms, {their_seconds / kernels:.1f} times ours"
        )
    for part in ("iterations", "fit"):
        ours = measure("ours", part, *sizes) / 1e6
        text = f"  additional peak memory of {part}: {ours:.3f} MB"
        if theirs is not None:
            other = measure("sklearn", part, *sizes) / 1e6
            text += f", scikit-learn {other:.1f} MB, ratio {ours / other:.4f}"
        print(text, flush=True)


def sklearn_iteration(case: Case) -> Callable[[], object] | None:
    """An iteration of GaussianMixture from the same start, if it is there."""
    try:
        module = importlib.import_module("sklearn.mixture")
    except ImportError:
        print("  scikit-learn is not installed")
        return None
    y = case.panel.outcomes
    model = module.GaussianMixture(case.spec.n_components)
    # Its own steps, without the k-means start and the bookkeeping of fit().
    model._initialize(y, case.start)

    def step() -> None:
        _, log_responsibilities = model._e_step(y)
        model._m_step(y, log_responsibilities)

    return step


def length_of_units() -> None:
    """The cost of an iteration with short and with long units."""
    short, long = (make_case(2_000, rows, 4, 3) for rows in (10, 1_000))
    seconds = side_by_side(*(iteration(case, prepared(case)) for case in (short, long)))
    print(
        f"an iteration with 2,000 units of 10 rows {1e3 * seconds[0]:.3f} ms, of 1,000 rows "
        f"{1e3 * seconds[1]:.3f} ms: ratio {seconds[1] / seconds[0]:.2f}",
        flush=True,
    )


def many_starts() -> None:
    """A hundred starts to convergence, with standard errors and labelled results."""
    case = make_case(545, 8, 8, 3)
    problem = Problem.of(case.spec, case.panel, "numba")
    options = Options(starts=100, kernels="numba", progress=False)

    def starts() -> object:
        return run(problem, options, np.random.SeedSequence(0))

    starts()
    print(f"100 starts on {case.title}: {best(starts):.3f} s", flush=True)


def main() -> None:
    """Measure everything."""
    peers = "--peers" in sys.argv
    for sizes in PANELS:
        panel(sizes, peers=peers)
    length_of_units()
    many_starts()
    for mixture_sizes in MIXTURES:
        mixture(mixture_sizes, peers=peers)


if __name__ == "__main__":
    main()
