"""Candidates for the parameters that an E-step takes: they get `Past` and give `Parameters`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixcompare.auditing.densities import Past
from mixcompare.auditing.parameters import Parameters
from mixcompare.auditing.registry import candidate
from mixcompare.base.arrays import FloatArray


@candidate("parameters", "", "", kind="exact")
def current(given: Past) -> Parameters:
    """Those that the step before has made."""
    return given.now


@candidate(
    "parameters",
    "old weights in the E-step",
    "The E-step takes the class weights of the iteration before, beside the newest coefficients "
    "and (co)variances. Take all of them from the same M-step.",
)
def old_weights(given: Past) -> Parameters | None:
    """Weights one step old."""
    earlier = given.earlier
    return None if earlier is None else replace(given.now, weights=earlier.now.weights)


@candidate(
    "parameters",
    "the start's weights in the E-step",
    "The E-step takes the class weights that the program started from at every iteration, although "
    "the M-step makes new ones. Take the newest.",
)
def first_weights(given: Past) -> Parameters | None:
    """Weights of the start; equal ones are as good as none, which is another candidate."""
    weights = given.iterates[0].weights
    return None if np.ptp(weights) < 1e-9 else replace(given.now, weights=weights)


@candidate(
    "parameters",
    "old coefficients in the E-step",
    "The E-step takes the coefficients of the iteration before, beside the newest class weights "
    "and (co)variances. Take all of them from the same M-step.",
)
def old_coefficients(given: Past) -> Parameters | None:
    """Coefficients one step old."""
    earlier = given.earlier
    return None if earlier is None else replace(given.now, coefficients=earlier.now.coefficients)


@candidate(
    "parameters",
    "old variances in the E-step",
    "The E-step takes the (co)variances of the iteration before, beside the newest class weights "
    "and coefficients. Take all of them from the same M-step.",
)
def old_covariance(given: Past) -> Parameters | None:
    """Covariances one step old."""
    earlier = given.earlier
    return None if earlier is None else replace(given.now, covariance=earlier.now.covariance)


@candidate(
    "parameters",
    "the start's variances in the E-step",
    "The E-step takes the (co)variances that the program started from at every iteration, although "
    "the M-step makes new ones. Take the newest.",
)
def first_covariance(given: Past) -> Parameters:
    """Covariances of the start."""
    return replace(given.now, covariance=given.iterates[0].covariance)


@candidate(
    "parameters",
    "E-step one iteration late",
    "The E-step takes all parameters of the iteration before: the M-step works with "
    "probabilities that are one iteration old. Take the newest parameters.",
)
def all_old(given: Past) -> Parameters | None:
    """Everything one step old."""
    earlier = given.earlier
    return None if earlier is None else earlier.now


_POOLED = "pooled covariance in the E-step"
_POOLED_STATEMENT = (
    "The E-step takes one (co)variance for all classes, an average of the classes' own, although "
    "the model has one for each. Take each class's own, or write covariance_by='shared' if one is "
    "meant, and use it in both steps."
)


def _pooled(given: Past, weights: FloatArray) -> Parameters | None:
    own = given.now.covariance
    if not given.by_component or len(own) < 2:
        return None
    pooled = np.tensordot(weights / weights.sum(), own, axes=1)
    return replace(given.now, covariance=np.broadcast_to(pooled, own.shape))


@candidate("parameters", _POOLED, _POOLED_STATEMENT)
def pooled_by_weight(given: Past) -> Parameters | None:
    """Averaged with the class weights."""
    return _pooled(given, given.now.weights)


@candidate("parameters", _POOLED, _POOLED_STATEMENT)
def pooled_alike(given: Past) -> Parameters | None:
    """The plain average."""
    return _pooled(given, np.ones(len(given.now.weights)))


@candidate(
    "parameters",
    "the last class's covariance in the E-step",
    "The E-step takes the last class's (co)variance for all classes, as a loop's variable that "
    "outlives its loop does. Take each class's own.",
)
def last_covariance(given: Past) -> Parameters | None:
    """One class's covariance for all."""
    own = given.now.covariance
    if not given.by_component or len(own) < 2:
        return None
    return replace(given.now, covariance=np.broadcast_to(own[-1], own.shape))


def _scaled(given: Past, factor: float) -> Parameters | None:
    own = given.now.covariance
    off = own * (1 - np.eye(own.shape[-1]))
    return None if not off.any() else replace(given.now, covariance=own + (factor - 1) * off)


@candidate(
    "parameters",
    "off-diagonals left out in the E-step",
    "The E-step uses the variances alone and takes the outcomes for uncorrelated within a class, "
    "although the model has covariances. Use the whole matrices.",
)
def diagonal(given: Past) -> Parameters | None:
    """Covariances without their off-diagonals."""
    return _scaled(given, 0.0)


@candidate(
    "parameters",
    "off-diagonals halved in the E-step",
    "The E-step uses covariances whose off-diagonal elements are half of what they should be, as "
    "when a triangle is added to its transpose and halved. Use the whole matrices.",
)
def halved(given: Past) -> Parameters | None:
    """Covariances with half their off-diagonals."""
    return _scaled(given, 0.5)
