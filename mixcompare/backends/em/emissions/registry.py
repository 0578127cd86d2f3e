"""Emissions by the name of their family."""

from __future__ import annotations

from typing import Final

from mixcompare.backends.em.emissions.emission import Emission
from mixcompare.backends.em.emissions.normal.normal_emission import NormalEmission
from mixcompare.base.errors import SpecificationError
from mixcompare.base.registry import register

EMISSIONS: Final[dict[str, type[Emission]]] = {"normal": NormalEmission}


def register_emission(family: str, emission: type[Emission]) -> None:
    """Let EM fit outcomes of a family, see `mixcompare.model.families.register_family`.

    Parameters
    ----------
    family
        Name under which the family is declared.
    emission
        A class derived from `Emission`.

    Raises
    ------
    SpecificationError
        If the family has another.
    """
    what = "emission of EM's for outcomes of the family"
    register(EMISSIONS, what, family, emission, SpecificationError)
