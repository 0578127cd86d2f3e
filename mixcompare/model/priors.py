"""The priors of a specification, frozen and checked when built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
        for name, default in ((field.name, field.default) for field in fields(self)):
            value = getattr(self, name)
            if value is not None or default is not None:
                object.__setattr__(self, name, _checked(name, value))


def _checked(name: str, value: Any) -> Any:
    if name == "covariance_scale" and isinstance(value, Sequence):
        return _matrix(value)
    levels = 2 if name in ("coefficient_mean", "coefficient_sd") else 0
    return _nested(name, value, levels, positive=name != "coefficient_mean")


def _nested(name: str, value: Any, levels: int, *, positive: bool = False) -> Any:
    """A number, or up to so many levels of mappings from names, as sorted pairs."""
    if not levels or not isinstance(value, (Mapping, tuple, list)):
        check = check_positive if positive else check_number
        return check(f"prior {name}", value, error=SpecificationError)
    return tuple(
        (str(key), _nested(f"{name}[{key!r}]", entry, levels - 1, positive=positive))
        for key, entry in _pairs(name, value)
    )


def _pairs(name: str, value: Mapping[Any, Any] | Sequence[Any]) -> list[tuple[Any, Any]]:
    try:
        return sorted(dict(value).items())
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"prior {name} must be a number or a mapping from names, not {value!r}."
        ) from error


def _matrix(value: Sequence[Any]) -> tuple[tuple[float, ...], ...]:
    name = "covariance_scale"
    if not all(isinstance(row, Sequence) and not isinstance(row, str) for row in value):
        raise SpecificationError(f"prior {name} must be a number or a matrix, not {value!r}.")
    rows = tuple(tuple(_nested(name, entry, 0) for entry in row) for row in value)
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
