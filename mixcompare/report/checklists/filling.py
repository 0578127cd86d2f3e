"""Checklists read from their files and filled: by rules, by the author, or left to the author."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import did_you_mean
from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import Column, Table, table
from mixcompare.pages.shell import Section
from mixcompare.report.checklists.answers import Answer, Facts, Status
from mixcompare.report.checklists.barg import BARG_RULES
from mixcompare.report.checklists.grolts import GROLTS_RULES

RULES: Final = {**GROLTS_RULES, **BARG_RULES}
_FILES: Final = ("grolts.toml", "barg.toml")
_OPEN: Final = "author: open"


@dataclass(frozen=True, slots=True)
class Item:
    """One item: number, question, and the rule that answers it or the answer that always holds."""

    number: str
    asks: str
    rule: str | None = None
    status: Status = "author"
    answer: str = ""
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Checklist:
    """A published checklist."""

    name: str
    title: str
    source: str
    items: tuple[Item, ...]

    def key(self, item: Item) -> str:
        """What an author calls an item, such as ``"GRoLTS 3a"``."""
        return f"{self.name} {item.number}"


@cache
def published() -> tuple[Checklist, ...]:
    """The checklists of this package."""
    folder = resources.files(__package__)
    read = (tomllib.loads(folder.joinpath(name).read_text("utf-8")) for name in _FILES)
    return tuple(
        Checklist(**{**content, "items": tuple(Item(**item) for item in content["items"])})
        for content in read
    )


def check_answers(answers: Mapping[str, str]) -> None:
    """Refuse answers to items that there are not.

    Parameters
    ----------
    answers
        By item, such as ``{"GRoLTS 3a": "..."}``.

    Raises
    ------
    OptionError
        If an answer is to no item.
    """
    known = [listed.key(item) for listed in published() for item in listed.items]
    for key in answers:
        if key not in known:
            raise OptionError(
                f"no checklist has the item {key!r}{did_you_mean(str(key), known)}; items are "
                f"named like {known[0]!r} or {known[-1]!r}."
            )


def checklists(
    comparison: Comparison,
    sections: Sequence[Section],
    record: Mapping[str, Any],
    answers: Mapping[str, str],
) -> list[Table]:
    """Every checklist as a table, one row per item.

    Parameters
    ----------
    comparison, sections, record
        What is reported, in which sections, and its provenance.
    answers
        The author's, by item, see `check_answers`, which refuses others.
    """
    check_answers(answers)
    facts = Facts(comparison, frozenset(s.anchor for s in sections), record)
    return [_filled(listed, facts, answers) for listed in published()]


def _filled(listed: Checklist, facts: Facts, answers: Mapping[str, str]) -> Table:
    answered = [_answer(item, facts, answers.get(listed.key(item))) for item in listed.items]
    statuses = [status for status, _ in answered]
    return table(
        listed.name.lower(),
        f"{listed.title} ({listed.source}); {statuses.count(_OPEN)} of {len(statuses)} items are "
        "left to the author",
        [
            (Column("item", numeric=False), [item.number for item in listed.items], str),
            (Column("question", numeric=False), [item.asks for item in listed.items], str),
            (Column("answered", numeric=False), statuses, _badge),
            (
                Column("place", numeric=False),
                [answer.place or "" for _, answer in answered],
                _link,
            ),
            (Column("answer", numeric=False), [answer.text for _, answer in answered], str),
        ],
    )


def _answer(item: Item, facts: Facts, given: str | None) -> tuple[str, Answer]:
    fixed = Answer(item.status, item.answer, item.place)
    answered = RULES[item.rule](facts) if item.rule else fixed
    if given is not None:
        return "by the author", Answer("author", given, answered.place)
    return (_OPEN if answered.status == "author" else answered.status), answered


def _badge(status: str) -> Markup:
    kind = {"automatic": " good", "by the author": " good", _OPEN: " unsure"}.get(status, "")
    return Markup('<span class="badge{}">{}</span>').format(kind, status)


def _link(place: str) -> Markup:
    words = place.removeprefix("table-").removeprefix("figure-")
    if not words:
        return Markup()
    return Markup('<a href="#{}">{}</a>').format(place, words.replace("-", " "))
