"""Drawings stay small however many units, rows or draws they show, and say what they leave out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import mixcompare as mc
from mixcompare.pages.palette import style
from mixcompare.pages.rendering import draw
from mixcompare.report.figures.checks import prior_data
from mixcompare.report.figures.data import class_means
from mixcompare.report.figures.paths import class_paths
from tests.report_page import comparison_of, growth

RNG = np.random.default_rng(4)
MANY = 3_000


def paths(ax: Axes) -> None:
    ax.add_collection(LineCollection(list(RNG.normal(size=(MANY, 5, 2)))))
    ax.autoscale_view()


def few_long_paths(ax: Axes) -> None:
    ax.add_collection(LineCollection(list(RNG.normal(size=(3, MANY, 2)))))
    ax.autoscale_view()


def single_lines(ax: Axes) -> None:
    for values in RNG.normal(size=(1100, 4)):
        ax.plot(values)


def long_line(ax: Axes) -> None:
    ax.plot(RNG.normal(size=MANY))


def points(ax: Axes) -> None:
    ax.scatter(*RNG.normal(size=(2, MANY)))


def band(ax: Axes) -> None:
    ax.fill_between(np.arange(MANY), RNG.normal(size=MANY))


def bars(ax: Axes) -> None:
    ax.bar(np.arange(1100), np.arange(1100))


def intervals(ax: Axes) -> None:
    ax.errorbar(np.arange(MANY), np.zeros(MANY), yerr=np.ones(MANY), capsize=2)


@pytest.mark.parametrize(
    "kind",
    [paths, few_long_paths, single_lines, long_line, points, band, bars, intervals],
)
def test_drawings_are_small(kind: Callable[[Axes], None]) -> None:
    with style():
        figure = Figure(figsize=(6, 4), layout="constrained")
        kind(figure.subplots())
        made = draw(figure, "name", "title", "caption", "alt")
    assert len(made.svg) < 1_200_000  # a dense picture
    assert len(made.pdf) < 1_200_000
    assert "<image" in made.svg


def test_few_lines_stay_lines() -> None:
    with style():
        figure = Figure(figsize=(6, 4), layout="constrained")
        ax = figure.subplots()
        ax.add_collection(LineCollection(list(RNG.normal(size=(100, 5, 2)))))
        ax.plot(np.arange(50.0))
        ax.autoscale_view()
        made = draw(figure, "name", "title", "caption", "alt")
    assert "<image" not in made.svg


@pytest.fixture(scope="module")
def many() -> mc.Comparison:
    spec = mc.MixtureSpec("y ~ t", unit="unit", n_components=2)
    return comparison_of(spec, growth(units=600, rows=2), draws=10, starts=2)


def test_captions_say_how_many_of_how_many(many: mc.Comparison) -> None:
    with style():
        made = [make(many) for make in (class_means, class_paths, prior_data)]
        again = [make(many) for make in (class_means, class_paths, prior_data)]
    captions = [drawing.caption for drawing in made if drawing is not None]
    assert "300 of 600 units are shown, evenly spaced" in captions[0]
    assert "240 of 600 units are shown, evenly spaced" in captions[1]
    assert "300 of 600 units are shown, evenly spaced" in captions[2]
    for one, other in zip(made, again, strict=True):
        assert one is not None
        assert other is not None
        assert len(one.svg) < 600_000
        assert one.svg == other.svg
