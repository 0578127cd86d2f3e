"""Checklists are complete, filled from the fits where they can be, and open items show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mixcompare as mc
from mixcompare.pages.formatting import Table
from mixcompare.pages.shell import Section
from mixcompare.report import sections, write_comparison
from mixcompare.report.checklists import checklists
from mixcompare.report.checklists.answers import Facts
from mixcompare.report.checklists.filling import RULES, answer_of, published
from mixcompare.report.provenance import provenance
from mixcompare.reproduction import Origin
from tests.report_page import Page, comparison_of, growth
from tests.stand_in_posterior import stand_in

# Van de Schoot et al. 2017, table 2, and Kruschke 2021, table 1: the numbers of the items.
GROLTS = [*"12", "3a", "3b", "3c", *"45", "6a", "6b", *"789", *map(str, range(10, 14))]
GROLTS += ["14a", "14b", "14c", "15", "16"]
BARG = [
    f"{step}.{letter}"
    for step, letters in enumerate(("AB", "ABCDE", "ABCD", "ABC", "ABCDE", "ABCDE"))
    for letter in letters
]
STEP_6 = ("software", "code and data", "readable code", "further files", "runs as posted")
BARG += [f"6 {subject}" for subject in (*STEP_6, "same chains")]


@pytest.fixture(scope="module")
def comparison() -> mc.Comparison:
    return comparison_of(mc.MixtureSpec("y ~ t", unit="unit", n_components=2), growth(), draws=20)


def filled(comparison: mc.Comparison, *anchors: str, **more: Any) -> dict[str, pd.DataFrame]:
    """Both checklists by name, rows by item; `anchors` of sections beside the report's own."""
    shown = list(sections.sections(comparison, {o.anchor: () for o in sections.SECTIONS}))
    shown += [Section(anchor, anchor, ()) for anchor in anchors]
    record = provenance(comparison, more.pop("origin", Origin()))
    made = checklists(comparison, shown, record, more)
    return {table.name: _frame(table) for table in made}


def _frame(table: Table) -> pd.DataFrame:
    names = [column.label for column in table.columns]
    return pd.DataFrame(table.values, columns=names).set_index("item")


def test_items_are_the_published_ones(comparison: mc.Comparison) -> None:
    found = filled(comparison)
    assert list(found["grolts"].index) == GROLTS
    assert list(found["barg"].index) == BARG
    used = {item.rule for listed in published() for item in listed.items}
    assert set(RULES) == used - {None}
    for table in found.values():
        assert set(table["answered"]) == {"automatic", "author: open", "not applicable"}
        answered = table[table["answered"] != "author: open"]
        assert (answered["answer"].str.len() > 10).all()
        assert (table["question"].str.endswith("?")).all()


def test_answers_come_from_the_fits(comparison: mc.Comparison) -> None:
    found = filled(comparison)
    grolts, barg = found["grolts"], found["barg"]
    assert "4 starts (kmeans" in grolts["answer"]["9"]
    assert grolts["answer"]["12"].startswith("Here, by EM: 16, 8 units.")
    entropy = comparison.agreement["value"]["relative entropy, EM"]
    assert f"Relative entropy {entropy:.3f} by EM" in grolts["answer"]["13"]
    assert grolts["answered"]["3a"] == "not applicable"
    assert f"{comparison.estimates['r_hat'].max():.3f}" in barg["answer"]["2.B"]
    assert barg["answer"]["1.E"] == comparison.prior_check.sentence
    assert barg["answer"]["3.A"] == comparison.predictive_check.sentence
    assert barg["answer"]["5.A"].startswith("Power-scaling: ")
    assert barg["answered"]["6 code and data"] == "author: open"
    assert barg["answered"]["6 same chains"] == "automatic"


def test_places_are_in_the_page(
    comparison: mc.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        write_comparison, "drawings", lambda _: {o.anchor: () for o in sections.SECTIONS}
    )
    page = Page(mc.write_report(comparison, tmp_path).read_text("utf-8"))
    places = {link[1:] for link in page.links if link.startswith("#")}
    assert {p for p in places if not p.startswith("figure-")} <= set(page.ids)
    written = pd.read_csv(tmp_path / "tables" / "grolts.csv", dtype=str)
    assert list(written["item"]) == GROLTS
    assert "author: open" in (tmp_path / "tables" / "barg.md").read_text("utf-8")


def test_an_author_answers(comparison: mc.Comparison) -> None:
    own = filled(comparison, **{"GRoLTS 7": "A linear trend, and a quadratic one."})["grolts"]
    assert own["answered"]["7"] == "by the author"
    assert own["answer"]["7"] == "A linear trend, and a quadratic one."
    with pytest.raises(mc.OptionError, match=r"'GRoLTS 3d'.*did you mean"):
        filled(comparison, **{"GRoLTS 3d": "none"})


def test_aims_and_panel_of_a_study(comparison: mc.Comparison) -> None:
    origin = Origin(study='[aims]\ntext = "Do they\\nagree?"', panel="gapminder")
    barg = filled(comparison, origin=origin)["barg"]
    assert barg["answer"]["0.B"] == "Do they agree?"
    assert "'gapminder'" in barg["answer"]["6 code and data"]


def test_a_selection_answers_items(comparison: mc.Comparison) -> None:
    found = filled(comparison, "selection")
    for item in ("10", "11", "12", "14b"):
        assert found["grolts"]["answered"][item] == "automatic"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, ["not applicable"] * 3),
        (["loo"], ["not applicable"] * 3),
        (["loo", "smc"], ["automatic", "author", "author"]),
    ],
)
def test_bayes_factors_follow_from_marginal_likelihoods(
    comparison: mc.Comparison, asked: list[str] | None, expected: list[str]
) -> None:
    record = {"selection": None if asked is None else {"asked": {"posterior": asked}}}
    facts = Facts(comparison, (), record)
    items = [item for listed in published() for item in listed.items if "evidence" in item.needs]
    assert [answer_of(item, facts).status for item in items] == expected


def test_a_mixture_without_trajectories() -> None:
    spec = mc.MixtureSpec("y + w ~ 1", n_components=2)
    grolts = filled(comparison_of(spec, growth(), draws=20))["grolts"]
    for item in ("1", "2", "14a", "14b", "14c"):
        assert grolts["answered"][item] == "not applicable"


def test_unbalanced_units_and_missing_values() -> None:
    frame = growth().iloc[:-2]
    frame.loc[0, "y"] = float("nan")
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
    em = mc.fit(spec, frame, backend="em", starts=4, seed=1, missing="drop", progress=False)
    grolts = filled(mc.compare(em, stand_in(em, draws=20, chains=2)))["grolts"]
    assert grolts["answer"]["3a"] == "1 row had missing values: say why."
    assert "1 row with missing values was dropped" in grolts["answer"]["3c"]
    assert grolts["answered"]["2"] == "author: open"
