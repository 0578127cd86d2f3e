"""How outcomes are distributed given a class: what EM needs to know of a family.

An emission has densities, M-step, scores and features for starts; `EMISSIONS` has one for each
family that EM can fit. Emissions import the class model's protocol and what is below backends.
"""

from mixcompare.backends.em.emissions.emission import Emission
from mixcompare.backends.em.emissions.registry import EMISSIONS, register_emission

__all__ = ["EMISSIONS", "Emission", "register_emission"]
