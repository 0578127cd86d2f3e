"""The record inside a report's page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from mixcompare.base.errors import DataError
from mixcompare.base.suggest import kind_of

ELEMENT: Final = "mixcompare-record"
# In the record: digests of what the page shows.
SHOWN: Final = "shown_sha256"
REST: Final = "what is beside its tables"
_RECORD: Final = re.compile(
    rf'(<script type="application/json" id="{ELEMENT}">)(.*?)(</script>)', re.DOTALL
)
_TABLE: Final = re.compile(r'(<table aria-labelledby="table-([^"]*)">)(.*?)(</table>)', re.DOTALL)


def for_script(text: str) -> str:
    """JSON that ends no script element early, whatever a name or a study file says."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def embed(page: str, text: str) -> str:
    """The page with the text as its record, in place of what it carried."""
    return _RECORD.sub(lambda match: f"{match[1]}\n{text}\n{match[3]}", page, count=1)


def shown_digests(page: str) -> dict[str, str]:
    """SHA-256 of every table of a page, and of the rest of it; the record is left out.

    Every character but the record's is in one of them; ends of lines count alike however they
    are written.
    """
    text = page.replace("\r\n", "\n").replace("\r", "\n")
    text = _RECORD.sub(r"\1\3", text, count=1)
    parts: dict[str, str] = {}
    for match in _TABLE.finditer(text):
        parts[match[2]] = parts.get(match[2], "") + match[3]
    parts[REST] = _TABLE.sub(r"\1\4", text)
    return {name: hashlib.sha256(part.encode()).hexdigest() for name, part in parts.items()}


def changed_parts(report: str | Path, record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What a page shows otherwise than when it was written: names of tables, and `REST`.

    Returns
    -------
    None if the record does not say what the page showed, as earlier versions' do not. Empty
    also for a page that shows nothing.
    """
    page = Path(report).read_text("utf-8")
    if not re.sub(r"<[^>]*>", "", _RECORD.sub("", page, count=1)).strip():
        return ()
    said = record.get(SHOWN)
    if not isinstance(said, Mapping):
        return None
    now = shown_digests(page)
    return tuple(name for name in {**said, **now} if said.get(name) != now.get(name))


def read_record(report: str | Path) -> dict[str, Any]:
    """What a report's page carries.

    Raises
    ------
    DataError
        If the file cannot be read or is not such a page.
    """
    if not isinstance(report, (str, Path)):
        raise DataError(f"reproduce takes the path of a report.html, not {kind_of(report)}.")
    path = Path(report)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"report {path} cannot be read: {reason}.") from error
    finder = _Finder()
    finder.feed(text)
    try:
        record: dict[str, Any] = json.loads(finder.text)
        if not isinstance(record, dict):
            raise ValueError("it is no table of entries")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not a report that mixcompare can make again: it carries no record of its "
            "study. Give a report.html that `mixcompare run` or `mixcompare compare` has written."
        ) from error
    return record


class _Finder(HTMLParser):
    """The text of the element with our id."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", ELEMENT) in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text += data
