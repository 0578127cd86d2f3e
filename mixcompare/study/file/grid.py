"""Scenarios from the factors of a study's grid."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from mixcompare.study.file.schema import GridTable

# Key of a listed combination that is no factor: what it is called where its levels are long.
LABEL: Final = "label"


def n_combinations(grid: GridTable) -> int:
    """How many there are."""
    return math.prod(map(len, grid.crossed.values())) * max(1, len(grid.listed))


def combinations(grid: GridTable) -> list[dict[str, Any]]:
    """Levels by dotted key: every listed combination with every one of the crossed factors."""
    crossed = grid.crossed
    rest = [
        dict(zip(crossed, levels, strict=True)) for levels in itertools.product(*crossed.values())
    ]
    return [{**listed, **levels} for listed in grid.listed or [{}] for levels in rest]


def scenario_label(levels: Mapping[str, Any], given: str | None = None) -> str:
    """``units=50, separation=1``, after a listed combination's own label."""
    named = [f"{name}={_level(value)}" for name, value in levels.items()]
    return ", ".join(named if given is None else [given, *named])


def _level(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(value, separators=(",", ":"))
