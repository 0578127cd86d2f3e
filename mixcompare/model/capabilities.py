"""Which models each part of the program serves: one table of rules, reasons and remedies.

A part that cannot serve every model asks `require` before it begins, and no other module says
that a model is not supported. The row of a part that learns to serve more is shortened here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mixcompare.base.errors import DataError, MixCompareError, OptionError, SpecificationError
from mixcompare.model.classes import ClassModel
from mixcompare.model.priors import Priors
from mixcompare.model.responses import Response


class Model(Protocol):
    """What a specification says, see `mixcompare.model.spec.MixtureSpec`."""

    @property
    def responses(self) -> tuple[Response, ...]:
        """The responses."""

    @property
    def classes(self) -> ClassModel:
        """The class model."""

    @property
    def unit(self) -> str | None:
        """Column of the units."""

    @property
    def time(self) -> str | None:
        """Column of the order within units."""

    @property
    def absorb(self) -> tuple[str, ...] | None:
        """Columns of the absorbed cells."""

    @property
    def unit_weights(self) -> str | None:
        """Column of the units' weights."""

    @property
    def priors(self) -> Priors:
        """The priors as stated."""


type Rule = Callable[[Model, Collection[str]], str]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a part cannot serve.

    Attributes
    ----------
    rule
        What in a model, of families that the part knows, is the hindrance; "" if nothing is.
    reason
        A sentence with places for ``{part}`` and for the ``{hindrance}``.
    remedy
        What to do about it, likewise.
    error
        What is raised.
    """

    rule: Rule
    reason: str
    remedy: str
    error: type[MixCompareError] = SpecificationError

    def said(self, part: str, hindrance: str) -> str:
        """Reason and remedy of a model that has the hindrance."""
        places = {"part": part, "hindrance": hindrance}
        return f"{self.reason.format(**places)}. {self.remedy.format(**places)}."


def _several_responses(model: Model, _: Collection[str]) -> str:
    count = len(model.responses)
    return f"{count} responses" if count > 1 else ""


def _unknown_family(model: Model, known: Collection[str]) -> str:
    unknown = (response.family for response in model.responses if response.family not in known)
    return next((repr(name) for name in unknown), "")


def _cells_without_units(model: Model, _: Collection[str]) -> str:
    return f"absorb={':'.join(model.absorb)!r}" if model.absorb and model.unit is None else ""


def _unit_weights(model: Model, _: Collection[str]) -> str:
    return f"unit_weights={model.unit_weights!r}" if model.unit_weights is not None else ""


def _no_unit(model: Model, _: Collection[str]) -> str:
    return "no unit column" if model.unit is None else ""


def _no_cells(model: Model, _: Collection[str]) -> str:
    return "no absorb" if model.absorb is None else ""


def _low_concentration(model: Model, _: Collection[str]) -> str:
    low = model.priors.concentration < 1
    return f"a prior concentration of {model.priors.concentration:g}" if low else ""


ONE_RESPONSE: Final = Limit(
    _several_responses,
    "{part} serves a model of one response so far, and this one has {hindrance}",
    "Fit one specification for each; several normal outcomes go into one formula, as in "
    "'y1 + y2 ~ x'",
)
NORMAL: Final = Limit(
    _unknown_family,
    "{part} knows normal outcomes only, and the family of a response is {hindrance}",
    "Leave this step out, or model the outcomes, transformed if need be, as normal",
)
_ONE_NORMAL: Final = (ONE_RESPONSE, NORMAL)


def _without(part: str, register: str) -> Limit:
    return Limit(
        _unknown_family,
        f"{{part}} has no {part} for outcomes of the family {{hindrance}}",
        f"Register one with {register}",
    )


CAPABILITIES: Final[Mapping[str, tuple[Limit, ...]]] = {
    "MixtureSpec": (
        Limit(
            _cells_without_units,
            "{hindrance} needs a unit: without one every row is its own unit and absorbing an "
            "effect would leave no information",
            "Name the unit's column",
        ),
    ),
    "this step": (ONE_RESPONSE,),
    "fit": (ONE_RESPONSE,),
    "backend='em'": (_without("emission", "mixcompare.backends.em.emissions.register_emission"),),
    "backend='pymc'": (_without("term", "mixcompare.backends.pymc.emissions.register_term"),),
    "estimator='map'": (
        Limit(
            _low_concentration,
            "{part} needs a prior concentration of at least 1, and the model has {hindrance}: "
            "below 1 the posterior density is unbounded where a class is empty",
            "Raise it, or sample with backend='pymc'",
            OptionError,
        ),
    ),
    "calibrate": (
        *_ONE_NORMAL,
        Limit(
            _unit_weights,
            "{part} cannot simulate {hindrance}: units are simulated one by one",
            "Leave unit_weights out",
            OptionError,
        ),
    ),
    "units='known'": (
        Limit(
            _no_unit,
            "{part} needs a fit with a unit column: here every row is a unit",
            "Name the unit's column in the specification, or predict for new units",
            DataError,
        ),
    ),
    "transform = 'within'": (
        Limit(
            _no_cells,
            "{part} needs a model with absorb, whose cells it uses",
            "Name them in [model] or for this method",
            DataError,
        ),
    ),
}
"""What each part that does not serve every model cannot serve, by what messages call the part."""


def require(model: Model, part: str, families: Collection[str] = ("normal",)) -> None:
    """Refuse a model that a part of the program cannot serve.

    Parameters
    ----------
    part
        A key of `CAPABILITIES`.
    families
        Names of the families that the part has arithmetic for.

    Raises
    ------
    MixCompareError
        The error of the part's first limit that the model goes beyond; it says why and what
        to do.
    KeyError
        If there is no such part.

    Examples
    --------
    >>> from mixcompare.model.spec import MixtureSpec
    >>> require(MixtureSpec("y ~ x", n_components=2), "units='known'")
    Traceback (most recent call last):
    mixcompare.base.errors.DataError: units='known' needs a fit with a unit column: here every row \
is a unit. Name the unit's column in the specification, or predict for new units.
    """
    for limit in CAPABILITIES[part]:
        hindrance = limit.rule(model, families)
        if hindrance:
            raise limit.error(limit.said(part, hindrance))


def supports(model: Model, part: str, families: Collection[str] = ("normal",)) -> bool:
    """Whether `require` would pass."""
    return not any(limit.rule(model, families) for limit in CAPABILITIES[part])
