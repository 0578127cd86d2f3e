"""Tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

import io
import math
import re

import pandas as pd
from markupsafe import Markup

from mixcompare.base.files.csv_text import csv_text, unescape
from mixcompare.pages.exports import csv, latex, markdown
from mixcompare.pages.formatting import Column, Table, interval, significant, table


def example() -> Table:
    frame = pd.DataFrame({"em_lower": [-1.5, math.nan], "em_upper": [2.0, math.nan]})
    return table(
        "example",
        "Costs in $ & shares in %",
        [
            (Column("name_1", numeric=False), ["a|b", "x & <y>_z"], str),
            (Column("value"), [-1.25e-7, math.nan], significant),
            (Column("interval"), frame["em_lower"], interval(frame, "em")),
            (Column("place", numeric=False), ["", "here"], lambda t: Markup("<a>{}</a>").format(t)),
        ],
    )


def test_markdown() -> None:
    lines = markdown(example()).splitlines()
    assert lines[0] == "Costs in $ & shares in %."
    assert lines[2:4] == [r"| name\_1 | value | interval | place |", "| --- | ---: | ---: | --- |"]
    minus, times = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
    assert lines[4] == rf"| a\|b | {minus}1.250 {times} 10⁻⁷ | [{minus}1.500, 2.000] |  |"
    assert lines[5] == "| x & \\<y\\>\\_z | \N{EN DASH} | \N{EN DASH} | here |"


def test_latex() -> None:
    text = latex(example())
    assert r"\caption{Costs in \$ \& shares in \%} \label{tab:example}" in text
    assert r"\begin{longtable}{lrrl}" in text
    assert r"a|b & $-$1.250 $\times 10^{-7}$ & [$-$1.500, 2.000] &  \\" in text
    assert r"x \& <y>\_z & -- & -- & here \\" in text
    assert text.isascii()


def test_long_texts_are_paragraphs() -> None:
    made = table("long", "Long", [(Column("text", numeric=False), ["word " * 20], str)])
    assert r"\begin{longtable}{p{0.3\linewidth}}" in latex(made)


def test_wide_tables_are_made_to_fit() -> None:
    columns = [(Column(f"ECR-iterative number {i}"), [0.5], str) for i in range(12)]
    text = latex(table("wide", "From ~ to ^", columns))
    assert r"\shortstack[r]{ECR-\\iterative\\number 3}" in text
    assert "{\\scriptsize\\setlength{\\tabcolsep}{3pt}\n\\begin{longtable}{rrrrrrrrrrrr}" in text
    assert text.endswith("\\end{longtable}\n}\n")
    assert r"From \textasciitilde{} to \textasciicircum{}" in text
    assert "scriptsize" not in latex(table("narrow", "", columns[:3]))


def test_csv_has_the_values() -> None:
    read = pd.read_csv(io.StringIO(csv(example())))
    assert list(read.columns) == ["name_1", "value", "interval", "place"]
    assert read["value"][0] == -1.25e-7
    assert read["interval"][0] == -1.5


def test_cells_sort_by_their_values() -> None:
    assert example().keys == ((None, "-1.25e-07", "-1.5", None), (None, "", "", None))


HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "[click](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "~~struck~~ `code` **bold** $x$",
    "\\write18{ls} \\input{/etc/passwd} ^^5c",
    "a\n\nb | c",
    "*",
    "[1, 2]",
]


def hostile() -> Table:
    heads = [(Column(text, numeric=False), HOSTILE, str) for text in (HOSTILE[0], HOSTILE[6])]
    return table("hostile", HOSTILE[11], [*heads, (Column("value"), range(len(HOSTILE)), str)])


def test_no_cell_is_a_formula() -> None:
    read = pd.read_csv(io.StringIO(csv(hostile())), dtype=str, keep_default_na=False)
    cells = [*read.columns, *read.to_numpy().ravel()]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    assert [unescape(cell) for cell in read.iloc[:, 1]] == HOSTILE
    texts = ["-1", "+2.5e-3", "-inf", "-", "'=1", "\uff1d1"]
    frame = pd.DataFrame({"text": texts, "number": [-1.5, -2.0, 3.0, 1e-300, 0.1, 7.0], "n": -3})
    text = csv_text(frame)
    assert text.splitlines()[1:4] == ["-1,-1.5,-3", "+2.5e-3,-2.0,-3", "'-inf,3.0,-3"]
    back = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert back["text"].tolist() == ["-1", "+2.5e-3", "'-inf", "'-", "'=1", "'\uff1d1"]
    assert back["number"].tolist() == frame["number"].tolist()
    assert csv_text(frame[["number"]].rename_axis("=x"), index=True).startswith("'=x,number\n0,")


def test_no_cell_or_caption_is_markup() -> None:
    lines = markdown(hostile()).splitlines()
    assert len(lines) == 4 + len(HOSTILE)
    for line in lines:
        for mark in ("](", "<img", "&lt;", "~~", "**", "`code"):
            assert mark not in line.replace(f"\\{mark[0]}", "")
    for caption in ("# head", "- item", "+ item", "1. item", "2) item", "> quoted", "---", "=="):
        first = markdown(table("x", caption, [(Column("a"), [1], str)])).splitlines()[0]
        assert re.match(r"\d*\\", first)
    assert markdown(table("x", "[a]: http://b", [])).startswith(r"[a\]: ")


def test_no_cell_or_caption_is_a_command() -> None:
    text = latex(hostile())
    assert r"\textbackslash{}write18\{ls\} \textbackslash{}input\{/etc/passwd\}" in text
    assert not re.search(r"\\(write18|input)\b", text)
    assert not re.search(r"(?m)^[\[*]", text)
    assert "^^" not in text
    assert "\n\n" not in text
    broken = latex(table("x", "a\n\nb", [(Column("left [x] *"), [0.5], str)]))
    assert r"\caption{a b}" in broken
    assert r"\shortstack[r]{left [x]\\{}*}" in broken
