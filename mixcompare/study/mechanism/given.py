"""The truth as a study file states it, in the shapes of the mechanism's design."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import DataError
from mixcompare.data.panel import Panel
from mixcompare.study.file.simulate_table import SimulateTable
from mixcompare.study.mechanism.truth import Truth, class_probabilities


def stated_truth(table: SimulateTable, panel: Panel) -> Truth:
    """The parameters that ``[simulate]`` states, its separation applied.

    Parameters
    ----------
    panel
        The mechanism's design.

    Raises
    ------
    DataError
        If a part is missing or does not suit the design.
    """
    membership = _membership(table, panel)
    weights = np.asarray(table.weights or [], dtype=np.float64)
    if membership is not None:
        assert panel.concomitants is not None
        weights = class_probabilities(membership, panel.concomitants).mean(axis=0)
    k, p, m = len(weights), len(panel.covariate_names), len(panel.outcome_names)
    unknown = [name for name in table.coefficients if name not in panel.covariate_names]
    absent = [name for name in panel.covariate_names if name not in table.coefficients]
    if unknown or absent:
        raise DataError(
            f"[simulate.coefficients] must have {', '.join(panel.covariate_names)}, the columns of "
            f"the mechanism's design; it has {', '.join(table.coefficients) or 'none'}."
        )
    coefficients = np.empty((k, p, m))
    for i, name in enumerate(panel.covariate_names):
        coefficients[:, i] = _shaped(f"coefficients {name!r}", table.coefficients[name], (k, m))
    centre = np.einsum("k,kpm->pm", weights, coefficients)
    coefficients = centre + table.separation * (coefficients - centre)
    covariance = _covariance(table.covariance, k, m)
    return Truth(
        weights,
        coefficients,
        covariance,
        panel.covariate_names,
        panel.outcome_names,
        membership,
        panel.concomitant_names,
    )


def _membership(table: SimulateTable, panel: Panel) -> FloatArray | None:
    """(K, c) log-odds against the first class."""
    if not table.membership:
        return None
    names, stated = panel.concomitant_names, table.membership
    if set(stated) != set(names):
        raise DataError(
            f"[simulate.membership] must have {', '.join(names) or 'nothing'}, the columns of the "
            f"design of [model] membership; it has {', '.join(stated)}."
        )
    if len({len(values) for values in stated.values()}) > 1:
        raise DataError("[simulate.membership] must have a value per class in every row.")
    odds = np.array([stated[name] for name in names], dtype=np.float64).T
    return odds - odds[:1]


def _shaped(what: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    array = _array(what, values)
    if shape[-1] == 1 and array.shape == shape[:-1]:
        array = array[..., None]
    if array.shape != shape:
        raise DataError(
            f"[simulate] {what} must have shape {shape} (classes, outcomes), not {array.shape}."
        )
    return array


def _covariance(given: Any, k: int, m: int) -> FloatArray:
    values = _array("covariance", given)
    allowed: dict[tuple[int, ...], Callable[[], FloatArray]] = {
        (): lambda: np.broadcast_to(np.eye(m) * values, (k, m, m)),
        (k,): lambda: values[:, None, None] * np.eye(m),
        (m, m): lambda: np.broadcast_to(values, (k, m, m)),
        (k, m, m): lambda: values,
    }
    if values.shape not in allowed:
        raise DataError(
            f"[simulate] covariance must be a variance, {k} variances, a {m} x {m} matrix or {k} "
            f"of them, not an array of shape {values.shape}."
        )
    matrices = np.array(allowed[values.shape]())
    if not np.array_equal(matrices, matrices.transpose(0, 2, 1)):
        raise DataError(f"[simulate] covariance must be symmetric, not {given!r}.")
    if not np.all(np.linalg.eigvalsh(matrices) > 0):
        raise DataError(f"[simulate] covariance must be positive definite, not {given!r}.")
    return matrices


def _array(what: str, values: Any) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:  # lists of several lengths
        raise DataError(
            f"[simulate] {what} = {values!r} is no array of numbers: {error}."
        ) from error
