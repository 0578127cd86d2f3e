"""Families of outcomes, declared once and without arithmetic.

A declaration says what every part of the program must know of a family: which values its
outcomes take, which links it has, and which parameters it has beside the coefficients of its
linear predictor. The arithmetic is written by those who need it: a backend's emission or term,
and the sampler of simulations. From the declaration follow the `Layout` of parameters, their
names and intervals, and what is refused by the table of capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mixcompare.base.errors import SpecificationError
from mixcompare.base.registry import register
from mixcompare.base.suggest import did_you_mean

Values = Literal["real", "positive", "interval", "counts", "binary", "categories"]
Range = Literal["real", "positive", "probability"]


@dataclass(frozen=True, slots=True)
class Extra:
    """A parameter that a family has beside its coefficients, one for each outcome.

    Attributes
    ----------
    name
        Of its array, such as ``"dispersion"``.
    support
        What it may be.
    by_class
        Whether each class has one.
    """

    name: str
    support: Range
    by_class: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """A distribution of outcomes given the class.

    Attributes
    ----------
    name
        What a `Response` calls it.
    support
        Values of the outcomes.
    links
        Between mean and linear predictor, the usual one first.
    extra
        Parameters beside the coefficients.
    columns
        What must be named for each outcome beside its column, such as ``"trials"``.
    joint
        Whether several outcomes of one response have a covariance given the class; otherwise
        they are independent given the class.

    Examples
    --------
    >>> Family("geometric", "counts", links=("log",)).links[0]
    'log'
    """

    name: str
    support: Values
    links: tuple[str, ...]
    extra: tuple[Extra, ...] = ()
    columns: tuple[str, ...] = ()
    joint: bool = False


FAMILIES: Final[dict[str, Family]] = {}
"""Declared families by name."""


def register_family(declared: Family) -> Family:
    """Make a family known under its name; the same declaration may be made again.

    Raises
    ------
    SpecificationError
        If another family has the name, or one without a link.
    """
    if not declared.links:
        raise SpecificationError(f"family {declared.name!r} has no link: name one, as in 'log'.")
    return register(FAMILIES, "family", declared.name, declared, SpecificationError)


def family(name: object) -> Family:
    """The declaration of a family.

    Raises
    ------
    SpecificationError
        If none is registered under the name; those that are, are named.

    Examples
    --------
    >>> family("normal").joint
    True
    """
    declared = FAMILIES.get(name) if isinstance(name, str) else None
    if declared is None:
        hint = did_you_mean(str(name), FAMILIES)
        raise SpecificationError(
            f"no family {name!r} is registered{hint}; there are: {', '.join(FAMILIES)}. "
            "mixcompare.model.families.register_family declares another."
        )
    return declared


NORMAL: Final = register_family(Family("normal", "real", links=("identity",), joint=True))
