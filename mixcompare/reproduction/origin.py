"""Where a comparison's data and settings came from, as its report tells."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to a comparison.

    Attributes
    ----------
    study
        Text of the study file; empty if there was none.
    panel
        Name of the panel, as `mixcompare.datasets.load` knows it, if it was one.
    file
        Name of the data file, if it was one.
    place
        Digest of where that file is, see `mixcompare.base.files.ownership.place_of`.
    quick
        Whether the fits have few starts and draws, only to see whether everything works.
    """

    study: str = ""
    panel: str | None = None
    file: str | None = None
    place: str | None = None
    quick: bool = False

    @property
    def aims(self) -> tuple[str, ...]:
        """Paragraphs of what the study is to find out, by its ``[aims]``; empty without any."""
        text = str(_table(self.study, "aims").get("text", ""))
        paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
        return tuple(part for part in paragraphs if part)


def _table(study: str, name: str) -> dict[str, Any]:
    entries = tomllib.loads(study).get(name, {})
    return entries if isinstance(entries, dict) else {}
