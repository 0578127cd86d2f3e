"""A study file's slips in its own words: line, table, key, value and what is allowed."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mixcompare.base.suggest import did_you_mean

# Characters of a value in a message.
_SHOWN: Final = 80
# Pydantic's words for these speak of Python's types, not of a file's.
_REASONS = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
}
_HEADER = re.compile(r"^\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_NAME = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"^\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")


def line_of(text: str, location: Sequence[str]) -> int | None:
    """Line, counted from 1, of a key or of the innermost table around it that has one."""
    header: tuple[str, ...] = ()
    lines: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEADER.match(line):
            header = _parts(match[1])
            lines.setdefault(header, number)
        elif match := _KEY.match(line):
            lines.setdefault((*header, *_parts(match[1])), number)
    for end in range(len(location), 0, -1):
        line_number = lines.get(tuple(location[:end]))
        if line_number is not None:
            return line_number
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(dotted))


def at_line(text: str, location: Sequence[str], message: str) -> str:
    """The message, after the line that it is about."""
    line = line_of(text, location)
    return message if line is None else f"line {line}: {message}"


def explain(detail: ErrorDetails, text: str, tables: type[BaseModel]) -> str:
    """One of pydantic's complaints in the words of a study file."""
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    return at_line(text, location, _problem(detail, location, tables))


def _problem(detail: ErrorDetails, location: list[str], tables: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        allowed = _allowed_keys(location[:-1], tables)
        return unknown_key(_table(location[:-1]), location[-1], allowed)
    if kind == "missing":
        return f"{_key(location)} is missing"
    if kind == "too_short" and location == ["methods"]:
        return "[methods] has no method; add a table [methods.NAME] with its backend"
    reason = _REASONS.get(kind) or detail["msg"].removeprefix("Value error, ")
    reason = reason.replace("Input should be", "must be")
    if not location:
        return f"the study {reason}" if not reason.startswith("[") else reason
    return f"{_key(location)}{_value(detail['input'], location)}: {reason}"


def _value(given: Any, location: list[str]) -> str:
    """``= 3``; nothing for tables and what is too long to be shown."""
    parts = given if isinstance(given, list) else [given]
    plain = all(isinstance(part, (str, int, float)) for part in parts) and location[-1] != given
    return f" = {given!r}" if plain and len(repr(given)) <= _SHOWN else ""


def unknown_keys(
    text: str, location: Sequence[str], given: Iterable[str], allowed: Sequence[str]
) -> list[str]:
    """A sentence for every key that is not among the allowed ones."""
    table = _table(list(location))
    return [
        at_line(text, [*location, key], unknown_key(table, key, allowed))
        for key in given
        if key not in allowed
    ]


def unknown_key(table: str, key: str, allowed: Sequence[str]) -> str:
    """Sentence about a key that does not exist, with the nearest one that does."""
    where = f"{table} has an unknown key" if table else "unknown table"
    return f"{where} {key!r}{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"


def _table(location: list[str]) -> str:
    return f"[{'.'.join(location)}]" if location else ""


def _key(location: list[str]) -> str:
    """``[table] key``, or ``[table]`` for a whole table."""
    is_table = len(location) == 1 or (len(location) == 2 and location[0] == "methods")
    return _table(location) if is_table else f"{_table(location[:-1])} {location[-1]}"


def _allowed_keys(location: list[str], tables: type[BaseModel]) -> list[str]:
    model = tables
    by_name = False
    for part in location:
        if by_name:
            by_name = False
            continue
        annotation = model.model_fields[part].annotation
        model = _model_in(annotation)
        by_name = "dict" in str(annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel]:
    """The table's class inside ``X | None`` or ``dict[str, X]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in reversed(typing.get_args(annotation)):
        try:
            return _model_in(inner)
        except TypeError:
            continue
    raise TypeError(f"{annotation!r} holds no table")
