"""Checklists read from their files and filled: by rules, by the author, or left to the author."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import did_you_mean
from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import Table, frame_table, words
from mixcompare.pages.shell import Section
from mixcompare.report.checklists import barg, grolts
from mixcompare.report.checklists.answers import NEEDS, Answer, Facts, Status, rules_of

RULES: Final = rules_of(grolts) | rules_of(barg)
_FILES: Final = ("grolts.toml", "barg.toml")
_OPEN: Final = "author: open"


@dataclass(frozen=True, slots=True)
class Item:
    """One item: number, question, and the rule that answers it or the answer that always holds.

    `needs` are of `NEEDS`; where one is not met, its answer is the item's. A fixed answer may name
    facts, such as ``{facts.formula}``.
    """

    number: str
    asks: str
    needs: Sequence[str] = ()
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
    frame = pd.DataFrame(
        [
            (item.number, item.asks, *_answer(item, facts, answers.get(listed.key(item))))
            for item in listed.items
        ],
        columns=["item", "question", "answered", "place", "answer"],
    )
    return frame_table(
        listed.name.lower(),
        f"{listed.title} ({listed.source}); {(frame['answered'] == _OPEN).sum()} of {len(frame)} "
        "items are left to the author",
        frame,
        words("item", "question"),
        words("answered", show=_badge),
        words("place", show=_link),
        words("answer"),
    )


def answer_of(item: Item, facts: Facts) -> Answer:
    """The answer that the facts give to an item, or what they leave to the author."""
    for holds, otherwise in map(NEEDS.__getitem__, item.needs):
        if not holds(facts):
            return otherwise
    if item.rule:
        return RULES[item.rule](facts)
    return Answer(item.status, item.answer.format(facts=facts), item.place)


def _answer(item: Item, facts: Facts, given: str | None) -> tuple[str, str, str]:
    """How an item is answered, the anchor of more, and the answer."""
    answer = answer_of(item, facts)
    place = answer.place or ""
    if given is not None:
        return "by the author", place, given
    return (_OPEN if answer.status == "author" else answer.status), place, answer.text


def _badge(status: str) -> Markup:
    kind = {"automatic": " good", "by the author": " good", _OPEN: " unsure"}.get(status, "")
    return Markup('<span class="badge{}">{}</span>').format(kind, status)


def _link(place: str) -> Markup:
    words = place.removeprefix("table-").removeprefix("figure-")
    if not words:
        return Markup()
    return Markup('<a href="#{}">{}</a>').format(place, words.replace("-", " "))
