"""One response of a model: outcomes, their covariates, and their distribution given the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from mixcompare.base.checks import check_choice
from mixcompare.base.errors import SpecificationError
from mixcompare.model.covariances import Covariance
from mixcompare.model.families import family
from mixcompare.model.formula.formulas import both_sides, one_sided

CovarianceBy = Literal["component", "shared"]

_SHARED: Final = "covariance_by='shared'"
# What scikit-learn, mclust and others call these structures.
_ELSEWHERE: Final[Mapping[str, Mapping[str, str]]] = {
    "covariance": {
        **dict.fromkeys(("tied", "pooled", "equal", "shared"), f"covariance='full', {_SHARED}"),
        **dict.fromkeys(("diag", "vvi", "independent", "uncorrelated"), "covariance='diagonal'"),
        **dict.fromkeys(("isotropic", "scalar", "iso", "sphere", "vii"), "covariance='spherical'"),
        **dict.fromkeys(("vvv", "general", "unstructured", "unrestricted"), "covariance='full'"),
        "eee": f"covariance='full', {_SHARED}",
        "eei": f"covariance='diagonal', {_SHARED}",
        "eii": f"covariance='spherical', {_SHARED}",
    },
    "covariance_by": {
        **dict.fromkeys(("tied", "pooled", "equal", "common", "all", "one"), _SHARED),
        **dict.fromkeys(
            ("class", "classes", "cluster", "group", "each", "separate", "unequal"),
            "covariance_by='component'",
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Response:
    """Outcomes with one formula and one family; given the class, responses are independent.

    Parameters
    ----------
    formula
        Outcomes and covariates in formulaic's language, e.g. ``"y ~ x + C(group)"`` or
        ``"y1 + y2 ~ 1"``. Coefficients vary by class, but for those of `common`.
    family
        Distribution of the outcomes given the class, see `mixcompare.model.families`.
    link
        Between mean and linear predictor; None for the family's usual one.
    covariance
        ``"full"``, ``"diagonal"`` or ``"spherical"`` covariance of normal outcomes given the
        class. With one outcome the three are the same variance.
    covariance_by
        ``"component"`` for a covariance of each class, ``"shared"`` for one.
    common
        Terms whose coefficients are the same in all classes, e.g. ``"~ x1 + C(year)"``: terms
        of the formula or further ones. The intercept is among them only if it is written, as
        in ``"~ 1 + x1"``.

    Raises
    ------
    SpecificationError
        If a value is not among those allowed. Formulas are read by the specification that
        the response belongs to, which says whether they may hold any Python.

    Examples
    --------
    >>> Response("weight + height ~ age", covariance="diagonal").family
    'normal'
    """

    formula: str
    family: str = "normal"
    link: str | None = None
    covariance: Covariance = "full"
    covariance_by: CovarianceBy = "component"
    common: str | None = None

    def __post_init__(self) -> None:
        declared = family(self.family)
        if self.link is not None:
            _check_choice("link", self.link, declared.links)
            if self.link == declared.links[0]:
                object.__setattr__(self, "link", None)
        _check_choice("covariance", self.covariance, get_args(Covariance))
        _check_choice("covariance_by", self.covariance_by, get_args(CovarianceBy))
        if not declared.joint and (self.covariance, self.covariance_by) != ("full", "component"):
            raise SpecificationError(
                f"outcomes of the family {self.family!r} have no covariance given the class: "
                "leave covariance and covariance_by out."
            )


def check_response(response: Response, *, trust: bool) -> None:
    """Read a response's formulas.

    Parameters
    ----------
    trust
        Whether they may hold any Python.

    Raises
    ------
    SpecificationError
        If one cannot be parsed or holds Python that is not allowed.
    """
    both_sides(response.formula, trust=trust)
    if response.common is not None:
        one_sided("common", response.common, intercept=False, trust=trust)


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse what is not among the allowed values, with what other programs' words are here."""
    elsewhere = _ELSEWHERE.get(name, {}).get(str(value).strip().casefold())
    hint = None if elsewhere is None else f" (write {elsewhere})"
    check_choice(name, value, allowed, hint=hint, error=SpecificationError)
