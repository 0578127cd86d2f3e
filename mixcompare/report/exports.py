"""Files beside a page: tables as CSV at full precision, Markdown and LaTeX, figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from markupsafe import Markup

from mixcompare.report.formatting import MISSING, Table
from mixcompare.report.rendering import Drawing

# What the formatters write and LaTeX's default encoding does not know.
_SYMBOLS: Final = {
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{SUPERSCRIPT TWO}": r"$^{2}$",
    "\N{INFINITY}": r"$\infty$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    MISSING: "--",
}
# A column with a longer text is a paragraph of this share of a line.
_LONG: Final = 45
_PARAGRAPH: Final = 0.3
_POWER = re.compile(" \N{MULTIPLICATION SIGN} 10([\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def csv(table: Table) -> str:
    """The values behind a table, under its headings."""
    names = [column.label for column in table.columns]
    return pd.DataFrame(table.values, columns=names).to_csv(index=False)


def markdown(table: Table) -> str:
    """A table of GitHub's Markdown with its caption above it."""
    head = [_cell(column.label) for column in table.columns]
    rule = ["---:" if column.numeric else "---" for column in table.columns]
    rows = [[_cell(text) for text in row] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    return "\n".join((f"{table.caption}.", "", *lines, ""))


def _plain(text: str) -> str:
    return text.striptags() if isinstance(text, Markup) else text


def _cell(text: str) -> str:
    escaped = re.sub(r"([\\|*_`<>])", r"\\\1", _plain(text))
    return " ".join(escaped.split())


def latex(table: Table) -> str:
    """A ``longtable`` with rules of the package booktabs and a label ``tab:NAME``."""
    frame = pd.DataFrame(
        [[_plain(text) for text in row] for row in table.rows],
        columns=[column.label for column in table.columns],
    )
    styler = frame.style.format(escape="latex").format_index(escape="latex", axis="columns")
    text: str = styler.hide(axis="index").to_latex(
        environment="longtable",
        column_format="".join(_format(frame[c.label], c.numeric) for c in table.columns),
        hrules=True,
        label=f"tab:{table.name}",
        caption=_escaped(table.caption),
    )
    text = _POWER.sub(lambda match: rf" $\times 10^{{{match[1].translate(_DIGITS)}}}$", text)
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    return f"% needs \\usepackage{{booktabs, longtable}}\n{text}"


def _format(texts: pd.Series[str], numeric: bool) -> str:
    """Of a LaTeX column; long texts are paragraphs."""
    if numeric:
        return "r"
    return rf"p{{{_PARAGRAPH}\linewidth}}" if texts.str.len().max() > _LONG else "l"


def _escaped(text: str) -> str:
    return re.sub(r"([%&#$_{}])", r"\\\1", text)


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
