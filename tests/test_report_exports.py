"""Tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

import io
import math

import pandas as pd
from markupsafe import Markup

from mixcompare.report.exports import csv, latex, markdown
from mixcompare.report.formatting import Column, Table, interval, significant, table


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
