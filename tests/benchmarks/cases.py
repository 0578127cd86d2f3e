"""Simulated cases and stop-watches of the benchmarks."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import mixcompare as mc
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel


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
    y = rng.normal(size=(unit.size, m))
    for k_own in range(k):
        own = classes[unit] == k_own
        y[own] += x[own] @ coefficients[k_own]
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


def cpu(action: Callable[[], object]) -> float:
    """Seconds of CPU that one call takes."""
    began = time.process_time()
    action()
    return time.process_time() - began


def side_by_side(*actions: Callable[[], object], seconds: float = 5.0) -> list[float]:
    """Least CPU seconds of each action, in turns, so that all meet the same machine.

    There are 7 to 100 turns, as many as these seconds hold.
    """
    turns = [[cpu(action) for action in actions] for _ in range(7)]
    while len(turns) < 100 and sum(map(sum, turns)) < seconds:
        turns.append([cpu(action) for action in actions])
    return [min(times) for times in zip(*turns, strict=True)]


def best(action: Callable[[], object], at_most: int = 1000, seconds: float = 3.0) -> float:
    """Least CPU seconds of up to so many calls, two at least, within so many seconds."""
    times = [cpu(action), cpu(action)]
    while len(times) < at_most and sum(times) < seconds:
        times.append(cpu(action))
    return min(times)
