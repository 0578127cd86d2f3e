"""Colours and one style for every figure: the same class or kind of fit always looks the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

import matplotlib as mpl
from matplotlib.colors import to_hex

# These three stand for the page's own colours, which differ between light and dark.
INK: Final = "#1c2330"
GRID: Final = "#d5dae1"
SURFACE: Final = "#fefefe"
MUTED: Final = "#8a93a1"

# Chosen to stay apart for the colour-blind and to keep contrast 3:1 on white and on the
# dark page, which rules out the yellow and the black of Okabe & Ito (2008).
_CLASSES: Final = (
    "#2f7fc1",
    "#d55e00",
    "#0b9a74",
    "#c2679c",
    "#a57c00",
    "#7d7aee",
    "#c0504d",
    "#5b8c3e",
)
COLORS: Final = {"maximum": "#8a5cd6", "posterior": "#0f8f8c"}
MARKERS: Final = {"maximum": "s", "posterior": "o"}
LINES: Final = {"maximum": "-", "posterior": (0, (4, 2))}
NAMES: Final = {"maximum": "EM", "posterior": "posterior"}
# Apart from the first classes' colours: a chain is no class.
_CHAINS: Final = ("#6f7d93", "#95881f", "#a04f9c", "#2a97b4", "#a3694a", "#8a8a8a")


def class_color(component: int) -> str:
    """Colour of a class, counted from 1; beyond eight, colours from a colour map."""
    if component <= len(_CLASSES):
        return _CLASSES[component - 1]
    step = 0.61803398875 * (component - len(_CLASSES))
    return to_hex(mpl.colormaps["turbo"](0.15 + 0.7 * (step % 1.0)))


def chain_colors(count: int) -> list[str]:
    """Colours of the chains."""
    return [_CHAINS[i % len(_CHAINS)] for i in range(count)]


def optimum_color(optimum: int) -> str:
    """Colour of EM's starts by their optimum: 0 the best, -1 none."""
    if optimum <= 0:
        return COLORS["maximum"] if optimum == 0 else MUTED
    return ("#d98200", "#c4455c", "#a06a3a")[(optimum - 1) % 3]


def run_style(number: int) -> dict[str, Any]:
    """Line of EM's fits, counted from 0: the reference in EM's colour, the others apart."""
    color = COLORS["maximum"] if number == 0 else _CHAINS[(number - 1) % len(_CHAINS)]
    dashes = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
    return {"color": color, "ls": dashes[number % len(dashes)], "lw": 1.8 if number == 0 else 1.4}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the report's figures, undone at the end."""
    sheet = resources.files(__package__).joinpath("figures.mplstyle")
    colors: dict[Any, str] = {
        **dict.fromkeys(("axes.labelcolor", "axes.titlecolor", "text.color"), INK),
        **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
        "grid.color": GRID,
    }
    with mpl.rc_context(), resources.as_file(sheet) as file:
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.rc_params_from_file(file, use_default_template=False))
        mpl.rcParams.update(colors)
        yield
