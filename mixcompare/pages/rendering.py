"""From a matplotlib figure to markup that stands alone in a page."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mixcompare.pages.palette import GRID, INK, SURFACE

# A larger drawing is embedded as a picture: beyond this a browser renders it slowly.
_MAX_SVG: Final = 600_000
# A line with more points than this becomes a picture inside the drawing, and so does whatever
# has more parts than this, and everything where a drawing has more points than this in all.
_MAX_POINTS: Final = 400
_MAX_PARTS: Final = 1000
_MAX_VERTICES: Final = 20_000
_DPI: Final = 160


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure of the report.

    Attributes
    ----------
    name
        Base of its file name and of its anchor.
    title, caption, alt
        What it is, what to look for, and what it shows, in words.
    svg, pdf
        The drawing, for files of their own.
    markup
        The drawing for the page.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    pdf: bytes
    markup: str


def draw(figure: Figure, name: str, title: str, caption: str, alt: str) -> Drawing:
    """Render a figure.

    Parameters
    ----------
    figure
        Made under `mixcompare.pages.palette.style`; its theme colours follow the page.
    name, title, caption, alt
        See `Drawing`.
    """
    _rasterise_what_is_long(figure)
    svg = _svg(figure)
    figure.set_layout_engine("none")  # its places stay; to find them again takes long
    inline = _inline(svg, name, alt) if len(svg) <= _MAX_SVG else None
    markup = inline or _png(figure, alt)
    return Drawing(name, title, caption, alt, _on_white(svg), _pdf(figure), markup)


def escape(text: str) -> str:
    """Escape text for an attribute or an element."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def _rasterise_what_is_long(figure: Figure) -> None:
    """Keep files small however many units, rows or draws a figure shows."""
    artists = [a for axes in figure.axes for a in (*axes.lines, *axes.collections, *axes.patches)]
    sizes = {artist: _size(artist) for artist in artists if not artist.get_rasterized()}
    for artist, (parts, points) in sizes.items():
        long = points > (_MAX_POINTS if isinstance(artist, Line2D) else 10 * _MAX_POINTS)
        if long or parts > _MAX_PARTS:
            artist.set_rasterized(True)
    left = [size for artist, size in sizes.items() if not artist.get_rasterized()]
    vertices = sum(size[1] for size in left)
    if len(left) > _MAX_PARTS or vertices > _MAX_VERTICES:
        for artist in sizes:
            artist.set_rasterized(True)


def _size(artist: Artist) -> tuple[int, int]:
    """Numbers of parts and of points that a drawing of lines would write."""
    if isinstance(artist, Collection):
        paths = artist.get_paths()
        drawn = max(len(paths), len(np.atleast_2d(artist.get_offsets())))
        points = sum(len(np.asarray(path.vertices)) for path in paths)
        return drawn, max(points, drawn)
    if isinstance(artist, Line2D):
        return 1, len(np.atleast_1d(np.asarray(artist.get_xdata(orig=False))))
    return 1, 5  # a bar


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=_DPI, metadata=nothing)
    return re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)


def _on_white(svg: str) -> str:
    """A file of its own cannot count on a light page below it."""
    return re.sub(
        r"(<svg[^>]*>)", r'\1\n<rect width="100%" height="100%" fill="white"/>', svg, count=1
    )


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", dpi=_DPI, metadata={"CreationDate": None})
    return buffer.getvalue()


def _inline(svg: str, name: str, alt: str) -> str:
    """Make the ids unique in the page, and the theme's colours and the font the page's own."""
    body = svg[svg.index("<svg") :]
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    kept = {identifier for pair in used for identifier in pair}

    def own_id(match: re.Match[str]) -> str:
        # Equal pictures in one drawing have equal ids, which nothing refers to.
        return f' id="{name}-{match[1]}"' if match[1] in kept else ""

    body = re.sub(r'\s+id="([^"]+)"', own_id, body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    for color, variable in ((INK, "ink"), (GRID, "grid"), (SURFACE, "surface")):
        body = body.replace(color, f"var(--{variable})")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", body)
    width = re.search(r'width="([\d.]+)pt"', body)
    assert width is not None
    head = f'<svg role="img" aria-label="{escape(alt)}" style="max-width:{width[1]}pt"'
    body = re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2)
    return body.replace("<svg", head, 1)


def _png(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{encoded}">'
