"""What is fitted: the model specification and its priors, frozen and checked when built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, cast

from mixcompare.base.checks import check_choice, check_whole
from mixcompare.base.errors import SpecificationError
from mixcompare.base.suggest import kind_of
from mixcompare.model.capabilities import require
from mixcompare.model.classes import ClassModel, StaticClasses, checked_classes
from mixcompare.model.covariances import Covariance
from mixcompare.model.priors import Priors
from mixcompare.model.responses import CovarianceBy, Response, check_response
from mixcompare.model.stated import Stated

__all__ = ["SPEC_KEYS", "CovarianceBy", "MixtureSpec", "Priors"]

SPEC_KEYS: Final = (
    *("formula", "unit", "absorb", "common", "membership", "unit_weights", "n_components"),
    *("covariance", "covariance_by", "priors", "time", "family", "link"),
)
"""Keys of a specification of one response and static classes, in the order of dictionaries."""

_KEYS: Final[tuple[str, ...]] = (*SPEC_KEYS, "responses", "classes")
# Left out where they are so, as in dictionaries that were written before there were others.
_USUAL: Final[Mapping[str, object]] = {"time": None, "family": "normal", "link": None}


class _Unsaid:
    def __repr__(self) -> str:
        return "..."


_UNSAID: Final[Any] = _Unsaid()


@dataclass(frozen=True, slots=True, init=False, repr=False)
class MixtureSpec(Stated):
    """A mixture of regressions with latent classes, one of each unit.

    The short form, ``MixtureSpec("y ~ x", ...)``, has one response, whose family, link,
    covariance and common terms are given beside it, also by `dataclasses.replace`.

    Parameters
    ----------
    responses
        A formula, or one `Response` or several, which are independent given the class.
    n_components
        Number of latent classes, K.
    formula, family, link, covariance, covariance_by, common
        Of the one response, see `Response`.
    membership
        Unit covariates on which the probability of each class depends by a multinomial
        logit, e.g. ``"~ income"``; an intercept is implied. Their values must be the same
        in all rows of a unit. Of static classes, see `StaticClasses`.
    classes
        The class model; static classes with weights by default.
    unit
        Column whose rows share one latent class; without it every row is a unit.
    time
        Column of the order of a unit's rows.
    absorb
        Column or columns whose crossing names the cells with a fixed effect of their
        own, e.g. ``"state"``, ``"artist:country"`` or ``("artist", "country")``. Cells
        must be nested in the unit; their effects are removed exactly.
    unit_weights
        Column of replication weights, positive and the same in all rows of a unit: a unit
        of weight w counts like w units with the same rows, also where w is a fraction.
    priors
        Priors for the Bayesian backends, see `Priors`; maximum likelihood ignores them.
    trust
        Whether formulas may hold any Python, which then runs. It says how a specification was
        obtained, not what it is: it belongs to no comparison, hash or file, and whoever reads
        a specification from a file says it anew.

    Raises
    ------
    SpecificationError
        If a value is out of range, or a formula cannot be parsed or holds Python that is not
        on the list of what formulas may hold.

    Examples
    --------
    >>> spec = MixtureSpec("lifeExp ~ t + I(t**2)", unit="country", n_components=3)
    >>> spec == MixtureSpec.from_dict(spec.to_dict())
    True
    >>> both = [Response("weight ~ age"), Response("height ~ age", covariance_by="shared")]
    >>> len(MixtureSpec(both, unit="id", n_components=2).responses)
    2
    """

    def __init__(
        self,
        responses: str | Response | Sequence[Response] = (),
        *,
        n_components: int,
        formula: str = _UNSAID,
        family: str = _UNSAID,
        link: str | None = _UNSAID,
        covariance: Covariance = _UNSAID,
        covariance_by: CovarianceBy = _UNSAID,
        common: str | None = _UNSAID,
        membership: str | None = _UNSAID,
        classes: ClassModel | None = None,
        unit: str | None = None,
        time: str | None = None,
        absorb: str | Sequence[str] | None = None,
        unit_weights: str | None = None,
        priors: Priors | Mapping[str, Any] | None = None,
        trust: bool = False,
    ) -> None:
        check_choice("trust", trust, (False, True), error=SpecificationError)
        for name, column in (("unit", unit), ("time", time), ("unit_weights", unit_weights)):
            if column is not None and (not isinstance(column, str) or not column):
                raise SpecificationError(f"{name} must be a column name or None, not {column!r}.")
        said = {
            "formula": formula,
            "family": family,
            "link": link,
            "covariance": covariance,
            "covariance_by": covariance_by,
            "common": common,
        }
        said = {name: value for name, value in said.items() if value is not _UNSAID}
        listed = _responses(responses, said)
        for response in listed:
            check_response(response, trust=trust)
        of_classes = StaticClasses() if classes is None else classes
        if membership is not _UNSAID:
            of_classes = StaticClasses(membership)
        values = {
            "responses": listed,
            "n_components": check_whole("n_components", n_components, error=SpecificationError),
            "classes": checked_classes(of_classes, trust=trust),
            "unit": unit,
            "time": time,
            "unit_weights": unit_weights,
            "trust": trust,
            "absorb": _absorb(absorb),
            "priors": _priors(priors),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        require(self, "MixtureSpec")

    def but(self, **arguments: Any) -> MixtureSpec:
        """The same specification but for these arguments.

        Examples
        --------
        >>> MixtureSpec("y ~ x", n_components=2).but(formula="y ~ z", unit="id")
        MixtureSpec('y ~ z', unit='id', n_components=2)
        """
        return replace(self, **arguments)

    @property
    def response(self) -> Response:
        """The one response.

        Raises
        ------
        SpecificationError
            If there are several.
        """
        require(self, "this step")
        return self.responses[0]

    @property
    def formula(self) -> str:
        """Of the one response."""
        return self.response.formula

    @property
    def covariance(self) -> Covariance:
        """Of the one response."""
        return self.response.covariance

    @property
    def covariance_by(self) -> CovarianceBy:
        """Of the one response."""
        return self.response.covariance_by

    @property
    def common(self) -> str | None:
        """Of the one response."""
        return self.response.common

    @property
    def membership(self) -> str | None:
        """Unit covariates of the classes."""
        return self.classes.membership

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of JSON types from which `from_dict` builds an equal spec.

        One response is written in the short form, with the keys of `SPEC_KEYS`; several are a
        list ``responses`` beside ``classes``.
        """
        values: dict[str, Any] = {
            "unit": self.unit,
            "time": self.time,
            "absorb": self.absorb,
            "unit_weights": self.unit_weights,
            "n_components": self.n_components,
            "priors": _plain_priors(self.priors),
        }
        if len(self.responses) == 1:
            values |= asdict(self.responses[0]) | asdict(self.classes)
        else:
            values["responses"] = [_unusual(asdict(response)) for response in self.responses]
            values["classes"] = {"kind": "static", **asdict(self.classes)}
        ordered = {key: values[key] for key in _KEYS if key in values}
        return cast("dict[str, Any]", json.loads(json.dumps(_unusual(ordered))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, trust: bool = False) -> MixtureSpec:
        """Build a spec from `to_dict`'s output.

        Parameters
        ----------
        trust
            Whether its formulas may hold any Python.

        Raises
        ------
        SpecificationError
            If a key is unknown (the allowed ones are named) or a value is not valid.
        """
        given = dict(values)
        if isinstance(given.get("responses"), Sequence):
            given["responses"] = [
                _from_mapping(Response, one, "response") if isinstance(one, Mapping) else one
                for one in given["responses"]
            ]
        if isinstance(given.get("classes"), Mapping):
            table = {"kind": "static", **given["classes"]}
            check_choice(
                "kind of classes", table.pop("kind"), ("static",), error=SpecificationError
            )
            given["classes"] = _from_mapping(StaticClasses, table, "classes")
        return _from_mapping(cls, given, "specification", _KEYS, trust=trust)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content; equal specs have equal hashes in any process."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def __repr__(self) -> str:
        """Python that builds an equal specification."""
        given = self.to_dict()
        if len(self.responses) > 1:
            given |= {"responses": list(self.responses), "classes": self.classes}
        first = given.pop("formula", None) or given.pop("responses")
        usual = MixtureSpec("y ~ 1", n_components=1).to_dict() | {"n_components": None}
        further = {k: v for k, v in given.items() if k not in usual or v != usual[k]}
        listed = ", ".join(f"{name}={value!r}" for name, value in further.items())
        return f"MixtureSpec({first!r}, {listed})"


def _unusual(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k not in _USUAL or v != _USUAL[k]}


def _plain_priors(priors: Priors) -> dict[str, Any]:
    """Priors by their names, those of coefficients as tables by covariate and outcome."""
    plain = asdict(priors)
    for name in ("coefficient_mean", "coefficient_sd"):
        if isinstance(plain[name], tuple):
            plain[name] = {
                covariate: dict(entry) if isinstance(entry, tuple) else entry
                for covariate, entry in plain[name]
            }
    return plain


def _responses(given: object, changes: Mapping[str, Any]) -> tuple[Response, ...]:
    """The responses, the only one of them with its changes."""
    if isinstance(given, Response):
        listed = [given]
    elif isinstance(given, (list, tuple)):
        listed = list(given)
    else:
        listed = [Response(given)]  # type: ignore[arg-type]  # refused when it is read
    if not listed and "formula" in changes:
        return (Response(**changes),)
    strange = [one for one in listed if not isinstance(one, Response)]
    if strange or not listed:
        raise SpecificationError(
            "a specification takes a formula, as in 'y ~ x', or a list of Response, not "
            f"{kind_of(strange[0]) if strange else 'none'}."
        )
    if len(listed) > 1 and changes:
        raise SpecificationError(
            f"{', '.join(changes)} belong to one response, and there are {len(listed)}: say them "
            "of each, as in Response('y ~ x', covariance='diagonal')."
        )
    return (replace(listed[0], **changes),) if changes else tuple(listed)


def _priors(given: object) -> Priors:
    if given is None:
        return Priors()
    if isinstance(given, Mapping):
        return _from_mapping(Priors, given, "priors")
    if not isinstance(given, Priors):
        raise SpecificationError(f"priors must be a Priors or a mapping, not {given!r}.")
    return given


def _from_mapping[T](
    cls: type[T], values: Mapping[str, Any], what: str, keys: Sequence[str] = (), **more: Any
) -> T:
    """What a mapping with some keys, by default the fields' names, says."""
    allowed = keys or [f.name for f in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise SpecificationError(
            f"unknown {what} key {', '.join(map(repr, unknown))}; allowed: {', '.join(allowed)}."
        )
    try:
        return cls(**values, **more)
    except TypeError as error:
        raise SpecificationError(f"incomplete {what}: {error}.") from error


def _absorb(absorb: object) -> tuple[str, ...] | None:
    if absorb is None:
        return None
    if isinstance(absorb, str):
        columns = tuple(part.strip() for part in absorb.split(":"))
    elif isinstance(absorb, Sequence):
        columns = tuple(absorb)
    else:
        columns = ()
    if not columns or not all(isinstance(c, str) and c for c in columns):
        raise SpecificationError(f"absorb must name one or more columns, not {absorb!r}.")
    return columns


def check_spec(value: object, caller: str) -> None:
    """Refuse what is no specification, and a model that the caller cannot serve.

    Parameters
    ----------
    caller
        Which function takes it, a key of `CAPABILITIES`.

    Raises
    ------
    MixCompareError
        It says what was given.
    """
    if not isinstance(value, MixtureSpec):
        raise SpecificationError(
            f"{caller} takes a MixtureSpec first and then the data, not {kind_of(value)}. Write "
            "mixcompare.MixtureSpec('y ~ x', n_components=2)."
        )
    require(value, caller)
