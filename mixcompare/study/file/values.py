"""What study files are made of: tables that refuse unknown keys, and values with rules."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mixcompare import datasets
from mixcompare.base.suggest import did_you_mean


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError(
            "must be lower-case letters, digits, '-' and '_', since it names files and folders"
        )
    return value


def _panel_name(value: str | None) -> str | None:
    if value is not None and value not in datasets.names():
        hint = did_you_mean(value, datasets.names())
        raise ValueError(f"must be one of {', '.join(datasets.names())}{hint}")
    return value


def _weights(value: list[float]) -> list[float]:
    # Written so that a NaN fails it, with which every comparison is false.
    if not value or not all(0 < weight <= 1 for weight in value) or not abs(sum(value) - 1) <= 1e-9:
        raise ValueError(f"must be positive numbers that sum to 1, not to {sum(value):g}")
    return value


def _finite(value: Any) -> Any:
    """Numbers however nested, none of them infinite or NaN; None for what is not given."""
    if isinstance(value, list):
        for entry in value:
            _finite(entry)
    elif isinstance(value, bool | str) or (value is not None and not _is_finite(value)):
        raise ValueError(f"must be finite numbers, and {value!r} is none")
    return value


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (OverflowError, TypeError):  # a whole number too large, or no number
        return False


def _periods(value: Any) -> Any:
    whole = [value] if isinstance(value, int) else value
    if (
        not isinstance(whole, list)
        or len(whole) > 2
        or not all(type(n) is int and n >= 1 for n in whole)
        or whole != sorted(whole)
    ):
        raise ValueError("must be a whole number of rows, or [fewest, most] for unbalanced units")
    return value


def _function(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError("must be 'package.module:function', a function that gives a table")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
PanelName = Annotated[str | None, AfterValidator(_panel_name)]
Function = Annotated[str | None, AfterValidator(_function)]
Finite = AfterValidator(_finite)
Weights = Annotated[list[float], AfterValidator(_weights)]
Periods = Annotated[Any, AfterValidator(_periods)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# What a store and a saved fit hold as a whole number.
Seed = Annotated[int, Field(ge=0, lt=2**63)]
# The clocks that end a fit count no further; it is three years.
Seconds = Annotated[float, Field(gt=0, le=1e8)]


class Table(BaseModel):
    """A table without other keys."""

    # Strict, because a quoted number or a `true` for a count is a slip, not a choice.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class OpenTable(BaseModel):
    """A table whose further keys somebody else checks."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    @property
    def further(self) -> dict[str, Any]:
        """The keys that are not declared."""
        return dict(self.model_extra or {})
