"""What EM needs of a family: the densities of its outcomes given a class, and their M-step.

A family has to say little: densities, M-step, scores and features. What else EM asks for has a
default here, by differences of the scores where it is a derivative, that a family with a closed
form overrides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.expected import Expected
from mixcompare.backends.em.theta import Blocks
from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.model.responses import Response
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.resolved_priors import ResolvedPriors

_EPS = float(np.finfo(float).eps)
# Steps of central differences, first and second, relative to a parameter's size (Press et al.
# 2007, section 5.7).
_FIRST, _SECOND = _EPS ** (1 / 3), _EPS**0.25
# Classes whose free parameters agree to this are as good as the same.
_SAME = 0.05


@dataclass(frozen=True, slots=True)
class Spurious:
    """A class that makes a maximum spurious.

    `component` is its place among the classes, from 0, `rows` the degrees of freedom that it has,
    `ratio` how narrow it is relative to the others, and `words` what makes it so, after its name.
    """

    component: int
    rows: float
    ratio: float
    words: str

    def sentence(self, name: str) -> str:
        """What makes it so; the class is called by the name."""
        return f"{name} {self.words}"


class Emission(ABC):
    """One response's densities given each of K classes; parameters are blocks.

    Arrays of parameters have the class axis first, after axes of starts. The free parameters
    are a vector (n,) without bounds, of which `places` says which are each class's.
    """

    n_components: int
    n_outcomes: int = 1

    @classmethod
    @abstractmethod
    def of(
        cls,
        response: Response,
        n_components: int,
        prepared: Prepared,
        priors: ResolvedPriors | None,
    ) -> Emission:
        """The emission of a response on what was prepared of it.

        Parameters
        ----------
        prepared
            Merged rows (`mixcompare.prepared.rows.Rows`), unless the family has a preparation
            of its own.
        priors
            For a mode of the posterior; None for maximum likelihood.
        """

    @property
    @abstractmethod
    def rows(self) -> FloatArray:
        """(C,) rows, or degrees of freedom, of each carrier."""

    @property
    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the blocks, class axis in front."""

    @abstractmethod
    def with_components(self, number: int) -> Emission:
        """The same with another number of classes, without a prior."""

    @abstractmethod
    def on_other_rows(self, prepared: Prepared) -> Emission:
        """The same for rows that were not fitted, in these coordinates."""

    @abstractmethod
    def log_density(self, theta: Blocks) -> FloatArray:
        """(..., C, K) log-densities of the carriers' outcomes given each class, in raw units."""

    @abstractmethod
    def m_step(self, expected: Expected, previous: Blocks | None) -> tuple[Blocks, list[str]]:
        """Maximise the expected log-density, and log-prior if there is one, for S starts.

        Returns
        -------
        theta
            Meaningless for those starts that are degenerate.
        reasons
            Why a start is degenerate; empty if it is not.
        """

    @abstractmethod
    def features(self) -> FloatArray:
        """(C, f) numbers by which carriers of different classes differ, for starts by k-means.

        A new array, which is overwritten.
        """

    @abstractmethod
    def scores(self, theta: Blocks) -> FloatArray:
        """(C, K, d) derivatives of the log-densities by each class's free parameters.

        In the order of `places`.
        """

    # What follows has defaults.

    @property
    def size(self) -> int:
        """How many values a pass over the data goes through."""
        return len(self.rows)

    @property
    def chunk_values(self) -> int:
        """Numbers by carrier that derivatives hold beside the scores."""
        return 0

    def unbounded(self, theta: Blocks) -> FloatArray:
        """(S, n) vectors in which a step of any length leads to valid parameters.

        By default the parameters themselves, class by class.
        """
        k, sizes = self.n_components, self._sizes
        parts = [theta[name].reshape(-1, k, size) for name, size in sizes.items()]
        return np.concatenate(parts, axis=2).reshape(-1, k * sum(sizes.values()))

    def bounded(self, vectors: FloatArray, like: Blocks) -> Blocks:
        """The inverse of `unbounded`, for parameters of the shape of `like`."""
        sizes = list(self._sizes.values())
        by_class = vectors.reshape(-1, self.n_components, sum(sizes))
        parts = np.split(by_class, np.cumsum(sizes)[:-1], axis=2)
        return {
            name: part.reshape(-1, *like[name].shape[1:])
            for name, part in zip(self.shapes, parts, strict=True)
        }

    @property
    def _sizes(self) -> dict[str, int]:
        """Numbers of each block in one class."""
        return {name: int(np.prod(shape[1:])) for name, shape in self.shapes.items()}

    @cached_property
    def places(self) -> IntArray:
        """(K, d) where each class's free parameters stand among all n of them."""
        size = sum(int(np.prod(shape)) for shape in self.shapes.values())
        return np.arange(size).reshape(self.n_components, -1)

    @property
    def n_free(self) -> int:
        """Number of free parameters, n."""
        return int(self.places.max(initial=-1)) + 1

    def permute(self, theta: Blocks, permutation: IntArray) -> Blocks:
        """The same densities with classes renumbered."""
        axes = {name: len(shape) for name, shape in self.shapes.items()}
        return {
            name: np.take(block, permutation, axis=block.ndim - axes[name])
            for name, block in theta.items()
        }

    def to_raw(self, theta: Blocks) -> Blocks:
        """Parameters in the data's own units."""
        return theta

    def from_raw(self, theta: Blocks) -> Blocks:
        """Parameters in standardised units."""
        return theta

    def log_prior(self, theta: Blocks) -> FloatArray:
        """(...,) log-density of the prior of the parameters in raw units; zero without one."""
        name, shape = next(iter(self.shapes.items()))
        return np.zeros(theta[name].shape[: theta[name].ndim - len(shape)])

    def is_regular(self, theta: Blocks) -> NDArray[np.bool_]:
        """(S,) whether rounding can tell the densities from degenerate ones."""
        return np.isfinite(self.unbounded(theta)).all(axis=1)

    def rounding(self, theta: Blocks) -> FloatArray:
        """(S,) error of a log-likelihood by rounding, relative to the number of values."""
        return np.zeros(len(next(iter(theta.values()))))

    def check_initial(self, theta: Blocks) -> Blocks:
        """A user's parameters in raw units; OptionError if they are not valid."""
        return theta

    def why_irregular(self, theta: Blocks) -> str:
        """Why one set of parameters in standardised units cannot be used; empty if it can."""
        finite = all(np.isfinite(block).all() for block in theta.values())
        return "" if finite else "a parameter is not finite"

    def proposal(self, kind: str, rng: np.random.Generator) -> Blocks | None:  # noqa: ARG002
        """Parameters to start from of a kind that the family knows; None if it does not."""
        return None

    def spurious(
        self,
        theta: Blocks,  # noqa: ARG002
        expected: Expected,  # noqa: ARG002
        classes: StaticClasses,  # noqa: ARG002
    ) -> Spurious | None:
        """The class that makes a maximum spurious, if one does."""
        return None

    def advice(self, message: str) -> str:  # noqa: ARG002
        """What to do where every start is degenerate."""
        return "Ask for fewer components, or for the mode of the posterior (estimator='map')."

    def coincide(self, theta: Blocks, k: int, other: int) -> bool:
        """Whether two classes have as good as the same densities."""
        vector = self.vector(theta)
        return bool((np.abs(vector[self.places[k]] - vector[self.places[other]]) <= _SAME).all())

    def moved(self, theta: Blocks, step: FloatArray) -> Blocks:
        """Parameters a step (n,) of the free ones away."""
        return self.at_vector(self.vector(theta) + step, theta)

    def derivatives(self, theta: Blocks) -> Derivatives:
        """Derivatives at one set of parameters."""
        return Derivatives(self, theta)

    def vector(self, theta: Blocks) -> FloatArray:
        """(n,) `unbounded` of one set of parameters."""
        return np.asarray(self.unbounded({name: block[None] for name, block in theta.items()})[0])

    def at_vector(self, vector: FloatArray, like: Blocks) -> Blocks:
        """`bounded` of one vector (n,)."""
        several = self.bounded(vector[None], {name: block[None] for name, block in like.items()})
        return {name: block[0] for name, block in several.items()}


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives of the log-densities at one set of parameters.

    Of any emission, by central differences of its scores and prior; one with closed forms
    overrides these methods.
    """

    emission: Emission
    theta: Blocks

    @cached_property
    def _scores(self) -> FloatArray:
        return self.emission.scores(self.theta)

    @cached_property
    def _vector(self) -> FloatArray:
        return self.emission.vector(self.theta)

    def _at(self, vector: FloatArray) -> Blocks:
        return self.emission.at_vector(vector, self.theta)

    def of_class(
        self, k: int, carriers: IntArray, counts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Of carriers (U,) in class k, as often as they count (U,).

        Scores (U, d) are derivatives of their log-densities by the class's free parameters; sums
        are what the information needs of them, and can be added to those of others: here (C,) how
        often each carrier counts.
        """
        return self._scores[carriers, k], np.bincount(carriers, counts, len(self._scores))

    def add_information(self, sums: FloatArray, information: FloatArray) -> None:
        """Add the expected complete-data information (n, n), from the sums (K, ...) by class."""
        counts = np.ascontiguousarray(sums.T)

        def total(vector: FloatArray) -> FloatArray:
            scores = self.emission.scores(self._at(vector))
            result = np.zeros(self.emission.n_free)
            np.add.at(result, self.emission.places, np.einsum("ck,ckd->kd", counts, scores))
            return result

        slopes = differences(total, self._vector)
        information -= 0.5 * (slopes + slopes.T)

    def add_prior(self, gradient: FloatArray, curvature: FloatArray) -> None:
        """Add the gradient (n,) of the log-prior and minus its Hessian (n, n)."""

        def density(vector: FloatArray) -> FloatArray:
            return np.asarray(self.emission.log_prior(self._at(vector)))

        gradient += differences(density, self._vector)
        curvature -= second_differences(density, self._vector)

    def jacobian(self, reported: Sequence[tuple[str, tuple[int, ...]]]) -> FloatArray:
        """(P, n) derivatives of scalars in raw units, by block and place."""

        def values(vector: FloatArray) -> FloatArray:
            raw = self.emission.to_raw(self._at(vector))
            return np.array([raw[name][position] for name, position in reported])

        return differences(values, self._vector).reshape(len(reported), self.emission.n_free)


def differences(function: Callable[[FloatArray], FloatArray], at: FloatArray) -> FloatArray:
    """(..., n) central differences of a function (...) of a vector (n,)."""
    steps = _FIRST * np.maximum(np.abs(at), 1.0)
    columns = [
        (function(at + move) - function(at - move)) / (2 * step)
        for step, move in zip(steps, np.diag(steps), strict=True)
    ]
    return np.stack(columns, axis=-1)


def second_differences(function: Callable[[FloatArray], FloatArray], at: FloatArray) -> FloatArray:
    """(n, n) second central differences of a scalar function of a vector (n,)."""
    moves = np.diag(_SECOND * np.maximum(np.abs(at), 1.0))
    result = np.empty((len(at), len(at)))
    for i, one in enumerate(moves):
        for j, other in enumerate(moves[: i + 1]):
            along = function(at + one + other) + function(at - one - other)
            across = function(at + one - other) + function(at - one + other)
            result[i, j] = result[j, i] = (along - across) / (4 * one[i] * other[j])
    return result
