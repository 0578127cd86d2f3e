"""What study files are made of: tables that refuse unknown keys, and values with rules."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mixcompare import datasets
from mixcompare.suggest import did_you_mean


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
    if not value or min(value) <= 0 or abs(sum(value) - 1) > 1e-9:
        raise ValueError(f"must be positive numbers that sum to 1, not to {sum(value):g}")
    return value


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
Weights = Annotated[list[float], AfterValidator(_weights)]
Periods = Annotated[Any, AfterValidator(_periods)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """A table without other keys."""

    # Strict, because a quoted number or a `true` for a count is a slip, not a choice.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OpenTable(BaseModel):
    """A table whose further keys somebody else checks."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @property
    def further(self) -> dict[str, Any]:
        """The keys that are not declared."""
        return dict(self.model_extra or {})
