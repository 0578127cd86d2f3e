"""What answers an item of a checklist, and what answers are made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mixcompare.comparison import Comparison

Status = Literal["automatic", "author", "not applicable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to an item.

    Attributes
    ----------
    status
        ``"automatic"`` if the fits answer it; ``"author"`` if only the author can;
        ``"not applicable"`` to this model or these data.
    text
        The answer, or what is still asked of the author.
    place
        Anchor of the place in the report where more is; None if there is none.
    """

    status: Status
    text: str
    place: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What rules read.

    Attributes
    ----------
    comparison
        What is reported.
    sections
        Anchors of the report's sections.
    record
        Its provenance, see `mixcompare.report.provenance`.
    """

    comparison: Comparison
    sections: Collection[str]
    record: Mapping[str, Any]


def automatic(text: str, place: str) -> Answer:
    """An answer that the fits give."""
    return Answer("automatic", text, place)


def author(text: str, place: str | None = None) -> Answer:
    """A question to the author."""
    return Answer("author", text, place)


def not_applicable(text: str) -> Answer:
    """A reason why an item does not apply."""
    return Answer("not applicable", text)
