"""The families of outcomes that the PyMC backend has a term for."""

from __future__ import annotations

from typing import Final

from mixcompare.backends.pymc.emissions.normal import NormalTerm
from mixcompare.backends.pymc.emissions.terms import EmissionTerm
from mixcompare.base.errors import SpecificationError
from mixcompare.base.registry import register

TERMS: Final[dict[str, type[EmissionTerm]]] = {"normal": NormalTerm}
"""Terms by the name of their family."""


def register_term(family: str, term: type[EmissionTerm]) -> None:
    """Make a family's term known.

    Raises
    ------
    SpecificationError
        If the family has another.
    """
    register(TERMS, "term of PyMC's for outcomes of the family", family, term, SpecificationError)
