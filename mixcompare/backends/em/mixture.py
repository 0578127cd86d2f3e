"""A mixture as EM sees it: a model of the classes, and an emission for each response.

This is the general road: E-steps and M-steps for any emissions and class model, in NumPy.
`mixcompare.backends.em.kernels` has a compiled one for some models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mixcompare.backends.em.classes.static import StaticClasses
from mixcompare.backends.em.classes.units import Units
from mixcompare.backends.em.emissions.emission import Derivatives, Emission, Spurious
from mixcompare.backends.em.expected import Expected, Posterior
from mixcompare.backends.em.theta import Blocks, Theta, block_tag
from mixcompare.backends.em.together import Index
from mixcompare.base.arrays import FloatArray, IntArray


class DegenerateComponentError(Exception):
    """A component has emptied or its covariance has collapsed."""


class Maximised(NamedTuple):
    """What an M-step finds for S starts.

    `reasons` say why a start is degenerate, whose parameters are meaningless, and are empty if it
    is not; the E-step of these parameters may use what was found on the way, `at_hand`.
    """

    theta: Theta
    reasons: list[str]
    at_hand: Any = None


@dataclass(frozen=True, eq=False)
class Mixture:
    """Classes and what is observed of them.

    Given the class, responses are independent of one another.
    """

    classes: StaticClasses
    emissions: tuple[Emission, ...]

    @property
    def n_components(self) -> int:
        """Number of classes, K."""
        return self.classes.n_components

    @property
    def units(self) -> Units:
        """How often units count."""
        return self.classes.units

    @cached_property
    def rows(self) -> FloatArray:
        """(C,) rows of each carrier in all responses."""
        first, *others = (emission.rows for emission in self.emissions)
        return np.asarray(sum(others, first))

    @cached_property
    def n_carriers(self) -> int:
        """Number of carriers of a class, C."""
        return len(self.rows)

    @cached_property
    def n_values(self) -> float:
        """Number of values that are observed, which a log-likelihood is proportional to."""
        return float(sum(e.rows.sum() * e.n_outcomes for e in self.emissions))

    @property
    def size(self) -> int:
        """How many values a pass over the data goes through."""
        return sum(emission.size for emission in self.emissions)

    @property
    def has_prior(self) -> bool:
        """Whether the priors enter, for a mode of the posterior."""
        return self.classes.has_prior

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all blocks by name."""
        return {
            name: (self.classes if i is None else self.emissions[i]).shapes[inside]
            for name, (i, inside) in self.owners.items()
        }

    @property
    def owners(self) -> dict[str, tuple[int | None, str]]:
        """By name of a block in `Theta.blocks`: number of its response, and its name there.

        The class model's have no number.
        """
        owners: dict[str, tuple[int | None, str]] = {
            name: (None, name) for name in self.classes.shapes
        }
        for i, emission in enumerate(self.emissions):
            tag = block_tag(i, len(self.emissions))
            owners |= {f"{name}{tag}": (i, name) for name in emission.shapes}
        return owners

    def with_components(self, number: int) -> Self:
        """The same with another number of classes, for maximum likelihood."""
        return replace(
            self,
            classes=self.classes.with_components(number),
            emissions=tuple(emission.with_components(number) for emission in self.emissions),
        )

    def of(self, starts: Index) -> Self:
        """The model of some of the starts that run together."""
        units = self.units.of(starts)
        return self if units is self.units else self._with_units(units)

    def weighing(self, weights: FloatArray) -> Self:
        """The same with other unit weights, (G,) or (S, G)."""
        return self._with_units(Units(self.units.number, weights))

    def _with_units(self, units: Units) -> Self:
        return replace(self, classes=self.classes.with_units(units))

    def theta(self, blocks: Blocks) -> Theta:
        """Parameters from blocks by name, see `Theta.blocks`."""
        classes: dict[str, FloatArray] = {}
        responses: list[dict[str, FloatArray]] = [{} for _ in self.emissions]
        for name, (i, inside) in self.owners.items():
            if name in blocks:
                (classes if i is None else responses[i])[inside] = blocks[name]
        return Theta(classes, tuple(responses))

    def log_density(self, theta: Theta) -> FloatArray:
        """(..., C, K) log-densities of the carriers given each class, in raw units."""
        first, *others = (e.log_density(at) for e, at in self._pairs(theta))
        return sum(others, first)

    def posterior(self, theta: Theta) -> Posterior:
        """What an E-step finds for each carrier."""
        return self.classes.expect(self.log_density(theta), theta.classes)

    def expect(self, theta: Theta, at_hand: Any = None) -> Expected:  # noqa: ARG002
        """E-step, with what the M-step that found these parameters has at hand."""
        return Expected(self, theta, self.posterior(theta))

    def occupancy(self, theta: Theta) -> FloatArray:
        """(..., C, K) posterior class probabilities alone, as the E-step finds them."""
        return self.posterior(theta).occupancy

    def given(self, occupancy: FloatArray) -> Expected:
        """Class probabilities (S, C, K) that starts begin from."""
        nothing = np.empty((len(occupancy), 0))
        return Expected(
            self, Theta({"weights": nothing}, ()), Posterior(occupancy, nothing, nothing)
        )

    def m_step(self, expected: Expected, previous: Theta | None = None) -> Maximised:
        """M-step of S starts together, from the previous iterates if there are any."""
        before = (None,) * len(self.emissions) if previous is None else previous.responses
        pairs = zip(self.emissions, before, strict=True)
        responses, reasons = zip(*(e.m_step(expected, at) for e, at in pairs), strict=True)
        first = [next(filter(None, each), "") for each in zip(*reasons, strict=True)]
        return Maximised(self._with_classes(expected, responses, previous), first)

    def _with_classes(
        self, expected: Expected, responses: tuple[Blocks, ...], previous: Theta | None
    ) -> Theta:
        before = None if previous is None else previous.classes
        return Theta(self.classes.m_step(expected, before), responses)

    def derivatives(self, theta: Theta) -> list[Derivatives]:
        """Of each emission, at one set of parameters."""
        return [emission.derivatives(at) for emission, at in self._pairs(theta)]

    def log_prior(self, theta: Theta) -> FloatArray:
        """(...,) log-density of the prior in raw units; zero for maximum likelihood."""
        if not self.has_prior:
            return np.zeros(theta.weights.shape[:-1])
        first, *others = (e.log_prior(at) for e, at in self._pairs(theta))
        total = sum(others, first)
        for term in self.classes.log_prior(theta.classes):
            total = total + term
        return np.asarray(total)

    def unbounded(self, theta: Theta) -> FloatArray:
        """(S, n) vectors in which a step of any length leads to valid parameters."""
        parts = [e.unbounded(at) for e, at in self._pairs(theta)]
        return np.concatenate([self.classes.unbounded(theta.classes), *parts], axis=1)

    def bounded(self, vectors: FloatArray, like: Theta) -> Theta:
        """The inverse of `unbounded`, for parameters of the shape of `like`."""
        one = like[:1]
        lengths = [self.classes.unbounded(one.classes).shape[1]]
        lengths += [e.unbounded(at).shape[1] for e, at in self._pairs(one)]
        classes, *parts = np.split(vectors, np.cumsum(lengths)[:-1], axis=1)
        responses = [
            e.bounded(part, at) for (e, at), part in zip(self._pairs(like), parts, strict=True)
        ]
        return Theta(self.classes.bounded(classes, like.classes), tuple(responses))

    def is_regular(self, theta: Theta) -> NDArray[np.bool_]:
        """(S,) whether rounding can tell the densities from degenerate ones."""
        return np.asarray(np.all([e.is_regular(at) for e, at in self._pairs(theta)], axis=0))

    def why_irregular(self, theta: Theta) -> str:
        """Why one set of parameters cannot be used; empty if it can."""
        return next(filter(None, (e.why_irregular(at) for e, at in self._pairs(theta))), "")

    def rounding(self, theta: Theta) -> FloatArray:
        """(S,) error of a log-likelihood by rounding, relative to the number of values."""
        return np.asarray(np.max([e.rounding(at) for e, at in self._pairs(theta)], axis=0))

    def permute(self, theta: Theta, permutation: IntArray) -> Theta:
        """The same mixtures with their classes renumbered."""
        responses = tuple(e.permute(at, permutation) for e, at in self._pairs(theta))
        return Theta(self.classes.permute(theta.classes, permutation), responses)

    def to_raw(self, theta: Theta) -> Theta:
        """Parameters in the data's own units."""
        responses = tuple(e.to_raw(at) for e, at in self._pairs(theta))
        return Theta(self.classes.to_raw(theta.classes), responses)

    def from_raw(self, theta: Theta) -> Theta:
        """Parameters in standardised units."""
        responses = tuple(e.from_raw(at) for e, at in self._pairs(theta))
        return Theta(self.classes.from_raw(theta.classes), responses)

    def features(self) -> FloatArray:
        """(C, f) numbers by which carriers of different classes differ."""
        parts = [emission.features() for emission in self.emissions]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def spurious(self, expected: Expected) -> Spurious | None:
        """The narrowest class of a fit that makes it spurious; None if there is none.

        A posterior's mode is never spurious, for its priors keep classes from collapsing.
        """
        if self.n_components == 1 or self.has_prior:
            return None
        each = (e.spurious(at, expected, self.classes) for e, at in self._pairs(expected.at))
        return min(filter(None, each), key=lambda one: one.ratio, default=None)

    def coincide(self, theta: Theta) -> bool:
        """Whether two classes are the same but for their weights."""
        pairs = [(k, other) for k in range(self.n_components) for other in range(k)]
        return any(
            all(e.coincide(at, k, other) for e, at in self._pairs(theta)) for k, other in pairs
        )

    def _pairs(self, theta: Theta) -> Iterator[tuple[Emission, Blocks]]:
        return zip(self.emissions, theta.responses, strict=True)


def maximise(
    model: Mixture, expected: FloatArray | Expected, previous: Theta | None = None
) -> Theta:
    """The M-step of one start, from its class probabilities (C, K) or an E-step.

    DegenerateComponentError if a component has too little data for its parameters or its covariance
    is singular up to rounding: the likelihood is unbounded in that direction.
    """
    before = None if previous is None else previous[None]
    start = expected[None] if isinstance(expected, Expected) else model.given(expected[None])
    theta, [reason], _ = model.m_step(start, before)
    if reason:
        raise DegenerateComponentError(reason)
    return theta[0]
