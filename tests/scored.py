"""One set of parameters scored by a backend, as most tests have it."""

from __future__ import annotations

import numpy as np

from mixcompare.backends import get_backend
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem


def blocks(
    weights: FloatArray,
    coefficients: FloatArray,
    covariance: FloatArray,
    membership_coefficients: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """One set of parameters as scorers take it, (1, ...) each."""
    named = {"weights": weights, "coefficients": coefficients, "covariance": covariance}
    if membership_coefficients is not None:
        named["membership_coefficients"] = membership_coefficients
    return {name: values[None] for name, values in named.items()}


def unit_log_likelihood(
    backend: str, spec: MixtureSpec, panel: Panel, *parameters: FloatArray | None
) -> FloatArray:
    """(G,) log-likelihoods of the units times their weights.

    Parameters
    ----------
    parameters
        As in `blocks`.
    """
    at = blocks(*parameters)  # type: ignore[arg-type]  # only the last may be None
    scorer = get_backend(backend).scorer(Problem.of(spec, panel))
    return np.asarray(scorer.unit_log_likelihood(at)[0])
