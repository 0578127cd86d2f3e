"""What is fitted: the model specification and its priors, frozen and checked when built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast, get_args

from mixcompare.base.errors import SpecificationError
from mixcompare.base.suggest import did_you_mean, kind_of
from mixcompare.model.covariances import Covariance, elements
from mixcompare.model.formula.formulas import CONSTANT, check_formula, check_one_sided
from mixcompare.model.priors import Priors

__all__ = ["CovarianceBy", "MixtureSpec", "Priors"]

CovarianceBy = Literal["component", "shared"]

_SHARED = "covariance_by='shared'"
# What scikit-learn, mclust and others call these structures.
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
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
class MixtureSpec:
    """A multivariate normal regression with one latent class per unit.

    Parameters
    ----------
    formula
        Outcomes and covariates in formulaic's language, e.g. ``"y ~ x + C(group)"``
        or ``"y1 + y2 ~ 1"``. Coefficients vary by class, but for those of `common`.
    unit
        Column whose rows share one latent class; without it every row is a unit.
    absorb
        Column or columns whose crossing names the cells with a fixed effect of their
        own, e.g. ``"state"``, ``"artist:country"`` or ``("artist", "country")``. Cells
        must be nested in the unit; their effects are removed exactly.
    common
        Terms whose coefficients are the same in all classes, e.g. ``"~ x1 + C(year)"``:
        terms of the formula or further ones. The intercept is among them only if it is
        written, as in ``"~ 1 + x1"``.
    membership
        Unit covariates on which the probability of each class depends by a multinomial
        logit, e.g. ``"~ income"``; an intercept is implied. Their values must be the same
        in all rows of a unit.
    unit_weights
        Column of replication weights, positive and the same in all rows of a unit: a unit
        of weight w counts like w units with the same rows, also where w is a fraction.
    n_components
        Number of latent classes, K.
    covariance
        ``"full"``, ``"diagonal"`` or ``"spherical"`` covariance of the outcomes given
        the class. With one outcome the three are the same variance.
    covariance_by
        ``"component"`` for a covariance of each class, ``"shared"`` for one.
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
    """

    formula: str
    unit: str | None = field(default=None, kw_only=True)
    absorb: str | Sequence[str] | None = field(default=None, kw_only=True)
    common: str | None = field(default=None, kw_only=True)
    membership: str | None = field(default=None, kw_only=True)
    unit_weights: str | None = field(default=None, kw_only=True)
    n_components: int = field(kw_only=True)
    covariance: Covariance = field(default="full", kw_only=True)
    covariance_by: CovarianceBy = field(default="component", kw_only=True)
    priors: Priors = field(default_factory=Priors, kw_only=True)
    trust: bool = field(default=False, kw_only=True, compare=False, repr=False)

    def __post_init__(self) -> None:
        _choice("trust", self.trust, (False, True))
        check_formula(self.formula, trust=self.trust)
        for name in ("unit", "unit_weights"):
            column = getattr(self, name)
            if column is not None and (not isinstance(column, str) or not column):
                raise SpecificationError(f"{name} must be a column name or None, not {column!r}.")
        if self.common is not None:
            check_one_sided("common", self.common, intercept=False, trust=self.trust)
        if self.membership is not None:
            terms = check_one_sided("membership", self.membership, intercept=True, trust=self.trust)
            # A constant alone is the model without membership covariates.
            _set(self, "membership", None if terms == (CONSTANT,) else self.membership)
        _set(self, "absorb", _absorb(self.absorb, self.unit))
        _set(self, "n_components", _n_components(self.n_components))
        _choice("covariance", self.covariance, get_args(Covariance))
        _choice("covariance_by", self.covariance_by, get_args(CovarianceBy))
        if isinstance(self.priors, Mapping):
            _set(self, "priors", _from_mapping(Priors, self.priors, "priors"))
        elif not isinstance(self.priors, Priors):
            raise SpecificationError(f"priors must be a Priors or a mapping, not {self.priors!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of JSON types from which `from_dict` builds an equal spec."""
        plain = json.loads(json.dumps(asdict(self)))
        del plain["trust"]
        for name in ("coefficient_mean", "coefficient_sd"):
            value = plain["priors"][name]
            if isinstance(value, list):
                plain["priors"][name] = {
                    covariate: dict(entry) if isinstance(entry, list) else entry
                    for covariate, entry in value
                }
        return cast("dict[str, Any]", plain)

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
        return _from_mapping(cls, values, "specification", trust=trust)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content; equal specs have equal hashes in any process."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def n_parameters(
        self, n_covariates: int, n_outcomes: int, *, n_common: int = 0, n_concomitants: int = 1
    ) -> int:
        """Number of free parameters.

        Parameters
        ----------
        n_covariates, n_outcomes
            Columns of the design p, and outcomes m.
        n_common
            How many of the p have coefficients that all classes share.
        n_concomitants
            Columns of the membership's design, the intercept included.
        """
        k, p, m = self.n_components, n_covariates, n_outcomes
        n_covariances = k if self.covariance_by == "component" else 1
        n_coefficients = (k * (p - n_common) + n_common) * m
        return (
            (k - 1) * n_concomitants
            + n_coefficients
            + n_covariances * len(elements(self.covariance, m))
        )


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _from_mapping[T](cls: type[T], values: Mapping[str, Any], what: str, **apart: Any) -> T:
    """An instance from a mapping, which may not have the keys that stand apart."""
    allowed = [f.name for f in fields(cls) if f.name not in apart]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise SpecificationError(
            f"unknown {what} key {', '.join(map(repr, unknown))}; allowed: {', '.join(allowed)}."
        )
    try:
        return cls(**values, **apart)
    except TypeError as error:
        raise SpecificationError(f"incomplete {what}: {error}.") from error


def _absorb(absorb: object, unit: str | None) -> tuple[str, ...] | None:
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
    if unit is None:
        raise SpecificationError(
            f"absorb={absorb!r} needs a unit: without one every row is its own unit and "
            "absorbing an effect would leave no information. Name the unit's column."
        )
    return columns


def _n_components(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SpecificationError(f"n_components must be a whole number, not {value!r}.")
    count = int(value.__index__())
    if count < 1:
        raise SpecificationError(f"n_components must be at least 1, not {count}.")
    return count


def _choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value in allowed:
        return
    elsewhere = _ELSEWHERE.get(name, {}).get(str(value).strip().casefold())
    hint = did_you_mean(str(value), allowed) if elsewhere is None else f" (write {elsewhere})"
    raise SpecificationError(
        f"{name} must be one of {', '.join(map(str, allowed))}, not {value!r}{hint}."
    )


def check_spec(value: object, caller: str) -> None:
    """Refuse what is no specification.

    Parameters
    ----------
    caller
        Which function takes it.

    Raises
    ------
    SpecificationError
        It says what was given.
    """
    if not isinstance(value, MixtureSpec):
        raise SpecificationError(
            f"{caller} takes a MixtureSpec first and then the data, not {kind_of(value)}. Write "
            "mixcompare.MixtureSpec('y ~ x', n_components=2)."
        )
