"""Additional peak memory of one program on one mixture, in a process of its own.

``python -m tests.benchmarks.peak_memory {ours,sklearn} {iterations,fit} UNITS D K`` prints
the bytes by which resident memory rises above what it was when data and start were ready.
Linux only: the high-water mark is reset through /proc.
"""

# ruff: noqa: T201

import importlib
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from mixcompare.backends.em import Options
from mixcompare.backends.em.build import mixture_of
from mixcompare.backends.em.kernels.compiled_mixture import compiled
from mixcompare.backends.em.loop import iterate
from mixcompare.backends.em.mixture import Mixture
from mixcompare.prepared.compress import compress
from tests.benchmarks.cases import Case, make_case

ITERATIONS = 5
_STATUS = Path("/proc/self/status")


def measure(program: str, part: str, units: int, d: int, k: int) -> float:
    """Bytes, from a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.peak_memory",
        program,
        part,
        str(units),
        str(d),
        str(k),
    ]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def additional_peak(prepare: Callable[[Case], Callable[[], object]], case: Case) -> int:
    """Bytes above the memory in use before the prepared action."""
    prepare(make_case(500, 1, 1, 2, 2))()  # libraries, compiled code and their work space
    action = prepare(case)
    Path("/proc/self/clear_refs").write_text("5")
    before = _read("VmRSS")
    result = action()
    after = _read("VmHWM")
    del result
    return after - before


def _read(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text())
    assert found is not None
    return 1024 * int(found[1])


def our_data(case: Case) -> Mixture:
    """Compressed, standardised and packed."""
    data = mixture_of(case.spec, compress(case.panel))
    return compiled(data)


def our_iterations(case: Case) -> Callable[[], object]:
    """A few iterations on prepared data."""
    data = our_data(case)
    return lambda: iterate(data, case.start, _OPTIONS)


def our_fit(case: Case) -> Callable[[], object]:
    """The same, with the preparation."""
    return lambda: iterate(our_data(case), case.start, _OPTIONS)


def their_iterations(case: Case) -> Callable[[], object]:
    """scikit-learn's steps without its start and bookkeeping."""
    y = case.panel.outcomes
    model = importlib.import_module("sklearn.mixture").GaussianMixture(case.spec.n_components)
    model._initialize(y, case.start)

    def steps() -> None:
        for _ in range(ITERATIONS):
            _, log_responsibilities = model._e_step(y)
            model._m_step(y, log_responsibilities)
            del log_responsibilities

    return steps


def their_fit(case: Case) -> Callable[[], object]:
    """scikit-learn's fit() from a random start, the leanest that it has."""
    model = importlib.import_module("sklearn.mixture").GaussianMixture(
        case.spec.n_components, init_params="random_from_data", max_iter=ITERATIONS, random_state=0
    )
    return lambda: model.fit(case.panel.outcomes)


_OPTIONS = Options(
    starts=1, max_iterations=ITERATIONS, criterion="log_likelihood", acceleration="none"
)
_PREPARE = {
    ("ours", "iterations"): our_iterations,
    ("ours", "fit"): our_fit,
    ("sklearn", "iterations"): their_iterations,
    ("sklearn", "fit"): their_fit,
}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of scikit-learn's, which has not converged
    program, part, *sizes = sys.argv[1:]
    units, d, k = map(int, sizes)
    print(additional_peak(_PREPARE[program, part], make_case(units, 1, 1, k, d)))
