"""What is fitted: the model specification and its priors, frozen and checked when built."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast, get_args

import numpy as np
from formulaic import Formula, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.formula import StructuredFormula

from mixcompare.errors import SpecificationError

Covariance = Literal["full", "diagonal", "spherical"]
CovarianceBy = Literal["component", "shared"]

type ByOutcome = float | tuple[tuple[str, float], ...]
type ByCovariate = float | tuple[tuple[str, ByOutcome], ...]


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors of the mixture, shared by every Bayesian use of a specification.

    A value of ``None`` stands for the default that is scaled to the data
    (`mixcompare.priors.resolve_priors`).

    Parameters
    ----------
    concentration
        Dirichlet concentration of the class weights, the same for every class,
        so that the posterior does not know one label from another.
    coefficient_mean, coefficient_sd
        Normal prior of the coefficients: a number for all, or a mapping from
        covariate names to a number or to a mapping from outcome names to numbers.
        Covariates that are not named keep the default.
    covariance_df
        Degrees of freedom of the inverse-Wishart prior.
    covariance_scale
        Scale matrix of the inverse-Wishart prior, or a number for that multiple of
        the identity matrix.
    """

    concentration: float = 2.0
    coefficient_mean: ByCovariate | Mapping[str, Any] | None = None
    coefficient_sd: ByCovariate | Mapping[str, Any] | None = None
    covariance_df: float | None = None
    covariance_scale: float | tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        _set(self, "concentration", _number("concentration", self.concentration, positive=True))
        _set(self, "coefficient_mean", _by_covariate("coefficient_mean", self.coefficient_mean))
        _set(
            self,
            "coefficient_sd",
            _by_covariate("coefficient_sd", self.coefficient_sd, positive=True),
        )
        if self.covariance_df is not None:
            _set(self, "covariance_df", _number("covariance_df", self.covariance_df, positive=True))
        if self.covariance_scale is not None:
            _set(self, "covariance_scale", _scale(self.covariance_scale))


@dataclass(frozen=True, slots=True)
class MixtureSpec:
    """A multivariate normal regression with one latent class per unit.

    Parameters
    ----------
    formula
        Outcomes and covariates in formulaic's language, e.g. ``"y ~ x + C(group)"``
        or ``"y1 + y2 ~ 1"``. Coefficients vary by class.
    unit
        Column whose rows share one latent class; without it every row is a unit.
    absorb
        Column or columns whose crossing names the cells with a fixed effect of their
        own, e.g. ``"state"``, ``"artist:country"`` or ``("artist", "country")``. Cells
        must be nested in the unit; their effects are removed exactly.
    n_components
        Number of latent classes, K.
    covariance
        ``"full"``, ``"diagonal"`` or ``"spherical"`` covariance of the outcomes given
        the class. With one outcome the three are the same variance.
    covariance_by
        ``"component"`` for a covariance of each class, ``"shared"`` for one.
    priors
        Priors for the Bayesian backends, see `Priors`; maximum likelihood ignores them.

    Raises
    ------
    SpecificationError
        If a value is out of range or the formula cannot be parsed.

    Examples
    --------
    >>> spec = MixtureSpec("lifeExp ~ t + I(t**2)", unit="country", n_components=3)
    >>> spec == MixtureSpec.from_dict(spec.to_dict())
    True
    """

    formula: str
    unit: str | None = field(default=None, kw_only=True)
    absorb: str | Sequence[str] | None = field(default=None, kw_only=True)
    n_components: int = field(kw_only=True)
    covariance: Covariance = field(default="full", kw_only=True)
    covariance_by: CovarianceBy = field(default="component", kw_only=True)
    priors: Priors = field(default_factory=Priors, kw_only=True)

    def __post_init__(self) -> None:
        _check_formula(self.formula)
        if self.unit is not None and (not isinstance(self.unit, str) or not self.unit):
            raise SpecificationError(f"unit must be a column name or None, not {self.unit!r}.")
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
        for name in ("coefficient_mean", "coefficient_sd"):
            value = plain["priors"][name]
            if isinstance(value, list):
                plain["priors"][name] = {
                    covariate: dict(entry) if isinstance(entry, list) else entry
                    for covariate, entry in value
                }
        return cast("dict[str, Any]", plain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MixtureSpec:
        """Build a spec from `to_dict`'s output.

        Raises
        ------
        SpecificationError
            If a key is unknown (the allowed ones are named) or a value is not valid.
        """
        return _from_mapping(cls, values, "specification")

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content; equal specs have equal hashes in any process."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def n_parameters(self, n_covariates: int, n_outcomes: int) -> int:
        """Number of free parameters given the numbers of covariates p and outcomes m."""
        k, p, m = self.n_components, n_covariates, n_outcomes
        per_covariance = {"full": m * (m + 1) // 2, "diagonal": m, "spherical": 1}[self.covariance]
        n_covariances = k if self.covariance_by == "component" else 1
        return (k - 1) + k * p * m + n_covariances * per_covariance


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _from_mapping[T](cls: type[T], values: Mapping[str, Any], what: str) -> T:
    allowed = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise SpecificationError(
            f"unknown {what} key {', '.join(map(repr, unknown))}; allowed: {', '.join(allowed)}."
        )
    try:
        return cls(**values)
    except TypeError as error:
        raise SpecificationError(f"incomplete {what}: {error}.") from error


def _check_formula(formula: object) -> None:
    if not isinstance(formula, str) or not formula.strip():
        raise SpecificationError(f"formula must be a non-empty string, not {formula!r}.")
    try:
        parsed = Formula(formula)
        parsed.required_variables  # noqa: B018 (parses the Python inside the terms)
    except (FormulaicError, SyntaxError) as error:
        reason = str(error).splitlines()[0]
        raise SpecificationError(f"formula {formula!r} cannot be parsed: {reason}") from error
    sides = parsed._to_dict() if isinstance(parsed, StructuredFormula) else {}
    one_part = all(isinstance(side, SimpleFormula) for side in sides.values())
    if set(sides) != {"lhs", "rhs"} or not one_part:
        raise SpecificationError(
            f"formula {formula!r} must have outcomes, one '~' and covariates, as in 'y ~ x'."
        )


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


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecificationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")


def _number(name: str, value: object, *, positive: bool = False) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (positive and number <= 0):
        kind = "a positive number" if positive else "a finite number"
        raise SpecificationError(f"prior {name} must be {kind}, not {value!r}.")
    return number


def _by_covariate(name: str, value: object, *, positive: bool = False) -> ByCovariate | None:
    if value is None:
        return None
    if not isinstance(value, (Mapping, tuple, list)):
        return _number(name, value, positive=positive)
    return tuple(
        (str(covariate), _by_outcome(f"{name}[{covariate!r}]", entry, positive=positive))
        for covariate, entry in _pairs(name, value)
    )


def _by_outcome(name: str, value: object, *, positive: bool) -> ByOutcome:
    if not isinstance(value, (Mapping, tuple, list)):
        return _number(name, value, positive=positive)
    return tuple(
        (str(outcome), _number(f"{name}[{outcome!r}]", entry, positive=positive))
        for outcome, entry in _pairs(name, value)
    )


def _pairs(name: str, value: Mapping[Any, Any] | Sequence[Any]) -> list[tuple[Any, Any]]:
    try:
        return sorted(dict(value).items())
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"prior {name} must be a number or a mapping from names, not {value!r}."
        ) from error


def _scale(value: object) -> float | tuple[tuple[float, ...], ...]:
    name = "covariance_scale"
    if not isinstance(value, Sequence):
        return _number(name, value, positive=True)
    if not all(isinstance(row, Sequence) and not isinstance(row, str) for row in value):
        raise SpecificationError(f"prior {name} must be a number or a matrix, not {value!r}.")
    rows = tuple(tuple(_number(name, entry) for entry in row) for row in value)
    if not _positive_definite(rows):
        raise SpecificationError(
            f"prior {name} must be a symmetric positive definite matrix, not {value!r}."
        )
    return rows


def _positive_definite(rows: tuple[tuple[float, ...], ...]) -> bool:
    if not rows or any(len(row) != len(rows) for row in rows):
        return False
    matrix = np.asarray(rows)
    return bool(np.array_equal(matrix, matrix.T) and np.all(np.linalg.eigvalsh(matrix) > 0))
