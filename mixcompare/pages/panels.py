"""Figures of several panels, and legends of what they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy import object_
from numpy.typing import NDArray

from mixcompare.pages.palette import INK, class_color


def panels(
    count: int,
    most: int,
    width: float,
    height: float,
    *,
    more: float = 0.0,
    groups: int = 1,
    **options: Any,
) -> tuple[Figure, NDArray[object_]]:
    """A figure with so many panels, row by row.

    Parameters
    ----------
    count, groups
        Panels of a group, and groups, each of which begins a row.
    most
        Columns, at most.
    width, height, more
        Inches: the figure's width, the height of a row, and what the figure is higher than its
        rows.
    **options
        Of `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    The figure and its axes (groups, count).
    """
    columns = min(count, most)
    rows = -(-count // columns)
    size = (width, more + height * groups * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(groups * rows, columns, squeeze=False, **options).reshape(groups, -1)
    for ax in axes[:, count:].flat:
        ax.set_visible(False)
    return figure, axes[:, :count]


def key(label: str, **look: Any) -> Line2D:
    """A line or marker of a legend."""
    return Line2D([], [], label=label, **look)


def class_keys(n_components: int) -> list[Patch]:
    """The classes' colours for a legend."""
    return [Patch(color=class_color(k), label=f"class {k}") for k in range(1, n_components + 1)]


def color_ticks(labels: Iterable[Text], components: Iterable[int | None]) -> None:
    """Print names of classes, numbered from 1, in their colours, and others in ink."""
    for label, component in zip(labels, components, strict=True):
        color = INK if component is None else class_color(component)
        label.set(color=color, fontweight="bold")


def legend_above(figure: Figure, *handles: Artist, most: int = 6) -> None:
    """A legend above all panels, in so many columns at the most."""
    figure.legend(handles=handles, loc="outside upper center", ncols=min(most, len(handles)))


def plain_numbers(ax: Axes, axis: Literal["x", "y"], scale: str, **options: Any) -> None:
    """Give an axis a scale, such as ``"log"``, and write numbers out beside its main ticks."""
    getattr(ax, f"set_{axis}scale")(scale, **options)
    getattr(ax, f"{axis}axis").set_major_formatter("{x:g}")
    getattr(ax, f"{axis}axis").set_minor_formatter("")


def note(
    ax: Axes, text: str, place: tuple[Any, Any], shift: tuple[float, float], **look: Any
) -> None:
    """A text beside a point, by a shift in points."""
    ax.annotate(text, place, xytext=shift, textcoords="offset points", **{"fontsize": 8, **look})
