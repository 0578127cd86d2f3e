"""What EM needs of the classes' own model, whatever the outcomes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.classes.separation import Separation
from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.prepared import Prepared


class Posterior(NamedTuple):
    """What an E-step finds for each carrier of a class; all may have axes in front.

    Class probabilities (C, K) given the outcomes, log-likelihoods (G,) of units, and jointly (C, K)
    logarithms of class probability times density given the class.
    """

    occupancy: FloatArray
    unit_log_likelihood: FloatArray
    joint: FloatArray


class Allocation(Protocol):
    """To which classes carriers belong, for S starts: what M-steps start from."""

    @property
    def units(self) -> Units:
        """How often units count."""

    @property
    def counts(self) -> FloatArray:
        """(S, C, K) class probabilities times the units' weights."""

    @property
    def by_class(self) -> FloatArray:
        """(S, K) their sums over the carriers."""

    def __getitem__(self, index: IntArray | NDArray[np.bool_]) -> Allocation:
        """Those of some of the starts."""


class ClassModel(Protocol):
    """Probabilities of K classes; its parameters are blocks, with ``weights`` (K,) among them.

    Blocks may have the same axes in front. Free parameters are a vector without bounds.
    """

    n_components: int
    units: Units

    def with_units(self, units: Units) -> ClassModel:
        """The same with other unit weights."""

    def with_components(self, number: int) -> ClassModel:
        """The same with another number of classes."""

    def on_other_units(self, prepared: Prepared) -> ClassModel:
        """The same for units that were not fitted, in these coordinates."""

    @property
    def has_prior(self) -> bool:
        """Whether the model's priors enter, for a mode of the posterior."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the blocks."""

    def even(self) -> Blocks:
        """Parameters under which all classes are equally probable."""

    def log_probabilities(self, theta: Blocks) -> FloatArray:
        """(..., C, K) or (..., 1, K) log-probabilities before outcomes are seen."""

    def expect(self, log_density: FloatArray, theta: Blocks) -> Posterior:
        """E-step from log-densities (..., C, K) of the carriers' outcomes given each class."""

    def m_step(self, expected: Allocation, previous: Blocks | None) -> Blocks:
        """Maximise the expected log-probability of the classes, for S starts."""

    def log_prior(self, theta: Blocks) -> tuple[FloatArray | float, ...]:
        """Terms (...,) of the prior's log-density in raw units, to be added in their order."""

    def unbounded(self, theta: Blocks) -> FloatArray:
        """(S, n) vectors in which a step of any length leads to valid parameters."""

    def bounded(self, vectors: FloatArray, like: Blocks) -> Blocks:
        """The inverse of `unbounded`, for parameters of the shape of `like`."""

    def permute(self, theta: Blocks, permutation: IntArray) -> Blocks:
        """The same model with its classes renumbered."""

    def to_raw(self, theta: Blocks) -> Blocks:
        """Parameters in the data's own units."""

    def from_raw(self, theta: Blocks) -> Blocks:
        """Parameters in standardised units."""

    def check_initial(self, theta: Blocks) -> Blocks:
        """A user's parameters, in raw units, made exact; OptionError if they are not valid."""

    @property
    def design(self) -> FloatArray:
        """(C, c) covariates of the log-odds of all classes but the first."""

    def moved(self, theta: Blocks, step: FloatArray) -> Blocks:
        """Parameters a step of the free ones, (K - 1) c log-odds, away."""

    def prior_curvature(self, theta: Blocks) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-prior by the free parameters and minus its Hessian."""

    def separation(
        self, theta: Blocks, occupancy: FloatArray, climb: Callable[[Blocks], float]
    ) -> Separation | None:
        """Whether free parameters run off to infinity at the end of EM; None if they do not.

        Occupancy (C, K) is that there, and to climb is to find the log-likelihood at other
        parameters of the classes, all else the same.
        """

    def derivative(self, theta: Blocks, name: str, position: tuple[int, ...]) -> FloatArray:
        """Of one scalar in raw units by the free parameters."""
