"""The manual's pages: what they link to and show is there, and every study is in the tour."""

import importlib
import re
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.test_architecture import ORDER

FOLDERS = ("studies", "tests")
PAGES = [
    ROOT / "README.md",
    *ROOT.glob("docs/**/*.md"),
    *(page for name in FOLDERS for page in ROOT.glob(f"{name}/**/README.md")),
]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for _, text, target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{text}: no {target}"
        assert not anchor or anchor in anchors(prose(file)), f"{text}: no heading {anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pictures_are_described(page: Path) -> None:
    for picture, text, target in LINK.findall(prose(page)):
        assert not picture or len(text) > 40, f"{target} needs a text that tells the finding"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_the_package_are_there(page: Path) -> None:
    said = re.findall(r"\b(?:mc|mixcompare)((?:\.[A-Za-z_]+)+)", page.read_text(encoding="utf-8"))
    for name in said:
        held, path = importlib.import_module("mixcompare"), "mixcompare"
        for part in name.split(".")[1:]:
            path = f"{path}.{part}"
            held = getattr(held, part, None) or importlib.import_module(path)


def test_the_manual_lists_the_packages_in_their_order() -> None:
    contributing = prose(ROOT / "README.md").split("## Contributing")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", contributing, flags=re.M)) == ORDER


def test_the_tour_has_every_study_and_shows_its_figure() -> None:
    tour = prose(ROOT / "studies" / "README.md")
    shown = {target for picture, _, target in LINK.findall(tour) if picture}
    headings = anchors(tour)
    for study in ROOT.glob("studies/*.toml"):
        assert any(anchor.startswith(f"{study.stem}-") for anchor in headings), study.stem
        assert f"figures/{study.stem}.svg" in shown, study.stem
