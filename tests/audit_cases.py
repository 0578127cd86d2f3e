"""Foreign EM programs for the audit's tests; they share no code with the audit."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

import mixcompare as mc
from mixcompare.auditing import State
from tests.em_cases import Case
from tests.places import STUDIES

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]
type Arrays = dict[str, Any]

STUDY = STUDIES / "nonconvergence" / "program.py"
SPEC = mc.MixtureSpec(
    "streams ~ ads + playlists + price - 1",
    unit="artist",
    absorb="artist:country",
    n_components=3,
    covariance_by="shared",
)


def load_program() -> ModuleType:
    """The study's program, which lies outside the package."""
    name = "nonconvergence_program"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, STUDY)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def textbook(
    case: Case,
    *,
    expectation: Callable[[FloatArray, FloatArray], FloatArray] | None = None,
    weights: Callable[[FloatArray, IntArray], FloatArray] | None = None,
    rows_weight: Callable[[FloatArray], FloatArray] = lambda tau: tau,
    divisor: Callable[[FloatArray, int, int], Any] = lambda mass, n, p: mass,
    deviation: Callable[[FloatArray], FloatArray] = np.sqrt,
) -> Callable[[State], Arrays]:
    """EM for one outcome and a variance per class, in the simplest NumPy.

    Parameters
    ----------
    expectation
        From log-densities (G, K) and weights to responsibilities.
    weights
        From responsibilities (G, K) and rows by unit to class weights.
    rows_weight
        From responsibilities to regression weights.
    divisor
        From the classes' rows, all rows and the number of covariates to the divisor.
    deviation
        From variances to what the density takes as standard deviation.
    """
    x, y, unit = case.panel.covariates, case.panel.outcomes[:, 0], case.panel.unit
    counts = np.bincount(unit)

    def step(state: State) -> Arrays:
        sd = deviation(state.covariance[:, 0, 0])
        rest = y[:, None] - x @ state.coefficients[:, :, 0].T
        density = -0.5 * (rest / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        by_unit = np.stack([np.bincount(unit, column) for column in density.T], axis=1)
        if expectation is None:
            tau = softmax(by_unit + np.log(state.weights), axis=1)
        else:
            tau = expectation(by_unit, state.weights)
        by_row = rows_weight(tau)[unit]
        roots = np.sqrt(by_row.T)
        b = np.stack([np.linalg.lstsq(x * r[:, None], y * r, rcond=None)[0] for r in roots])
        squares = (by_row * (y[:, None] - x @ b.T) ** 2).sum(axis=0)
        mass = by_row.sum(axis=0)
        return {
            "weights": tau.mean(axis=0) if weights is None else weights(tau, counts),
            "coefficients": b,
            "covariance": squares / divisor(mass, *x.shape),
        }

    return step


def hard(density: FloatArray, weights: FloatArray) -> FloatArray:
    """Classification EM's E-step."""
    joint = density + np.log(weights)
    return np.eye(joint.shape[1])[joint.argmax(axis=1)]


def flat(density: FloatArray, weights: FloatArray) -> FloatArray:
    """E-step without the class weights."""
    return np.exp(density - logsumexp(density, axis=1, keepdims=True))
