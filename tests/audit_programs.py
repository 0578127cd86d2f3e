"""A foreign EM in NumPy for any number of outcomes, with a switch for each fault.

It shares no code with the audit: log-densities by Cholesky factors, regressions by `lstsq`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

import mixcompare as mc

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]
type State = dict[str, Any]


def panel(
    *, units: int, rows: tuple[int, int], m: int, k: int, seed: int = 0, covariates: int = 1
) -> pd.DataFrame:
    """Overlapping classes of units with y0, y1, ... on x1, x2, ..., unequal in size and spread."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(rows[0], rows[1], size=units, endpoint=True)
    unit = np.repeat(np.arange(units), lengths)
    x = rng.normal(1.0, 1.0, size=(unit.size, covariates))
    classes = rng.choice(k, size=units, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())[unit]
    slopes = rng.normal(size=(k, covariates, m))
    y = np.einsum("nj,njm->nm", x, slopes[classes]) + 1.5 * classes[:, None]
    root = np.eye(m) + 0.4 * np.tri(m, k=-1)
    y += rng.normal(size=(unit.size, m)) @ root.T * (1 + 0.5 * classes[:, None])
    columns = {f"x{j + 1}": x[:, j] for j in range(covariates)}
    return pd.DataFrame({"unit": unit, **columns, **{f"y{j}": y[:, j] for j in range(m)}})


def specification(table: pd.DataFrame, k: int, **options: Any) -> mc.MixtureSpec:
    """The model that the program fits to a `panel`."""
    outcomes = " + ".join(c for c in table.columns if c.startswith("y"))
    covariates = " + ".join(c for c in table.columns if c.startswith("x")) or "1"
    unit = None if table["unit"].is_unique else "unit"
    return mc.MixtureSpec(f"{outcomes} ~ {covariates}", unit=unit, n_components=k, **options)


@dataclass
class Program:
    """One EM with one fault (``""`` for none) or several, and what it remembers."""

    table: pd.DataFrame
    k: int
    faults: frozenset[str] = frozenset()
    shared: bool = False
    constants: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = list(self.table.columns)
        x = self.table[[c for c in names if c.startswith("x")]].to_numpy()
        self.x = np.column_stack([np.ones(len(x)), x])
        self.y = self.table[[c for c in names if c.startswith("y")]].to_numpy()
        self.unit = self.table["unit"].to_numpy()
        self.counts = np.bincount(self.unit).astype(float)
        self.previous: FloatArray | None = None
        self.old: State | None = None
        self.own_log_likelihood: list[float] = []

    def has(self, fault: str) -> bool:
        return fault in self.faults

    def start(self, seed: int = 5) -> State:
        """What a first M-step makes of vague responsibilities."""
        rng = np.random.default_rng(seed)
        tau = rng.dirichlet(np.arange(3.0, 3 + self.k), size=len(self.counts))
        coefficients, covariance = self.regressions(tau[self.unit], tau[self.unit])
        return {
            "weights": tau.mean(axis=0),
            "coefficients": coefficients,
            "covariance": covariance,
        }

    def regressions(
        self, by_row: FloatArray, squares: FloatArray, ridge: float = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        coefficients, covariance = [], []
        p = self.x.shape[1]
        for w, v in zip(by_row.T, squares.T, strict=True):
            gram = self.x.T @ (w[:, None] * self.x) + ridge * np.eye(p)
            b = np.linalg.solve(gram, self.x.T @ (w[:, None] * self.y))
            rest = self.y - self.x @ b
            coefficients.append(b)
            covariance.append(rest.T @ (v[:, None] * rest) / v.sum())
        pooled = np.average(covariance, axis=0, weights=squares.sum(axis=0))
        return np.stack(coefficients), np.stack([pooled] * self.k if self.shared else covariance)

    # --- E-step -------------------------------------------------------------------------

    def log_densities(self, state: State) -> FloatArray:
        """(N, K) of the rows."""
        weights, covariance = state["weights"], np.array(state["covariance"])
        if self.has("pooled covariance"):
            covariance[:] = np.tensordot(weights / weights.sum(), covariance, axes=1)
        m = self.y.shape[1]
        columns = []
        for b, sigma in zip(state["coefficients"], covariance, strict=True):
            lower = np.linalg.cholesky(sigma)
            half = np.log(np.diag(lower)).sum()
            if self.has("covariance squared"):
                lower, half = sigma, np.linalg.slogdet(sigma)[1]
            if self.has("transposed cholesky"):
                lower = lower.T
            if self.has("determinant not halved"):
                half *= 2
            white = np.linalg.solve(lower, (self.y - self.x @ b).T)
            columns.append(-0.5 * (white**2).sum(axis=0) - half - 0.5 * m * np.log(2 * np.pi))
        return np.stack(columns, axis=1)

    def by_unit(self, values: FloatArray) -> FloatArray:
        return np.stack([np.bincount(self.unit, column) for column in values.T], axis=1)

    def expectation(self, state: State) -> FloatArray:
        rows = self.log_densities(state)
        weights = state["weights"]
        if self.has("old weights") and self.old is not None:
            weights = self.old["weights"]
        prior = np.log(weights / weights.sum())
        if self.has("rows in place of units"):
            return np.asarray(softmax(rows + prior, axis=1))
        units = self.by_unit(rows)
        if self.has("mean in place of sum"):
            units = units / self.counts[:, None]
        joint = units + prior
        self.own_log_likelihood.append(float(logsumexp(joint, axis=1).sum()))
        if self.has("tempering"):
            joint = joint * self.constants.get("tempering", 0.6)
        if self.has("wrong axis"):
            return np.asarray(softmax(joint, axis=0))
        if self.has("unknown E-step"):
            tau = softmax(joint, axis=1) ** 1.5 + 0.02
            return np.asarray(tau / tau.sum(axis=1, keepdims=True))
        return np.asarray(softmax(joint, axis=1))

    # --- M-step -------------------------------------------------------------------------

    def step(self, state: State) -> State:
        """One iteration."""
        tau = self.expectation(state)
        by_row = tau if len(tau) == len(self.unit) else tau[self.unit]
        used, squares = by_row, by_row
        if self.has("previous responsibilities") and self.previous is not None:
            squares = self.previous
        if self.has("last batch"):
            kept = np.zeros(len(by_row))
            kept[self.unit >= 2 * len(self.counts) // 3] = 1
            used = squares = by_row * kept[:, None]
            tau = tau[2 * len(self.counts) // 3 :]
        if self.has("weights stacked by row"):
            used = by_row.ravel().reshape(by_row.shape[::-1]).T
        if self.has("mean in M-step"):
            used = squares = by_row / self.counts[self.unit][:, None]
        ridge = self.constants.get("ridge", 5.0) if self.has("ridge") else 0.0
        b, sigma = self.regressions(used, squares, ridge)
        weights = tau.mean(axis=0)
        if self.has("wrong axis"):
            weights = tau.sum(axis=0) / tau.sum()
        if self.has("smoothed weights"):
            a = self.constants.get("smoothing", 3.0)
            weights = (tau.sum(axis=0) + a) / (len(tau) + self.k * a)
        sigma = self.damaged(sigma, squares.sum(axis=0))
        new = {"weights": weights, "coefficients": b, "covariance": sigma}
        if self.has("damping"):
            part = self.constants.get("damping", 0.7)
            new = {n: state[n] + part * (new[n] - state[n]) for n in new}
        self.previous, self.old = by_row, state
        return new

    def damaged(self, sigma: FloatArray, mass: FloatArray) -> FloatArray:
        m = sigma.shape[-1]
        if self.has("divisor N"):
            sigma = sigma * (mass / len(self.unit))[:, None, None]
        if self.has("divisor K n_k"):
            sigma = sigma / self.k
        if self.has("off-diagonals halved"):
            sigma = sigma * (0.5 + 0.5 * np.eye(m))
        if self.has("reg_covar"):
            sigma = sigma + self.constants.get("reg_covar", 1e-3) * np.eye(m)
        return sigma

    def run(self, iterations: int, seed: int = 5) -> dict[str, FloatArray]:
        """Parameters by iteration, the start included."""
        states = [self.start(seed)]
        for _ in range(iterations):
            states.append(self.step(states[-1]))
        return {name: np.stack([state[name] for state in states]) for name in states[0]}
