"""Words and reasons of the verdicts: one table, in the code, the manual and the report."""

import ast
import inspect
import re
from typing import get_args

import pytest

from mixcompare.comparison import glossary
from mixcompare.comparison.glossary import MANUAL, REASONS, WORDS, Entry, Word
from mixcompare.report.comparison_page import _BADGES
from tests.places import ROOT

ENTRIES = (*WORDS, *REASONS.values())


def manual_rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table below a heading of the manual."""
    text = (ROOT / MANUAL).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*) \|$", text, flags=re.M)
    return [tuple(re.sub(r"[`*]", "", cell) for cell in row.split(" | ")) for row in rows[2:]]


@pytest.mark.parametrize(("heading", "entries"), [("Verdicts", WORDS), ("Reasons", REASONS)])
def test_the_manual_has_the_table(heading: str, entries: object) -> None:
    listed = entries.values() if isinstance(entries, dict) else entries
    assert isinstance(listed, type(REASONS.values()) | tuple)
    assert manual_rows(heading) == [(e.name, e.meaning, e.remedy) for e in listed]


def test_every_reason_is_in_the_table_and_none_is_made_elsewhere() -> None:
    named = {value for value in vars(glossary).values() if isinstance(value, Entry)}
    assert named == set(REASONS.values())
    makers = [
        path.stem
        for path in (ROOT / "mixcompare").rglob("*.py")
        if any(
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == Entry.__name__
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    ]
    assert makers == ["glossary"]
    assert len({e.name for e in ENTRIES}) == len(ENTRIES)


def test_every_word_is_in_the_table_and_has_a_badge() -> None:
    assert [e.name for e in WORDS] == list(get_args(Word.__value__)) == list(_BADGES)
    signs = [sign for _, sign in _BADGES.values()]
    assert len(set(signs)) == len(signs)  # told without colour
    assert _BADGES["not judged"][0] == "neutral"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entries_are_whole_sentences(entry: Entry) -> None:
    for text in (entry.meaning, entry.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
    assert inspect.cleandoc(entry.meaning) == entry.meaning
