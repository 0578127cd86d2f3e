"""What is computed of a term's free variables on arrays, many draws at a time.

A term of the model writes a graph: variables with their priors, and a density. Its coordinates
are the same on arrays: transforms to the scale without bounds on which samplers move, prior
densities and draws, where to start, how classes are renumbered, and the way to parameters in
original units and back. `mixcompare.backends.pymc.graph_coordinates` derives all of it from any
term's graph; a term may bring arithmetic of its own, which the tests hold against the graph's.

Free variables are those of the term's part of the PyMC model; points are their values without
bounds. S draws are on a leading axis; C carriers, G units, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.prepared.problem import Problem

type Arrays = Mapping[str, FloatArray]
type Values = dict[str, FloatArray]
# Expressions of PyTensor by name.
type Graphs = Mapping[str, Any]


class Coordinates(Protocol):
    """Arithmetic of one term on the data of one problem."""

    @property
    def term(self) -> Any:
        """What writes the graph."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The free variables, in order, and their shapes."""

    @property
    def free_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of their values without bounds."""

    def inputs(self) -> Values:
        """Everything numeric that the graph reads, by the name of its ``pm.Data``."""

    def unconstrained(self, variables: Arrays) -> Values:
        """Points of free variables, (..., shape) each."""

    def constrained(self, points: Arrays) -> Values:
        """The inverse of `unconstrained`."""

    def pooled(self) -> Values:
        """Free variables, the same for every class, about which chains start."""

    def fitted(self, shares: FloatArray, rng: np.random.Generator) -> Values:
        """Free variables (S, ...) roughly fitted to classes that are known, to climb from.

        Shares (S, C, K) say how often each carrier counts for each class. Terms that cannot fit
        classes give the pooled fit with noise of their own.
        """

    def prior_draws(self, noise: Arrays, rng: np.random.Generator) -> Values:
        """Free variables drawn from the prior.

        Standard normal numbers (n, ...) in their shapes are to be made use of; the generator is
        for what is not normal.
        """

    def log_prior(self, variables: Arrays) -> FloatArray:
        """(S,) log prior densities of the points, with all constants."""

    def log_prior_by_parameter(self, variables: Arrays, parameters: Arrays) -> Values:
        """(S,) log prior densities of the parameters themselves, without any Jacobian.

        Both mappings are the same draws; parameters are in original units.
        """

    def parameters(self, variables: Arrays, n_draws: int) -> Values:
        """Parameters in original units, (S, ...) each."""

    def free_values(self, parameters: Arrays) -> Values:
        """The inverse of `parameters`.

        Raises
        ------
        ValueError
            If these do not have the structure of the specification.
        """

    def renumbered(self, points: Arrays, permutation: IntArray) -> Values:
        """Points (S, ...) whose class k is the class ``permutation[:, k]`` of those given."""


class EmissionCoordinates(Coordinates, Protocol):
    """Arithmetic of a response."""

    @property
    def n_values(self) -> int:
        """How many numbers one draw's densities need on the way."""

    def log_density(self, variables: Arrays) -> FloatArray:
        """(K, S, C) log densities of the carriers' rows given each class."""

    def scores(self, parameters: Arrays, rows: Problem) -> FloatArray:
        """(S, C, K) log densities of a problem's rows at parameters in original units.

        The problem is that of these coordinates or another with the same columns.
        """
