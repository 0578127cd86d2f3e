"""The record inside a report's page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from mixcompare.errors import DataError

ELEMENT: Final = "mixcompare-record"


def for_script(text: str) -> str:
    """JSON that ends no script element early, whatever a name or a study file says."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def read_record(report: str | Path) -> dict[str, Any]:
    """What a report's page carries.

    Raises
    ------
    DataError
        If the file cannot be read or is not such a page.
    """
    path = Path(report)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"report {path} cannot be read: {reason}.") from error
    finder = _Finder()
    finder.feed(text)
    try:
        record: dict[str, Any] = json.loads(finder.found)
    except ValueError as error:
        raise DataError(
            f"{path} is not a report that mixcompare can make again: it carries no record of its "
            "study. Give a report.html that `mixcompare run` or `mixcompare compare` has written."
        ) from error
    return record


class _Finder(HTMLParser):
    """The text of the element with our id."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", ELEMENT) in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found += data
