"""The priors of a specification, frozen and checked when built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixcompare.base.checks import check_number, check_positive
from mixcompare.base.errors import SpecificationError

type ByOutcome = float | tuple[tuple[str, float], ...]
type ByCovariate = float | tuple[tuple[str, ByOutcome], ...]


@dataclass(frozen=True, slots=True)
class Priors:
    """Priors of the mixture, shared by every Bayesian use of a specification.

    A value of ``None`` stands for the default that is scaled to the data
    (`mixcompare.prepared.resolved_priors.resolve_priors`).

    Parameters
    ----------
    concentration
        Dirichlet concentration of the class weights, the same for every class,
        so that the posterior does not know one label from another.
    coefficient_mean, coefficient_sd
        Normal prior of the coefficients: a number for all, or a mapping from
        covariate names to a number or to a mapping from outcome names to numbers.
        Covariates that are not named keep the default.
    membership_sd
        Spread of the membership's log-odds per standard deviation of a unit covariate:
        each covariate's K coefficients, less their mean over the classes, are distributed
        like K independent Normal(0, membership_sd) less theirs, which treats all classes
        alike. One of them then has the standard deviation membership_sd sqrt(1 - 1/K), and
        the log-odds against the first class membership_sd sqrt(2). The weights have no prior
        of their own.
    covariance_df
        Degrees of freedom of the inverse-Wishart prior.
    covariance_scale
        Scale matrix of the inverse-Wishart prior, or a number for that multiple of
        the identity matrix.
    """

    concentration: float = 2.0
    coefficient_mean: ByCovariate | Mapping[str, Any] | None = None
    coefficient_sd: ByCovariate | Mapping[str, Any] | None = None
    membership_sd: float = 2.5
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
        _set(self, "membership_sd", _number("membership_sd", self.membership_sd, positive=True))
        if self.covariance_df is not None:
            _set(self, "covariance_df", _number("covariance_df", self.covariance_df, positive=True))
        if self.covariance_scale is not None:
            _set(self, "covariance_scale", _scale(self.covariance_scale))


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _number(name: str, value: object, *, positive: bool = False) -> float:
    if positive:
        return check_positive(f"prior {name}", value, error=SpecificationError)
    return check_number(f"prior {name}", value, error=SpecificationError)


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
