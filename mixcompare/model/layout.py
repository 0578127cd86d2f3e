"""The layout of a model's parameters: named arrays, and the scalars that tables report.

An array is a `Block`: its dimensions, which of them is the class, what it may hold, how it moves
when classes are renumbered, and which of its places are one number. All that is known of arrays
by name alone is here: whoever flattens, counts, names, renumbers or stores parameters asks the
`Layout`, and so serves every family and class model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Final, Literal, Protocol

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray, permute
from mixcompare.model.covariances import elements
from mixcompare.model.families import Range, family
from mixcompare.model.responses import Response
from mixcompare.model.spec import MixtureSpec

# Dimension of the classes. Plain "component" is a name that `arviz.psense_summary` gives to a
# dimension of its own.
COMPONENT: Final = "mixture_component"

Support = Literal["simplex", "averages", "covariance"] | Range
Order = Literal["renumbered", "rebased"]
type Combination = tuple[tuple[int, float], ...]
"""Places in a list of parameters and factors, whose sum is meant."""
type Arrays = Mapping[Any, Any]
"""Arrays by name: plain ones, xarray's variables, or a dataset."""


class Named(Protocol):
    """A panel, prepared panel or fit: whatever names the columns of a response."""

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of the design columns."""

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """Names of the outcomes."""

    @property
    def common_names(self) -> tuple[str, ...]:
        """Covariates whose coefficients all classes share."""

    @property
    def concomitant_names(self) -> tuple[str, ...]:
        """Unit covariates of the class membership."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of columns without their values, see `Named`."""

    covariate_names: tuple[str, ...]
    outcome_names: tuple[str, ...]
    common_names: tuple[str, ...] = ()
    concomitant_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, named: Named) -> Names:
        """The names alone."""
        return cls(
            named.covariate_names, named.outcome_names, named.common_names, named.concomitant_names
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    """One reported scalar.

    Attributes
    ----------
    variable
        Name of the block that it belongs to.
    positions
        Every index of the array, without sample dimensions and counted from 0, that holds
        it: more than one for common coefficients and symmetric, shared and spherical
        covariances.
    component
        Its class, counted from 1; None for what all classes share.
    name
        Such as ``weights[1]``, ``coefficients[1, t]``, ``covariance[2, y1, y2]``.
    support
        What it may be.
    """

    variable: str
    positions: tuple[tuple[int, ...], ...]
    component: int | None
    name: str
    support: Range = "real"

    @property
    def position(self) -> tuple[int, ...]:
        """The first of its positions."""
        return self.positions[0]


@dataclass(frozen=True, slots=True)
class Block:
    """One array of parameters.

    Attributes
    ----------
    name
        Of the array, in mappings, datasets and files.
    dims, shape
        Its dimensions, without those of samples, and their lengths.
    support
        What it may hold. ``"simplex"`` are probabilities that sum to one, ``"averages"`` such
        that follow from other blocks, ``"covariance"`` are positive definite matrices.
    parameters
        Its distinct numbers.
    order
        What happens when classes are renumbered: ``"renumbered"`` moves entries with their
        class, ``"rebased"`` moves them and then subtracts those of the class that is now first.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    support: Support
    parameters: tuple[Parameter, ...]
    order: Order = "renumbered"

    @property
    def class_axis(self) -> int | None:
        """Which dimension is the class; None where all classes share the array."""
        return self.dims.index(COMPONENT) if COMPONENT in self.dims else None

    @property
    def n_free(self) -> int:
        """How many numbers may be set at will."""
        bound = {"simplex": 1, "averages": len(self.parameters)}
        return len(self.parameters) - bound.get(self.support, 0)

    def permute(self, values: FloatArray, permutation: IntArray) -> FloatArray:
        """Renumber the classes of (..., *shape) values by (..., K) permutations."""
        if self.class_axis is None:
            return values
        axis = self.class_axis - len(self.dims)
        moved = permute(values, permutation, axis)
        return moved if self.order == "renumbered" else moved - moved.take([0], axis)


@dataclass(frozen=True, slots=True)
class Layout:
    """All blocks of a model, in the order in which tables list them.

    Attributes
    ----------
    blocks
        The arrays.
    parameters
        The distinct numbers of all of them: weights, membership, and for each response
        coefficients, covariances and what its family has besides. Common coefficients and
        shared covariances are listed once, structural zeros never, and a spherical covariance
        by its one variance. All K weights are listed though they sum to one; beside membership
        covariates they are the average class probabilities, and the log-odds of every class
        but the first against the first are listed too.

    Examples
    --------
    >>> spec = MixtureSpec("y ~ x", n_components=2, covariance_by="shared")
    >>> layout = Layout.of(spec, Names(("Intercept", "x"), ("y",)))
    >>> layout.n_free, layout.names()[1:3]
    (6, ('weights[2]', 'coefficients[1, Intercept]'))
    >>> layout["covariance"].dims
    ('mixture_component', 'outcome', 'outcome_bis')
    """

    blocks: tuple[Block, ...]
    parameters: tuple[Parameter, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        listed = tuple(chain.from_iterable(block.parameters for block in self.blocks))
        object.__setattr__(self, "parameters", listed)

    @classmethod
    def of(cls, spec: MixtureSpec, named: Named | Sequence[Named]) -> Layout:
        """The layout of a specification on columns with these names.

        Parameters
        ----------
        named
            What names the columns; with several responses one for each, of which the first
            names the unit covariates.
        """
        each = named if isinstance(named, Sequence) else (named,)
        return _layout(spec, tuple(Names.of(one) for one in each))

    def __getitem__(self, name: str) -> Block:
        """The block of a name.

        Raises
        ------
        KeyError
            If the model has none of the name.
        """
        for block in self.blocks:
            if block.name == name:
                return block
        raise KeyError(name)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the blocks."""
        return tuple(block.name for block in self.blocks)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every block by its name."""
        return {block.name: block.shape for block in self.blocks}

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return sum(block.n_free for block in self.blocks)

    def names(self) -> tuple[str, ...]:
        """Names of the parameters, P of them."""
        return tuple(parameter.name for parameter in self.parameters)

    def flatten(self, arrays: Arrays) -> FloatArray:
        """(..., P) values of the parameters, sample dimensions before them.

        Parameters
        ----------
        arrays
            Each block by its name, with the same leading sample dimensions (none for an
            estimate).
        """
        return flatten(arrays, self.parameters)

    def unflatten(self, values: FloatArray) -> dict[str, FloatArray]:
        """Every block from (..., P) values; structural zeros are 0."""
        lead = values.shape[:-1]
        arrays = {block.name: np.zeros((*lead, *block.shape)) for block in self.blocks}
        for i, parameter in enumerate(self.parameters):
            for position in parameter.positions:
                arrays[parameter.variable][_at(position)] = values[..., i]
        return arrays

    def take(self, arrays: Arrays) -> dict[str, FloatArray]:
        """Plain arrays of the blocks that are there, in order; others are left out."""
        return {name: np.asarray(arrays[name]) for name in self.arrays if name in arrays}

    def permute(self, arrays: Arrays, permutation: IntArray) -> dict[str, FloatArray]:
        """Renumber the classes of every block.

        Parameters
        ----------
        arrays
            Each block by its name, (..., *shape); further arrays are left out.
        permutation
            (..., K): the old number of each new class, see `mixcompare.labels`.
        """
        taken = self.take(arrays)
        return {name: self[name].permute(values, permutation) for name, values in taken.items()}

    def combinations(self, permutation: IntArray) -> tuple[Combination, ...]:
        """What each parameter is once classes are renumbered, as a sum of those before.

        Nearly all are one of those before; log-odds are differences where another class is first.

        Parameters
        ----------
        permutation
            (K,): the old number of each new class.
        """
        before = self.unflatten(np.eye(len(self.parameters)))
        weights = self.flatten(self.permute(before, permutation))
        sums = (
            [(int(i), float(column[i])) for i in np.flatnonzero(column)] for column in weights.T
        )
        return tuple(tuple(sorted(terms, key=lambda term: -term[1])) for terms in sums)


def flatten(arrays: Arrays, parameters: Iterable[Parameter]) -> FloatArray:
    """(..., P) values of some parameters, sample dimensions before them.

    Parameters
    ----------
    arrays
        The blocks that these belong to, by name, with the same leading sample dimensions.
    """
    listed = tuple(parameters)
    values = {name: np.asarray(arrays[name]) for name in {p.variable for p in listed}}
    return np.stack([values[p.variable][_at(p.position)] for p in listed], axis=-1)


def _at(position: tuple[int, ...]) -> tuple[Any, ...]:
    return (..., *position)


@lru_cache(maxsize=256)
def _layout(spec: MixtureSpec, named: tuple[Names, ...]) -> Layout:
    k, several = spec.n_components, len(spec.responses) > 1
    blocks = [*_class_blocks(k, named[0].concomitant_names)]
    for number, (response, names) in enumerate(zip(spec.responses, named, strict=True), 1):
        tag = f"_{number}" if several else ""
        blocks += _response_blocks(k, response, names, tag)
    return Layout(tuple(blocks))


def _class_blocks(k: int, concomitants: Sequence[str]) -> list[Block]:
    weights = tuple(_parameter("weights", i + 1, [(i,)], support="probability") for i in range(k))
    support: Support = "averages" if concomitants else "simplex"
    blocks = [Block("weights", (COMPONENT,), (k,), support, weights)]
    if concomitants:
        name, dims = "membership_coefficients", (COMPONENT, "concomitant")
        odds = tuple(
            Parameter(name, ((i, j),), i + 1, f"membership[{i + 1}, {concomitant}]")
            for i in range(1, k)
            for j, concomitant in enumerate(concomitants)
        )
        blocks.append(Block(name, dims, (k, len(concomitants)), "real", odds, "rebased"))
    return blocks


def _response_blocks(k: int, response: Response, names: Names, tag: str) -> list[Block]:
    declared, outcomes = family(response.family), names.outcome_names
    m, outcome = len(outcomes), f"outcome{tag}"
    name, dims = f"coefficients{tag}", (COMPONENT, f"covariate{tag}", outcome)
    shape = (k, len(names.covariate_names), m)
    blocks = [Block(name, dims, shape, "real", _coefficients(k, names, name))]
    if declared.joint:
        name, square = f"covariance{tag}", (COMPONENT, outcome, f"{outcome}_bis")
        free = _covariances(k, response, outcomes, name)
        blocks.append(Block(name, square, (k, m, m), "covariance", free))
    for extra in declared.extra:
        name, first = f"{extra.name}{tag}", 0 if extra.by_class else 1
        free = tuple(
            _parameter(name, c, [at], _of(outcomes, j), support=extra.support)
            for c in (range(1, k + 1) if extra.by_class else (None,))
            for j in range(m)
            for at in [(c - 1, j) if c else (j,)]
        )
        of_extra = (COMPONENT, outcome)[first:]
        blocks.append(Block(name, of_extra, (k, m)[first:], extra.support, free))
    return blocks


def _coefficients(k: int, names: Names, array: str) -> tuple[Parameter, ...]:
    outcomes = names.outcome_names
    return tuple(
        _parameter(array, component, [(c, i, j) for c in classes], name, _of(outcomes, j))
        for common in (False, True)
        for component, classes in _classes(k, shared=common)
        for i, name in enumerate(names.covariate_names)
        if (name in names.common_names) == common
        for j in range(len(outcomes))
    )


def _covariances(
    k: int, response: Response, outcomes: Sequence[str], array: str
) -> tuple[Parameter, ...]:
    free = elements(response.covariance, len(outcomes))
    return tuple(
        _parameter(
            array,
            component,
            [(c, i, j) for c in classes for i, j in places],
            ", ".join(outcomes[i] for i in places[-1]) if len(free) > 1 else "",
            support="positive" if places[0][0] == places[0][1] else "real",
        )
        for component, classes in _classes(k, shared=response.covariance_by == "shared")
        for places in free
    )


def _classes(k: int, *, shared: bool) -> list[tuple[int | None, Sequence[int]]]:
    """Classes that have a number in common, each with its name, counted from 1."""
    return [(None, range(k))] if shared else [(c + 1, (c,)) for c in range(k)]


def _of(outcomes: Sequence[str], j: int) -> str:
    return outcomes[j] if len(outcomes) > 1 else ""


def _parameter(
    array: str,
    component: int | None,
    positions: Sequence[tuple[int, ...]],
    *of: str,
    support: Range = "real",
) -> Parameter:
    """The parameter at places of an array, named by its class and by what it is of."""
    inside = ", ".join(filter(None, (str(component or ""), *of)))
    name = f"{array}[{inside}]" if inside else array
    return Parameter(array, tuple(positions), component, name, support)
