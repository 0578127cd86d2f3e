"""Which models each part of the program serves: one table of rules, reasons and remedies.

A part that cannot serve every model asks `require` before it begins, and no other module says
that a model is not supported. The row of a part that learns to serve more is shortened here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from mixcompare.base.errors import DataError, MixCompareError, OptionError, SpecificationError
from mixcompare.model.families import family
from mixcompare.model.formula.formulas import CONSTANT, both_sides, one_sided
from mixcompare.model.stated import Stated

type Rule = Callable[[Stated, Collection[str]], str]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a part cannot serve.

    Attributes
    ----------
    rule
        What in a model is the hindrance, given the families that the part knows; "" if nothing.
    reason
        A sentence with places for the ``{part}`` and the ``{hindrance}``.
    remedy
        What to do about it.
    error
        What is raised.
    """

    rule: Rule
    reason: str
    remedy: str
    error: type[MixCompareError] = SpecificationError

    def said(self, part: str, hindrance: str) -> str:
        """Reason and remedy for a model that has the hindrance."""
        return f"{self.reason.format(part=part, hindrance=hindrance)}. {self.remedy}."


def _several_responses(model: Stated, _: Collection[str]) -> str:
    count = len(model.responses)
    return f"{count} responses" if count > 1 else ""


def _unknown_family(model: Stated, known: Collection[str]) -> str:
    unknown = (response.family for response in model.responses if response.family not in known)
    return next((repr(name) for name in unknown), "")


def _intercept_with_cells(model: Stated, _: Collection[str]) -> str:
    if model.absorb is None:
        return ""
    for response in model.responses:
        sides = both_sides(response.formula, intercept=False, trust=model.trust)
        if CONSTANT in sides.rhs:
            return f"formula {response.formula!r}"
        if response.common is not None and CONSTANT in one_sided(
            "common", response.common, intercept=False, trust=model.trust
        ):
            return f"common {response.common!r}"
    return ""


def _argument(name: str, *values: str | None) -> str:
    return next((f"{name}={value!r}" for value in values if value is not None), "")


def _unit_weights(model: Stated, _: Collection[str]) -> str:
    return _argument("unit_weights", model.unit_weights)


def _membership(model: Stated, _: Collection[str]) -> str:
    return _argument("membership", model.classes.membership)


def _common(model: Stated, _: Collection[str]) -> str:
    return _argument("common", *(response.common for response in model.responses))


def _covariance_prior_of_none(model: Stated, _: Collection[str]) -> str:
    priors, names = model.priors, ("covariance_df", "covariance_scale")
    stated = any(getattr(priors, name) is not None for name in names)
    bare = (r.family for r in model.responses if not family(r.family).joint)
    return next((repr(name) for name in bare if stated), "")


_ONE_RESPONSE: Final = Limit(
    _several_responses,
    "{part} serves a model of one response so far, and this one has {hindrance}",
    "Fit one specification for each; several normal outcomes go into one formula, as in "
    "'y1 + y2 ~ x'",
)
_NORMAL: Final = Limit(
    _unknown_family,
    "{part} knows normal outcomes only, and the family of a response is {hindrance}",
    "Leave this step out, or model the outcomes, transformed if need be, as normal",
)
_ONE_NORMAL: Final = (_ONE_RESPONSE, _NORMAL)


def _registered(what: str, register: str) -> Limit:
    return Limit(
        _unknown_family,
        f"{{part}} has no {what} for outcomes of the family {{hindrance}}",
        f"Register one with {register}",
    )


def _unaudited(rule: Rule) -> Limit:
    return Limit(
        rule,
        "{part} knows no {hindrance}: its candidates for each step are those of models without it",
        "Audit a fit of such a model",
        DataError,
    )


CAPABILITIES: Final[Mapping[str, tuple[Limit, ...]]] = {
    "MixtureSpec": (
        Limit(
            lambda model, _: (
                f"absorb={':'.join(model.absorb)!r}" if model.absorb and model.unit is None else ""
            ),
            "{hindrance} needs a unit: without one every row is its own unit and absorbing an "
            "effect would leave no information",
            "Name the unit's column",
        ),
    ),
    "this step": (_ONE_RESPONSE,),
    "build_panel": (
        _ONE_RESPONSE,
        Limit(
            _intercept_with_cells,
            "{hindrance} asks for an intercept, which does not vary within absorbed cells",
            "Remove the '1 +'",
            DataError,
        ),
    ),
    "absorb": (
        Limit(
            lambda model, known: "" if model.absorb is None else _unknown_family(model, known),
            "{part} removes the effects of cells from normal outcomes only, and the "
            "family of a response is {hindrance}",
            "Leave absorb out, and write the cells' categories into the formula",
        ),
    ),
    "a covariance's prior": (
        Limit(
            _covariance_prior_of_none,
            "{part} was stated, and outcomes of the family {hindrance} have no covariance given "
            "the class",
            "Leave covariance_df and covariance_scale out of the priors",
        ),
    ),
    "simulation": (_registered("sampler", "mixcompare.simulate.samplers.register_sampler"),),
    "fit": (_ONE_RESPONSE,),
    "backend='em'": (
        _registered("emission", "mixcompare.backends.em.emissions.register_emission"),
    ),
    "backend='pymc'": (_registered("term", "mixcompare.backends.pymc.emissions.register_term"),),
    "estimator='map'": (
        Limit(
            lambda model, _: (
                f"{model.priors.concentration:g}"
                if model.priors.concentration < 1 < model.n_components
                and model.classes.membership is None
                else ""
            ),
            "{part} needs a prior concentration of at least 1, not {hindrance}: below it the "
            "posterior density is unbounded where a class is empty",
            "Raise it, or sample with backend='pymc'",
            OptionError,
        ),
    ),
    "bootstrap": _ONE_NORMAL,
    "delta_method": (),
    "predict": _ONE_NORMAL,
    "predictive_draws": _ONE_NORMAL,
    "units='known'": (
        Limit(
            lambda model, _: "every row is a unit" if model.unit is None else "",
            "{part} needs a fit with a unit column: here {hindrance}",
            "Name the unit's column in the specification, or predict for new units",
            DataError,
        ),
    ),
    "leave_one_out": (_ONE_RESPONSE,),
    "posterior_predictive": _ONE_NORMAL,
    "prior_predictive": _ONE_NORMAL,
    "prior_sensitivity": (_ONE_RESPONSE,),
    "calibrate": (
        *_ONE_NORMAL,
        Limit(
            _unit_weights,
            "{part} simulates units one by one and cannot have {hindrance}",
            "Leave unit_weights out",
            OptionError,
        ),
    ),
    "compare": _ONE_NORMAL,
    "select": (_ONE_RESPONSE,),
    "a bootstrap likelihood-ratio test": (
        *_ONE_NORMAL,
        Limit(
            _unit_weights,
            "{part} simulates units one by one and cannot have {hindrance}",
            "Repeat the units' rows instead",
            OptionError,
        ),
    ),
    "the audit": (*_ONE_NORMAL, *map(_unaudited, (_common, _membership, _unit_weights))),
    "[simulate]": _ONE_NORMAL,
    "transform = 'within'": (
        *_ONE_NORMAL,
        Limit(
            lambda model, _: "it has none" if model.absorb is None else "",
            "{part} needs a model with absorb, whose cells it uses, and {hindrance}",
            "Name the cells' columns, or leave transform out",
            DataError,
        ),
    ),
}
"""Parts of the program by what messages call them, each with what it cannot serve, if anything."""


def reasons(model: Stated, part: str, families: Collection[str] = ("normal",)) -> tuple[str, ...]:
    """Why a part cannot serve a model and what to do, a paragraph each; empty if it can.

    Parameters
    ----------
    part
        A key of `CAPABILITIES`.
    families
        Names of the families that the part has arithmetic for.
    """
    hindrances = ((limit, limit.rule(model, families)) for limit in CAPABILITIES[part])
    return tuple(limit.said(part, hindrance) for limit, hindrance in hindrances if hindrance)


def require(model: Stated, part: str, families: Collection[str] = ("normal",)) -> None:
    """Refuse a model that a part of the program cannot serve, see `reasons`.

    Raises
    ------
    MixCompareError
        The error of the first limit that the model goes beyond.

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


def refuse_foreign(part: str, program: str) -> NoReturn:
    """Refuse a fit by another program, which no part serves so far.

    Raises
    ------
    DataError
        It says why and what to do.
    """
    raise DataError(
        f"{part} serves fits of this program so far, and one is by {program!r}. Fit the model with "
        "backend='em' or backend='pymc'."
    )
