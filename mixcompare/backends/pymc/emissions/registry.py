"""The families of outcomes that the PyMC backend has a term for."""

from __future__ import annotations

from typing import Final

from mixcompare.backends.pymc.emissions.normal import NormalTerm
from mixcompare.backends.pymc.emissions.terms import EmissionTerm
from mixcompare.base.errors import SpecificationError
from mixcompare.prepared.problem import Problem

TERMS: Final[dict[str, type[EmissionTerm]]] = {"normal": NormalTerm}
"""Terms by the name of their family."""


def register_term(family: str, term: type[EmissionTerm]) -> None:
    """Make a family's term known.

    Raises
    ------
    SpecificationError
        If the family has another.
    """
    if TERMS.setdefault(family, term) is not term:
        raise SpecificationError(f"the family {family!r} has another term of PyMC's.")


def term_of(family: str, problem: Problem, response: int) -> EmissionTerm:
    """The term of a problem's response, counted from 0.

    Raises
    ------
    SpecificationError
        If its family has none.
    """
    if family not in TERMS:
        raise SpecificationError(
            f"the PyMC backend has no term for the family {family!r}; it has: {', '.join(TERMS)}. "
            "mixcompare.backends.pymc.emissions.registry.register_term adds one."
        )
    return TERMS[family].of(problem, response)
