"""Made-up panels, their reports' pages as a parser sees them, and what every page must meet."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

import mixcompare as mc
from mixcompare.reproduction.carried import ELEMENT
from tests.stand_in_posterior import stand_in

# By which few draws are enough to be judged, so that reports have all that they can show.
LENIENT = mc.Thresholds(r_hat=1.5, r_hat_modes=1.6, ess=5.0)


class Page(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sections: list[str] = []
        self.tags: list[str] = []
        self.without_alt = 0
        self.alts: list[str] = []
        self.text = ""
        self.scripts: list[dict[str, str | None]] = []
        self._raw = False
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._raw = tag in ("script", "style")
        if tag == "script":
            self.scripts.append(given)
        if tag in ("td", "th"):
            self.cells.append("")
        self.ids += [given["id"] or ""] if "id" in given else []
        self.sections += [given["id"] or ""] if tag == "section" else []
        names = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
        self.links += [given[name] or "" for name in names if name in given]
        self.alts += [given.get("alt") or given.get("aria-label") or ""] * (tag in ("img", "svg"))
        if (tag == "img" and not given.get("alt")) or (
            tag == "svg" and not (given.get("role") == "img" and given.get("aria-label"))
        ):
            self.without_alt += 1

    def handle_data(self, data: str) -> None:
        if self._raw:
            return
        self.text += data
        if self.cells:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._raw = False
        if tag == "table":
            self.cells.append("")  # what follows is no cell's text


def comparison_of(
    spec: mc.MixtureSpec, data: pd.DataFrame, *, draws: int = 60, starts: int = 4
) -> mc.Comparison:
    em = mc.fit(spec, data, backend="em", starts=starts, seed=1, progress=False)
    posterior = stand_in(em, draws=draws, chains=2, switch_every=30, seed=2)
    return mc.compare(em, posterior, thresholds=LENIENT)


def growth(units: int = 24, rows: int = 5, seed: int = 1) -> pd.DataFrame:
    """Two classes of curves; the first unit and a covariate have names that need escaping."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), rows)
    t = np.tile(np.arange(rows) / 2.0, units)
    second = unit % 3 == 0
    names = np.array(["<script>alert(1)</script>", *(f"u{i} & co" for i in range(1, units))])
    noise = rng.normal(scale=0.4, size=(2, len(t)))
    return pd.DataFrame(
        {
            "unit": names[unit],
            "t": t,
            "x": rng.normal(size=len(t)),
            "a & <b>": np.where(rng.random(len(t)) < 0.5, "p<q", "r&s"),
            "y": np.where(second, 3 + t, -t) + noise[0],
            "w": np.where(second, -1.0, 2.0) + noise[1],
            "age": 30.0 + (7 * unit) % 11,
            "count": np.array([0.5, 1.0, 2.0])[unit % 3],
        }
    )


def check(path: Path) -> Page:
    """Everything that holds for every report."""
    text = path.read_text("utf-8")
    parsed = Page(text)
    assert len(text) < 5_000_000
    outside = [link for link in parsed.links if not link.startswith(("#", "data:"))]
    assert not outside
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert not {"iframe", "object"} & set(parsed.tags)
    assert parsed.scripts == [{"type": "application/json", "id": ELEMENT}, {}]
    assert len(parsed.ids) == len(set(parsed.ids))
    anchors = {link[1:] for link in parsed.links if link.startswith("#")}
    assert anchors <= set(parsed.ids)
    assert parsed.without_alt == 0
    assert "nan" not in {cell.strip() for cell in parsed.cells}
    assert "mathdefault" not in parsed.text
    return parsed
