"""What a family of outcomes needs in PyMC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from mixcompare.backends.pymc.coordinates import Arrays, EmissionCoordinates, Graphs
from mixcompare.backends.pymc.graph_coordinates import graph_coordinates
from mixcompare.prepared.problem import Problem


class EmissionTerm(ABC):
    """One response's part of the model's graph.

    A term is a frozen dataclass of what shapes the graph, such as numbers of classes and
    covariates; all else is data to it, so that models with equal terms are compiled once.
    """

    @classmethod
    @abstractmethod
    def of(cls, problem: Problem, response: int) -> Self:
        """The term of a problem's response, counted from 0."""

    @abstractmethod
    def inputs(self, problem: Problem, response: int) -> Arrays:
        """Everything numeric that the graph reads: data, and the priors' numbers."""

    @abstractmethod
    def variables(self, data: Graphs, dims: Mapping[str, Any]) -> Graphs:
        """Create the variables, with their priors, within the model.

        Parameters
        ----------
        data
            Each input as a ``pm.Data``.
        dims
            Names of dimensions by parameter array, such as ``dims["coefficients"]``. A variable
            with the dimension ``"component"`` belongs to the classes.

        Returns
        -------
        Whatever `log_density` reads. Of the model's variables and deterministics, those that
        are named like the family's parameters are reported.
        """

    @abstractmethod
    def log_density(self, variables: Graphs, data: Graphs) -> Any:
        """(C, K) log densities of the carriers' rows given each class, with all constants."""

    @property
    def open_lengths(self) -> Mapping[str, int] | None:
        """In how many leading dimensions inputs of equal terms differ in length; None: in all."""
        return None

    def coordinates(self, problem: Problem, response: int) -> EmissionCoordinates:
        """The term's arithmetic on arrays: the graph's, unless a family brings its own."""
        return graph_coordinates(self, problem, response)
