"""Densities of rows that were not fitted, by the model's own expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode

from mixcompare.backends.pymc.data import StandardPanel, standardise
from mixcompare.backends.pymc.likelihood import class_log_density as symbolic_class_log_density
from mixcompare.base.arrays import FloatArray
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.compress import PreparedPanel
from mixcompare.prepared.resolved_priors import resolve_priors

# Evaluated a few times on large arrays: NumPy is fast enough and nothing is compiled.
_MODE: Final = Mode(linker="py", optimizer="fast_compile")
# Arrays of so many numbers stay in the cache.
_BATCH_VALUES: Final = 300_000


def class_log_density(
    spec: MixtureSpec,
    training: PreparedPanel,
    new: PreparedPanel,
    coefficients: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """(S, G, K) log-densities of new units' rows given each class, constants in.

    Parameters
    ----------
    spec, training
        What was fitted: the standard coordinates are those of the model.
    new
        Rows with the training panel's columns, G units.
    coefficients, covariance
        (S, K, p, m) and (S, K, m, m) of S draws, in original units.
    """
    panel = standardise(training, resolve_priors(spec, training), spec.covariance)
    rows = _standard_rows(panel, new)
    samples, k, p, m = coefficients.shape
    deviations = panel.deviations(coefficients)
    root = np.linalg.cholesky(panel.standard_covariance(covariance))
    whitener = np.linalg.inv(root).swapaxes(-1, -2)
    half_log_determinant = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    log_determinant = 2 * (half_log_determinant + panel.log_volume)
    batch = max(1, _BATCH_VALUES // (new.factor.shape[0] * new.factor.shape[1] * k * m))
    parts = [
        _function()(
            *rows,
            deviations[i : i + batch].reshape(-1, p, m),
            whitener[i : i + batch].reshape(-1, m, m),
            log_determinant[i : i + batch].ravel(),
        )
        for i in range(0, samples, batch)
    ]
    joined = np.concatenate(parts, axis=1).reshape(new.n_units, samples, k)
    return np.ascontiguousarray(joined.transpose(1, 0, 2))


def _standard_rows(
    panel: StandardPanel, new: PreparedPanel
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Outcomes, covariates and degrees of freedom of new units in a panel's coordinates."""
    x, y = new.covariate_factor, new.outcome_factor
    outcomes = (y - x @ panel.centre) @ np.linalg.inv(panel.scale).T
    return outcomes, x @ panel.directions, new.degrees_of_freedom.astype(float)


@cache
def _function() -> Callable[..., FloatArray]:
    """`symbolic_class_log_density` of arrays."""
    inputs = [
        pt.tensor3("outcomes"),
        pt.tensor3("covariates"),
        pt.vector("degrees_of_freedom"),
        pt.tensor3("deviations"),
        pt.tensor3("whitener"),
        pt.vector("log_determinant"),
    ]
    function: Callable[..., Any] = pytensor.function(
        inputs, symbolic_class_log_density(*inputs), mode=_MODE
    )
    return function
