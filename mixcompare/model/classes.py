"""Models of the latent class: what carries one, and what its probabilities depend on."""

from __future__ import annotations

from dataclasses import dataclass

from mixcompare.base.errors import SpecificationError
from mixcompare.model.formula.formulas import CONSTANT, one_sided


@dataclass(frozen=True, slots=True)
class StaticClasses:
    """Each unit has one latent class, in all its rows.

    Attributes
    ----------
    membership
        Unit covariates on which the probability of each class depends by a multinomial logit,
        e.g. ``"~ income"``; an intercept is implied. Without it the classes have weights.

    Examples
    --------
    >>> StaticClasses("~ income").membership
    '~ income'
    """

    membership: str | None = None


type ClassModel = StaticClasses


def checked_classes(classes: object, *, trust: bool) -> ClassModel:
    """A class model whose formulas can be read, a constant alone left out.

    Parameters
    ----------
    trust
        Whether formulas may hold any Python.

    Raises
    ------
    SpecificationError
        If it is no class model, or a formula cannot be parsed or holds Python that is not
        allowed.
    """
    if not isinstance(classes, StaticClasses):
        raise SpecificationError(f"classes must be a StaticClasses, not {classes!r}.")
    if classes.membership is None:
        return classes
    terms = one_sided("membership", classes.membership, intercept=True, trust=trust)
    # A constant alone is the model without membership covariates.
    return StaticClasses() if terms == (CONSTANT,) else classes
