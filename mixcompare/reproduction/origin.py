"""Where a comparison's data and settings came from, as its report tells."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    study: str = ""
    panel: str | None = None
    file: str | None = None
