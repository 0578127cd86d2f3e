"""Files beside a page: tables as CSV at full precision, Markdown and LaTeX, figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from mixcompare.base.files.csv_text import csv_text
from mixcompare.pages.formatting import MISSING, Table
from mixcompare.pages.rendering import Drawing

# What the formatters write and LaTeX's default encoding does not know.
_SYMBOLS: Final = {
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{SUPERSCRIPT TWO}": r"$^{2}$",
    "\N{INFINITY}": r"$\infty$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    MISSING: "--",
}
_SPECIAL: Final = {
    **{character: f"\\{character}" for character in "%&#$_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
# Characters that a line of A4 holds in each size, columns being two apart, and the share of it
# that a paragraph has.
_SIZES: Final = (
    (80, "", 0.3),
    (96, r"\small", 0.3),
    (112, r"\footnotesize", 0.25),
    (140, r"\scriptsize", 0.16),
)
# No heading is broken into narrower lines than this, save at its words.
_NARROW: Final = 8
# A column with a longer text is a paragraph.
_LONG: Final = 45
_POWER = re.compile(" \N{MULTIPLICATION SIGN} 10([\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
# Characters that no text has a use for.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_DIGITS = str.maketrans("\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def csv(table: Table) -> str:
    """The values behind a table, under its headings."""
    names = [column.label for column in table.columns]
    return csv_text(pd.DataFrame(table.values, columns=names))


def markdown(table: Table) -> str:
    """A table of GitHub's Markdown with its caption above it."""
    head = [_cell(column.label) for column in table.columns]
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    rows = [[_cell(text) for text in row] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    return "\n".join((f"{_block(table.caption)}.", "", *lines, ""))


def _plain(text: str) -> str:
    return _CONTROL.sub("", text.striptags() if isinstance(text, Markup) else text)


def _cell(text: str) -> str:
    """A text without markup: emphasis, code, links, entities, strokes and formulas."""
    escaped = re.sub(r"([\\|*_`<>~]|&(?=#?\w+;)|\](?=[(\[:]))", r"\\\1", _plain(text))
    if escaped.count("$") > 1:
        escaped = escaped.replace("$", r"\$")
    return " ".join(escaped.split())


def _block(text: str) -> str:
    """A paragraph that is no heading, list, quotation or rule."""
    escaped = _cell(text)
    return re.sub(r"^(\d*)([-+#=.)>])", r"\1\\\2", escaped)


def latex(table: Table) -> str:
    """A ``longtable`` with rules of the package booktabs and a label ``tab:NAME``."""
    frame = pd.DataFrame(
        [[" ".join(_plain(text).split()) for text in row] for row in table.rows],
        columns=[column.label for column in table.columns],
    )
    numeric: dict[Any, bool] = {column.label: column.numeric for column in table.columns}
    heads: dict[Any, list[str]] = {label: _broken(label, frame[label]) for label in numeric}
    size, share = _size(frame, heads)
    styler = frame.style.format(escape="latex").format_index(
        lambda label: _stacked(heads[label], "r" if numeric[label] else "l"), axis="columns"
    )
    text = styler.hide(axis="index").to_latex(
        environment="longtable",
        column_format="".join(
            "r" if numeric[label] else _words(frame[label], share) for label in frame
        ),
        hrules=True,
        label=f"tab:{table.name}",
        caption=_escaped(table.caption),
    )
    # After a line's end LaTeX takes these for arguments of it.
    text = re.sub(r"(?m)^(?=[\[*])", "{}", str(text))
    text = _POWER.sub(lambda match: rf" $\times 10^{{{match[1].translate(_DIGITS)}}}$", text)
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    made = f"{{{size}\\setlength{{\\tabcolsep}}{{3pt}}\n{text}}}\n" if size else text
    return f"% needs \\usepackage{{booktabs, longtable}}\n{made}"


def _broken(label: str, texts: pd.Series[str]) -> list[str]:
    """Lines of a heading, which is not to be much wider than what stands below it."""
    widest = max(_widest(texts), _NARROW)
    lines: list[str] = []
    for word in re.findall(r"[^\s-]+-?", label):
        space = "" if lines and lines[-1].endswith("-") else " "
        if lines and len(lines[-1]) + len(space) + len(word) <= widest:
            lines[-1] += space + word
        else:
            lines.append(word)
    return lines


def _stacked(lines: list[str], side: str) -> str:
    escaped = [("{}" if line.startswith(("[", "*")) else "") + _escaped(line) for line in lines]
    return rf"\shortstack[{side}]{{{r'\\'.join(escaped)}}}" if len(lines) > 1 else "".join(escaped)


def _size(frame: pd.DataFrame, heads: Mapping[str, list[str]]) -> tuple[str, float]:
    """The largest size at which a table fits a page, and its paragraphs' share of the line."""
    widths = [min(_widest([*frame[label], *lines]), _LONG) + 2 for label, lines in heads.items()]
    fitting = ((size, share) for most, size, share in _SIZES if sum(widths) <= most)
    return next(fitting, _SIZES[-1][1:])


def _words(texts: pd.Series[str], share: float) -> str:
    """Format of a column of words; long texts are paragraphs of a share of the line."""
    return rf"p{{{share}\linewidth}}" if _widest(texts) > _LONG else "l"


def _widest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


FORMATS: Final[Mapping[str, Callable[[Table], str]]] = {"csv": csv, "md": markdown, "tex": latex}


def table_files(tables: Iterable[Table]) -> dict[str, str]:
    """Every table in every format, by its path in a report's folder."""
    return {
        f"tables/{table.name}.{suffix}": write(table)
        for table in tables
        for suffix, write in FORMATS.items()
    }


def figure_files(drawings: Iterable[Drawing]) -> dict[str, str | bytes]:
    """Every figure as SVG and PDF, by its path in a report's folder."""
    files: dict[str, str | bytes] = {}
    for drawing in drawings:
        files[f"figures/{drawing.name}.svg"] = drawing.svg
        files[f"figures/{drawing.name}.pdf"] = drawing.pdf
    return files


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write texts as UTF-8 with plain line ends, and bytes as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
