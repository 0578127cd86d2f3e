"""Time of compression, and its ratio to a plain loop: python -m tests.benchmarks.bench_compress."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mixcompare.data.panel import Panel
from mixcompare.prepared.compress import compress

LOOPED_UNITS = 2_000
REPEATS = 3


def random_panel(lengths: NDArray[np.intp], n_covariates: int, *, cells: bool) -> Panel:
    """A panel of units with these lengths; with cells, two per unit of four rows or more."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(unit)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    half = (within >= np.repeat(lengths, lengths) // 2) & (np.repeat(lengths, lengths) >= 4)
    return Panel(
        outcomes=rng.normal(size=(len(unit), 1)),
        covariates=rng.normal(size=(len(unit), n_covariates)),
        unit=unit,
        unit_labels=np.arange(len(lengths)),
        cell=np.unique(2 * unit + half, return_inverse=True)[1] if cells else None,
        row=np.arange(len(unit)),
        outcome_names=("y",),
        covariate_names=tuple(f"x{i}" for i in range(n_covariates)),
        variables={},
    )


def best_time(action: Callable[[], object]) -> float:
    """Least wall time of a few runs, in seconds."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def loop(panel: Panel, n_units: int) -> None:
    """One QR decomposition after the other."""
    rows = np.concatenate([panel.covariates, panel.outcomes], axis=1)
    ends = np.cumsum(np.bincount(panel.unit))[:n_units]
    for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        np.linalg.qr(rows[start:end], mode="r")


def report(title: str, panel: Panel) -> None:
    """Print one line."""
    looped = min(LOOPED_UNITS, panel.n_units)
    compressed = best_time(lambda: compress(panel))
    by_loop = best_time(lambda: loop(panel, looped)) * panel.n_units / looped
    print(  # noqa: T201
        f"{title:<62} {compressed:6.2f} s   loop of np.linalg.qr {by_loop:6.2f} s   "
        f"ratio {by_loop / compressed:4.1f}"
    )


def main() -> None:
    """Run all cases."""
    equal = np.full(20_000, 50)
    unequal = np.random.default_rng(1).integers(1, 200, 50_000)
    for cells in (False, True):
        how = "absorbed cells" if cells else "no cells"
        report(
            f"20,000 units x 50 rows x 10 covariates, {how} (goal 3 s)",
            random_panel(equal, 10, cells=cells),
        )
        report(
            f"50,000 units of 1 to 199 rows x 5 covariates, {how}",
            random_panel(unequal, 5, cells=cells),
        )


if __name__ == "__main__":
    main()
