"""A headless Chromium under selenium, for tests that need a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

_COMMANDS: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, _COMMANDS)), None)
DRIVER: Final = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="Chromium and chromedriver were not found"
)


@contextmanager
def opened(profile: Path, *more: str) -> Iterator[webdriver.Chrome]:
    """A browser that goes nowhere by itself and keeps what the console says.

    Parameters
    ----------
    profile
        An empty folder.
    more
        Further flags.
    """
    assert CHROMIUM is not None
    assert DRIVER is not None
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
        "--force-prefers-reduced-motion",  # a page that glides makes clicks miss
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        *more,
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


# What takes the focus, in the page's order, and what a press of the key meets.
_FOCUSABLE: Final = "a[href], button, [tabindex='0']"
_RECORD: Final = """
window.stops = [];
document.addEventListener("focusin", (event) => {
  const look = getComputedStyle(event.target);
  window.stops.push({
    place: [...document.querySelectorAll(arguments[0])].indexOf(event.target),
    outline: look.outlineStyle === "none" ? 0 : parseFloat(look.outlineWidth),
    left: event.target.getBoundingClientRect().left,
  });
});
"""
# Whatever can be scrolled sideways, with what a keyboard or a screen reader has of it.
_SCROLLING: Final = """
return [...document.querySelectorAll("main *")].filter((element) =>
  element.scrollWidth > element.clientWidth + 1
  && ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
).map((element) => ({
  tab: element.tabIndex,
  role: element.getAttribute("role"),
  named: !!document.getElementById(element.getAttribute("aria-labelledby"))
    || !!element.getAttribute("aria-label"),
}));
"""


def press(page: webdriver.Chrome, *keys: str) -> None:
    """Keys for whatever has the focus."""
    ActionChains(page, duration=0).send_keys(*keys).perform()


def tab_through(page: webdriver.Chrome) -> tuple[int, list[dict[str, float]]]:
    """Press Tab through a page that was just opened: how many stops it has, and those met."""
    page.execute_script(_RECORD, _FOCUSABLE)
    count = page.execute_script(f'return document.querySelectorAll("{_FOCUSABLE}").length')
    press(page, Keys.TAB * count)
    return count, page.execute_script("return window.stops")


def scrolling(page: webdriver.Chrome) -> list[dict[str, Any]]:
    """What can be scrolled sideways: its tab index, role, and whether it has a name."""
    found: list[dict[str, Any]] = page.execute_script(_SCROLLING)
    return found


def check_keyboard(page: webdriver.Chrome) -> None:
    """Everything is reached in the page's order, seen when it is, and can be scrolled."""
    count, stops = tab_through(page)
    assert [stop["place"] for stop in stops] == list(range(count))
    assert all(stop["outline"] >= 2 for stop in stops)
    assert all(stop["left"] >= 0 for stop in stops)
    wide = scrolling(page)
    assert wide
    for element in wide:
        assert element["tab"] == 0, element
        assert element["role"] in ("region", "group"), element
        assert element["named"], element


def check_accessible(page: webdriver.Chrome) -> None:
    """Nothing grave by axe-core."""
    axe = Axe(page)
    axe.inject()
    found: dict[str, Any] = axe.run()
    assert len(found["passes"]) > 20
    grave = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert not grave, axe.report(grave)


def scheme(browser: webdriver.Chrome, value: str) -> None:
    """Light or dark, as the reader's system asks for it."""
    feature = {"name": "prefers-color-scheme", "value": value}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
