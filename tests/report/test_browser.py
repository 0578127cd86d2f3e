"""The report in a real browser: no errors, links and sorting work, anybody can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

import mixcompare as mc
from mixcompare.report import sections
from tests.browser import check_accessible, check_keyboard, needs_browser, opened, press, scheme
from tests.report_page import LENIENT, Page, growth
from tests.stand_in_posterior import stand_in

pytestmark = needs_browser

WIDE, NARROW = (1300, 1000), (390, 800)
SPEC = mc.MixtureSpec("y ~ t + I(t**2)", unit="unit", n_components=2)


@pytest.fixture(scope="module")
def comparison() -> mc.Comparison:
    em = mc.fit(SPEC, growth(), starts=4, seed=1, progress=False)
    another = mc.fit(SPEC, growth(), starts=2, seed=7, progress=False)
    made_up = [stand_in(em, draws=60, chains=2, switch_every=30, seed=seed) for seed in (2, 3)]
    return mc.compare(em, another, *made_up, thresholds=LENIENT)


@pytest.fixture(scope="module")
def report(comparison: mc.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With every section that there can be."""
    line = SPEC.but(formula="y ~ t")
    other = mc.fit(line, growth(), starts=2, seed=1, progress=False)
    chosen = mc.select(SPEC, growth(), n_components=[1, 2], starts=2, replicates=1, progress=False)
    path = mc.write_report(
        comparison,
        tmp_path_factory.mktemp("report"),
        origin=mc.Origin(study='[aims]\ntext = "Do they agree?"'),
        selection=chosen,
        models=[other],
    )
    shown = Page(path.read_text("utf-8")).sections
    outlined = {outline.anchor for outline in sections.SECTIONS}
    assert outlined | {"aims", "selection", "models", "checklists", "reproduction"} <= set(shown)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    browser.set_window_size(*WIDE)
    browser.get(report.as_uri())
    return browser


def test_opens_without_errors_and_asks_for_nothing(
    page: webdriver.Chrome, comparison: mc.Comparison
) -> None:
    assert not page.get_log("browser")  # type: ignore[no-untyped-call]
    text = page.find_element(By.TAG_NAME, "body").text
    for statement in comparison.verdicts["statement"]:
        assert statement in text
    loaded = page.execute_script("return performance.getEntriesByType('resource').length")
    assert loaded == 0


def column(table: WebElement, number: int) -> list[str]:
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[number].text for row in rows]


def test_tables_sort(page: webdriver.Chrome, comparison: mc.Comparison) -> None:
    table = page.find_element(By.CSS_SELECTOR, "table[aria-labelledby=table-estimates]")
    head = table.find_elements(By.CSS_SELECTOR, "thead th")[1]
    button = head.find_element(By.TAG_NAME, "button")
    given = column(table, 0)
    assert given == list(comparison.estimates.index)
    by_size = list(comparison.estimates["em_estimate"].sort_values(kind="stable").index)
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(table, 0) == by_size
    # With the keyboard alone.
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, 0) == by_size[::-1]
    button.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") is None
    assert column(table, 0) == given


def test_texts_sort_and_only_one_column_at_a_time(page: webdriver.Chrome) -> None:
    table = page.find_element(By.CSS_SELECTOR, "table[aria-labelledby=table-membership]")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    for number in (5, 0):
        heads[number].find_element(By.TAG_NAME, "button").click()
    assert [h.get_attribute("aria-sort") for h in heads] == ["ascending"] + [None] * (
        len(heads) - 1
    )
    names = [name for name in column(table, 0) if name.startswith("u")]
    assert names == sorted(names, key=lambda name: int(name[1:].split()[0]))


def test_contents_lead_to_the_sections(page: webdriver.Chrome) -> None:
    links = page.find_elements(By.CSS_SELECTOR, "nav a")
    assert len(links) == len(page.find_elements(By.CSS_SELECTOR, "main > section"))
    for link in links:
        anchor = (link.get_attribute("href") or "").partition("#")[2]
        page.execute_script("arguments[0].click()", link)
        assert page.execute_script("return location.hash") == f"#{anchor}"
        place = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
        top = page.execute_script(place, anchor)
        at_end = page.execute_script(
            "return innerHeight + scrollY >= document.body.scrollHeight - 60"
        )
        assert abs(top) < 40 or at_end, (anchor, top)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_everything_is_reached_by_keyboard(page: webdriver.Chrome, size: tuple[int, int]) -> None:
    page.set_window_size(*size)
    check_keyboard(page)


def test_skipping_to_the_summary(page: webdriver.Chrome) -> None:
    press(page, Keys.TAB)
    skip = page.switch_to.active_element
    assert skip.text == "Skip to the summary"
    press(page, Keys.ENTER)
    assert page.execute_script("return location.hash") == "#summary"
    press(page, Keys.TAB)
    inside = "return document.activeElement.closest('section').id"
    assert page.execute_script(inside) == "summary"


def test_contents_by_keyboard(page: webdriver.Chrome) -> None:
    press(page, Keys.TAB * 5)
    link = page.switch_to.active_element
    anchor = (link.get_attribute("href") or "").partition("#")[2]
    before = page.execute_script("return scrollY")
    press(page, Keys.ENTER)
    assert page.execute_script("return location.hash") == f"#{anchor}"
    assert page.execute_script("return scrollY") > before
    press(page, Keys.TAB)
    here, there = "document.activeElement", "document.getElementById(arguments[0])"
    follows = f"return {there}.compareDocumentPosition({here}) & 4"
    assert page.execute_script(follows, anchor)


def test_a_wide_table_scrolls_by_keyboard(page: webdriver.Chrome) -> None:
    page.set_window_size(*NARROW)
    table = page.find_element(By.CSS_SELECTOR, "[aria-labelledby=table-estimates]")
    page.execute_script("arguments[0].focus()", table)
    press(page, Keys.ARROW_RIGHT * 3)
    moved = "return new Promise(done => setTimeout(() => done(arguments[0].scrollLeft), 200))"
    assert page.execute_script(moved, table) > 0


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_hangs_out_of_the_page(page: webdriver.Chrome, size: tuple[int, int]) -> None:
    page.set_window_size(*size)
    width, inner = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner


def colors(page: webdriver.Chrome, selector: str) -> tuple[str, str]:
    found = page.find_element(By.CSS_SELECTOR, selector)
    names = ("color", "background-color")
    return (found.value_of_css_property(names[0]), found.value_of_css_property(names[1]))


def test_dark_and_light(page: webdriver.Chrome) -> None:
    seen = {}
    for name in ("light", "dark"):
        scheme(page, name)
        label = page.find_element(By.CSS_SELECTOR, "#figure-forest svg text")
        seen[name] = (*colors(page, "body"), label.value_of_css_property("fill"))
    assert seen["light"][1] == "rgba(255, 255, 255, 1)"
    assert all(a != b for a, b in zip(seen["light"], seen["dark"], strict=True))


def test_an_audit_by_keyboard_and_screen_reader(browser: webdriver.Chrome, tmp_path: Path) -> None:
    table = {"y": np.arange(12.0)}
    halved = {"weights": [1.0], "coefficients": [[5.5]], "covariance": [np.var(table["y"]) / 2]}
    spec = mc.MixtureSpec("y ~ 1", n_components=1)
    found = mc.audit(spec, table, lambda state: halved, iterations=2)
    browser.set_window_size(*NARROW)
    for color in ("light", "dark"):
        scheme(browser, color)
        browser.get(mc.write_report(found, tmp_path).as_uri())
        assert not browser.get_log("browser")  # type: ignore[no-untyped-call]
        check_keyboard(browser)
        check_accessible(browser)


@pytest.mark.parametrize("color", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_accessible(page: webdriver.Chrome, size: tuple[int, int], color: str) -> None:
    page.set_window_size(*size)
    scheme(page, color)
    check_accessible(page)
