"""What a backend offers: fits of prepared problems, and scores of parameters on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mixcompare.base.arrays import FloatArray
from mixcompare.fits.result import Result
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem

type Blocks = Mapping[str, FloatArray]
"""S sets of parameters: arrays (S, ...) by the name of their block, in the data's units."""


class Scorer(Protocol):
    """Scores parameters on a problem by its backend's own arithmetic.

    S sets of parameters, C carriers, G units and K classes. With ``new`` other rows are scored
    than those that were fitted: a problem with the same columns, whose carriers and units are
    then meant. All constants are in.
    """

    def log_density(self, parameters: Blocks, new: Problem | None = None) -> FloatArray:
        """(S, C, K) log-densities of the carriers' rows given each class."""

    def unit_log_likelihood(self, parameters: Blocks, new: Problem | None = None) -> FloatArray:
        """(S, G) log-likelihoods of the units times their weights, so that they sum to the total.

        Raises
        ------
        ValueError
            If the parameters do not have the structure of the specification.
        """

    def occupancy(self, parameters: Blocks, new: Problem | None = None) -> FloatArray:
        """(S, C, K) class probabilities of the carriers given all outcomes of their units."""


class Backend(Protocol):
    """What a backend's package offers."""

    Options: type[Any]
    """How it fits; an instance says the `kind` of the fits, see `mixcompare.fits.kinds.Kind`."""

    def supports(self, spec: MixtureSpec, options: Any, /) -> tuple[str, ...]:
        """Why it cannot fit the model with these options, a sentence each; empty if it can."""

    def run(self, problem: Problem, options: Any, seed: np.random.SeedSequence) -> Result:
        """Fit the model."""

    def scorer(self, problem: Problem) -> Scorer:
        """Score parameters on the problem."""
