"""The report of a simulation study in a real browser, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mixcompare.study.file.load import build_study
from mixcompare.study.run.run_study import run_study
from tests.browser import check_accessible, check_keyboard, needs_browser, opened, press, scheme
from tests.study_cases import content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the report of a study in which one fit of each replicate fails."""
    output = tmp_path_factory.mktemp("study")
    bad = {"backend": "em", "starts": 1, "n_components": 31, "replicates": 1}
    report = run_study(build_study(content(methods__bad=bad)), output).report
    assert report == output / "report.html"
    return output


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_window_size(1300, 1000)
        driver.get((folder / "report.html").as_uri())
        yield driver


def test_every_table_and_figure_is_a_file_in_every_format(folder: Path) -> None:
    tables = {path.name for path in (folder / "tables").iterdir()}
    for name in ("scenarios", "methods", "counts", "focus-all", "performance", "fits", "failures"):
        assert {f"{name}.{suffix}" for suffix in ("csv", "md", "tex")} <= tables
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert {"zip", "paired", "bland-altman"} <= figures
    for name in figures:
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (folder / "figures" / f"{name}.svg").read_text()
    # What is shown is rounded; performance.csv has every measure of every sample.
    assert set(pd.read_csv(folder / "tables" / "performance.csv")["sample"]) == {"all", "converged"}


@needs_browser
def test_opens_without_errors_and_asks_for_nothing(page: webdriver.Chrome) -> None:
    assert not page.get_log("browser")  # type: ignore[no-untyped-call]
    shown = [v.text.split("\n")[:2] for v in page.find_elements(By.CSS_SELECTOR, ".verdicts li")]
    assert shown == [["✓ 100 %", "one"], ["✓ 100 %", "five"], ["≠ 0 %", "bad"]]
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0


@needs_browser
def test_measures_sort_by_their_values(page: webdriver.Chrome, folder: Path) -> None:
    table = page.find_element(By.CSS_SELECTOR, "table[aria-labelledby=table-performance]")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    place = [head.text.split("\n")[0].strip() for head in heads].index("bias")
    heads[place].find_element(By.TAG_NAME, "button").click()
    assert heads[place].get_attribute("aria-sort") == "ascending"
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    cells = [[c.text for c in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]
    frame = pd.read_csv(folder / "tables" / "performance.csv")
    bias = frame[(frame["measure"] == "bias") & (frame["sample"] == "all")]
    expected = bias.sort_values("value", kind="stable")[["scenario", "method", "estimand"]]
    assert [row[:3] for row in cells] == expected.to_numpy().tolist()
    assert bias["value"].min() < 0 < bias["value"].max()


@needs_browser
def test_by_keyboard(page: webdriver.Chrome) -> None:
    page.set_window_size(390, 800)
    page.refresh()
    check_keyboard(page)
    head = page.find_element(By.CSS_SELECTOR, "[aria-labelledby=table-performance] thead th")
    page.execute_script("arguments[0].firstElementChild.focus()", head)
    for key, order in ((Keys.ENTER, "ascending"), (Keys.SPACE, "descending")):
        press(page, key)
        assert head.get_attribute("aria-sort") == order


@needs_browser
@pytest.mark.parametrize("color", ["light", "dark"])
@pytest.mark.parametrize("size", [(1300, 1000), (390, 800)], ids=["wide", "narrow"])
def test_accessible(page: webdriver.Chrome, size: tuple[int, int], color: str) -> None:
    page.set_window_size(*size)
    scheme(page, color)
    check_accessible(page)
    width, inner = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner
