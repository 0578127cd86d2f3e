"""Every relabelling algorithm by name, with one signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcompare.base.arrays import FloatArray, IntArray
from mixcompare.base.errors import OptionError
from mixcompare.base.registry import register
from mixcompare.labels.by_mode import Climb, climbing
from mixcompare.labels.data_based import data_based
from mixcompare.labels.equivalence import ecr, ecr_iterative_1, ecr_iterative_2
from mixcompare.labels.ordering import by_order
from mixcompare.labels.reference import align_draws, align_to_reference
from mixcompare.labels.stephens import stephens


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What relabelling algorithms work on; each takes what it needs.

    Attributes
    ----------
    responsibilities
        (..., G, K) class probabilities of the units by draw.
    pivot
        (G, K) class probabilities to start from: usually the draw of highest density.
    reference
        (G, K) class probabilities at EM's optimum.
    quantity
        (..., K) what an ordering constraint sorts.
    features
        (G, D) what is known of the units.
    climb
        From a draw to its mode.
    """

    responsibilities: FloatArray
    pivot: FloatArray
    reference: FloatArray | None = None
    quantity: FloatArray | None = None
    features: FloatArray | None = None
    climb: Climb | None = None


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A relabelling algorithm.

    Attributes
    ----------
    run
        From draws to permutations (..., K).
    source
        Where it was published.
    needs
        Optional attributes of `Draws` that it cannot do without.
    """

    run: Callable[[Draws], IntArray]
    source: str
    needs: tuple[str, ...] = ()


def _given[T](what: T | None) -> T:
    assert what is not None  # as `Algorithm.needs` says
    return what


ALGORITHMS: Final[dict[str, Algorithm]] = {
    "EM": Algorithm(
        lambda d: align_to_reference(d.responsibilities, _given(d.reference)),
        "soft ECR with EM's optimum as the pivot (this package)",
        ("reference",),
    ),
    "mean": Algorithm(
        lambda d: align_draws(d.responsibilities, d.pivot), "soft ECR-iterative-2 (this package)"
    ),
    "ECR": Algorithm(
        lambda d: ecr(d.responsibilities, d.pivot), "Papastamoulis & Iliopoulos (2010)"
    ),
    "ECR-iterative-1": Algorithm(
        lambda d: ecr_iterative_1(d.responsibilities, d.pivot), "Rodriguez & Walker (2014)"
    ),
    "ECR-iterative-2": Algorithm(
        lambda d: ecr_iterative_2(d.responsibilities, d.pivot), "Papastamoulis (2014)"
    ),
    "Stephens": Algorithm(
        lambda d: stephens(d.responsibilities, d.pivot), "Stephens (2000), algorithm 2"
    ),
    "data-based": Algorithm(
        lambda d: data_based(d.responsibilities, _given(d.features), d.pivot),
        "Rodriguez & Walker (2014)",
        ("features",),
    ),
    "ordering": Algorithm(
        lambda d: by_order(_given(d.quantity)), "Richardson & Green (1997)", ("quantity",)
    ),
    "climbing": Algorithm(
        lambda d: climbing(d.responsibilities, _given(d.climb))[1],
        "Yao & Lindsay (2009)",
        ("climb",),
    ),
}


def register_algorithm(name: str, algorithm: Algorithm) -> None:
    """Let `relabel`, and with it every comparison, run an algorithm.

    Raises
    ------
    OptionError
        If another has the name.
    """
    register(ALGORITHMS, "relabelling algorithm", name, algorithm)


def relabel(draws: Draws, names: Iterable[str] | None = None) -> dict[str, IntArray]:
    """Permutations (..., K) by algorithm.

    Parameters
    ----------
    draws
        What is to be relabelled.
    names
        Algorithms of `ALGORITHMS`; by default all whose needs are met.

    Raises
    ------
    OptionError
        If there is no such algorithm, or the draws lack what it needs.
    """
    if names is None:
        names = [name for name, known in ALGORITHMS.items() if not _missing(draws, known)]
    permutations = {}
    for name in names:
        if name not in ALGORITHMS:
            raise OptionError(
                f"unknown relabelling algorithm {name!r}; there are: {', '.join(ALGORITHMS)}."
            )
        missing = _missing(draws, ALGORITHMS[name])
        if missing:
            raise OptionError(f"relabelling by {name!r} needs the draws' {' and '.join(missing)}.")
        permutations[name] = np.asarray(ALGORITHMS[name].run(draws))
    return permutations


def _missing(draws: Draws, algorithm: Algorithm) -> list[str]:
    return [need for need in algorithm.needs if getattr(draws, need) is None]
