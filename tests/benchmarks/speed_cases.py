"""Operations whose processor time two versions of the package are held against each other by.

Only what the README documents is called, as in `number_cases`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mixcompare as mc

FITS = 40


def regressions(units: int, rows: int, p: int, k: int) -> pd.DataFrame:
    """A mixture of regressions on an intercept and normal covariates, three cells a unit."""
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(units), rows)
    classes = rng.integers(k, size=units)
    x = rng.normal(size=(unit.size, p - 1))
    slopes = rng.normal(size=(k, p)) / np.sqrt(rows)
    fitted = slopes[classes[unit], 0] + (x * slopes[classes[unit], 1:]).sum(axis=1)
    return pd.DataFrame(
        {
            "unit": unit,
            "cell": np.arange(unit.size) % 3,
            "y": fitted + rng.normal(size=unit.size),
            **{f"x{i}": x[:, i] for i in range(p - 1)},
        }
    )


def _panel(**more: Any) -> Callable[[], object]:
    table = regressions(545, 8, 8, 3)
    formula = "y ~ " + " + ".join(f"x{i}" for i in range(7))
    spec = mc.MixtureSpec(formula, unit="unit", n_components=3, **more)
    return lambda: mc.fit(spec, table, starts=20, kernels="numba", seed=1, progress=False)


def _gaussian() -> Callable[[], object]:
    rng = np.random.default_rng(1)
    mean, classes = 3 * rng.normal(size=(4, 10)), rng.integers(4, size=20_000)
    y = mean[classes] + rng.normal(size=(classes.size, 10))
    table = pd.DataFrame(y, columns=[f"y{j}" for j in range(10)])
    spec = mc.MixtureSpec(f"{' + '.join(table.columns)} ~ 1", n_components=4)
    start = (classes + (rng.random(classes.size) < 0.3)) % 4
    return lambda: mc.fit(
        spec, table, starts=0, initial=start, kernels="numba", seed=1, progress=False
    )


def _sampled() -> Callable[[], object]:
    table = regressions(100, 10, 3, 2)
    spec = mc.MixtureSpec("y ~ x0 + x1", unit="unit", n_components=2)
    return lambda: mc.fit(
        spec, table, backend="pymc", draws=1000, tune=500, chains=2, seed=1, progress=False
    )


def _study(fits: int) -> Callable[[], object]:
    study = mc.build_study(
        {
            "study": {"name": "speed"},
            "model": {"formula": "y ~ x", "unit": "unit", "n_components": 2},
            "simulate": {
                "units": 100,
                "periods": 10,
                "weights": [0.6, 0.4],
                "covariance": 1.0,
                "coefficients": {"Intercept": [0.0, 1.0], "x": [1.0, -1.0]},
                "covariates": {"x": {"distribution": "normal"}},
            },
            "methods": {"em": {"backend": "em", "starts": 1}},
            "run": {"replicates": fits, "seed": 1},
        }
    )

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            mc.run_study(study, Path(folder), workers=0, progress=False, report=False)

    return run


def _plain_fits() -> Callable[[], object]:
    """As many fits of the same size as the study has, to see what it adds."""
    table = regressions(100, 10, 2, 2)
    spec = mc.MixtureSpec("y ~ x0", unit="unit", n_components=2)

    def run() -> None:
        for seed in range(FITS):
            mc.fit(spec, table, starts=1, seed=seed, progress=False)

    return run


OPERATIONS: Mapping[str, Callable[[], Callable[[], object]]] = {
    "EM, 545 units of 8 rows, 8 covariates, 20 starts": _panel,
    "the same, cells absorbed": lambda: _panel(absorb="unit:cell"),
    "EM, Gaussian mixture, 20,000 rows, d = 10": _gaussian,
    "NUTS, 100 units of 10 rows, 2 x 1,500 draws": _sampled,
    f"study of {FITS} fits": lambda: _study(FITS),
    f"{FITS} fits without a study": _plain_fits,
}


def measure(seconds: float = 0.6) -> str:
    """Median seconds of processor time of each operation once warm, as JSON."""
    medians = {}
    for name, prepare in OPERATIONS.items():
        operation = prepare()
        operation()
        times: list[float] = []
        while len(times) < 3 or sum(times) < seconds:
            began = time.process_time()
            operation()
            times.append(time.process_time() - began)
        medians[name] = statistics.median(times)
    return json.dumps(medians)
