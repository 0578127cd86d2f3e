"""Candidates for the parameters that an E-step takes: they get `Past` and give `Parameters`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

import numpy as np

from mixcompare.auditing.densities import Past
from mixcompare.auditing.parameters import Parameters, are_correlated, scale_off_diagonals
from mixcompare.auditing.registry import candidate
from mixcompare.base.arrays import FloatArray


def _several(past: Past) -> bool:
    """Whether classes have covariances of their own."""
    return past.by_component and len(past.now.covariance) > 1


def _correlated(past: Past) -> bool:
    return are_correlated(past.now.covariance)


@candidate("parameters")
def current(past: Past) -> Parameters:
    """Those that the step before has made."""
    return past.now


@candidate("parameters", "old weights in the E-step", when=attrgetter("earlier"))
def old_weights(past: Past) -> Parameters:
    """Weights one step old.

    The E-step takes the class weights of the iteration before, beside the newest coefficients and
    (co)variances. Take all of them from the same M-step.
    """
    return replace(past.now, weights=past.iterates[-2].weights)


@candidate(
    "parameters",
    "the start's weights in the E-step",
    when=lambda past: np.ptp(past.iterates[0].weights) >= 1e-9,
)
def first_weights(past: Past) -> Parameters:
    """Weights of the start; equal ones are as good as none, which is another candidate.

    The E-step takes the class weights that the program started from at every iteration, although
    the M-step makes new ones. Take the newest.
    """
    return replace(past.now, weights=past.iterates[0].weights)


@candidate("parameters", "old coefficients in the E-step", when=attrgetter("earlier"))
def old_coefficients(past: Past) -> Parameters:
    """Coefficients one step old.

    The E-step takes the coefficients of the iteration before, beside the newest class weights and
    (co)variances. Take all of them from the same M-step.
    """
    return replace(past.now, coefficients=past.iterates[-2].coefficients)


@candidate("parameters", "old variances in the E-step", when=attrgetter("earlier"))
def old_covariance(past: Past) -> Parameters:
    """Covariances one step old.

    The E-step takes the (co)variances of the iteration before, beside the newest class weights and
    coefficients. Take all of them from the same M-step.
    """
    return replace(past.now, covariance=past.iterates[-2].covariance)


@candidate("parameters", "the start's variances in the E-step")
def first_covariance(past: Past) -> Parameters:
    """Covariances of the start.

    The E-step takes the (co)variances that the program started from at every iteration, although
    the M-step makes new ones. Take the newest.
    """
    return replace(past.now, covariance=past.iterates[0].covariance)


@candidate("parameters", "E-step one iteration late", when=attrgetter("earlier"))
def all_old(past: Past) -> Parameters:
    """Everything one step old.

    The E-step takes all parameters of the iteration before: the M-step works with probabilities
    that are one iteration old. Take the newest parameters.
    """
    return past.iterates[-2]


@candidate(
    "parameters",
    "pooled covariance in the E-step",
    variants=(attrgetter("weights"), lambda parameters: np.ones(len(parameters.weights))),
    when=_several,
)
def pooled(shares: Callable[[Parameters], FloatArray], past: Past) -> Parameters:
    """Averaged with the class weights, or the plain average.

    The E-step takes one (co)variance for all classes, an average of the classes' own, although the
    model has one for each. Take each class's own, or write covariance_by='shared' if one is meant,
    and use it in both steps.
    """
    by_class, weights = past.now.covariance, shares(past.now)
    mean = np.tensordot(weights / weights.sum(), by_class, axes=1)
    return replace(past.now, covariance=np.broadcast_to(mean, by_class.shape))


@candidate("parameters", "the last class's covariance in the E-step", when=_several)
def last_covariance(past: Past) -> Parameters:
    """One class's covariance for all.

    The E-step takes the last class's (co)variance for all classes, as a loop's variable that
    outlives its loop does. Take each class's own.
    """
    by_class = past.now.covariance
    return replace(past.now, covariance=np.broadcast_to(by_class[-1], by_class.shape))


@candidate("parameters", "off-diagonals left out in the E-step", when=_correlated)
def diagonal(past: Past) -> Parameters:
    """Covariances without their off-diagonals.

    The E-step uses the variances alone and takes the outcomes for uncorrelated within a class,
    although the model has covariances. Use the whole matrices.
    """
    return replace(past.now, covariance=scale_off_diagonals(past.now.covariance, 0.0))


@candidate("parameters", "off-diagonals halved in the E-step", when=_correlated)
def halved(past: Past) -> Parameters:
    """Covariances with half their off-diagonals.

    The E-step uses covariances whose off-diagonal elements are half of what they should be, as when
    a triangle is added to its transpose and halved. Use the whole matrices.
    """
    return replace(past.now, covariance=scale_off_diagonals(past.now.covariance, 0.5))
