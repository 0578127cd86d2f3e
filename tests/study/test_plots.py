"""Figures of studies show the numbers of their tables: each mark is held against the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from mixcompare.pages.rendering import Drawing
from mixcompare.study.file.load import build_study
from mixcompare.study.report import (
    performance_figures as plots_performance,
)
from mixcompare.study.report import (
    rank_figures as plots_calibration,
)
from mixcompare.study.report import (
    replicate_figures as plots_replicates,
)
from mixcompare.study.report.contents import Findings, findings
from mixcompare.study.report.figures import drawings
from mixcompare.study.run.run_study import run_study
from mixcompare.study.run.store import open_store
from tests.study_cases import content

FOCUS = "coefficients[1, x]"
METHODS = ["one", "five"]
Z = 1.959963984540054


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Of a study of two methods in four scenarios, listed in an order that is not that of size."""
    study = build_study(
        content(
            grid__crossed={"simulate.units": [40, 20], "simulate.separation": [0.7, 1.0]},
            run__replicates=5,
        )
    )
    folder = tmp_path_factory.mktemp("plots")
    run_study(study, folder, report=False)
    with open_store(folder / "study.sqlite", create=False) as store:
        return findings(study, store)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a function that draws, and gives its figure before it is rendered."""
    figures: list[Figure] = []

    def keep(figure: Figure, name: str, title: str, caption: str, alt: str) -> Drawing:
        figures.append(figure)
        return Drawing(name, title, caption, alt, "", b"", "")

    for module in (plots_performance, plots_replicates, plots_calibration):
        monkeypatch.setattr(module, "draw", keep)

    def call(function: Callable[..., Drawing], *arguments: Any) -> Any:
        function(*arguments)
        return figures[-1]

    return call


def factors(found: Findings) -> dict[str, Any]:
    return {s.label: s.factors for s in found.study.scenarios}


def shown(found: Findings, measure: str, method: str) -> pd.DataFrame:
    """value and error by scenario."""
    frame = found.measures["performance"]
    rows = (frame["sample"] == "all") & (frame["estimand"] == FOCUS)
    rows &= (frame["measure"] == measure) & (frame["method"] == method)
    return frame[rows].set_index("scenario")[["value", "error"]]


def performance(found: Findings) -> pd.DataFrame:
    frame = found.measures["performance"]
    return frame[(frame["sample"] == "all") & (frame["estimand"] == FOCUS)]


def bars(container: ErrorbarContainer) -> np.ndarray:
    """Half lengths of the bars."""
    ends = np.array(container[2][0].get_segments())
    return np.asarray(np.abs(ends[:, 1] - ends[:, 0]).sum(axis=1) / 2)


def by_label(ax: Any) -> dict[str, ErrorbarContainer]:
    return {str(c.get_label()): c for c in ax.containers if isinstance(c, ErrorbarContainer)}


def test_every_figure_of_the_field_is_there(found: Findings) -> None:
    assert list(drawings(found)) == [
        "lollipop-coefficients-1-x",
        "factor-units-estimating-coefficients-1-x",
        "factor-units-classes-and-optima",
        "nested-loop-mse",
        "nested-loop-coverage",
        "zip",
        "paired",
        "bland-altman",
    ]


def test_lollipop_has_every_measure_with_its_interval(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    measures = ("bias", "coverage")
    figure = drawn(plots_performance.lollipop, performance(found), METHODS, FOCUS, measures)
    for ax, measure in zip(figure.axes, measures, strict=True):
        for method, container in by_label(ax).items():
            own = shown(found, measure, method)
            np.testing.assert_allclose(container[0].get_xdata(orig=False), own["value"])
            np.testing.assert_allclose(bars(container), Z * own["error"])
            rows = container[0].get_ydata(orig=False)
            assert np.round(np.asarray(rows, dtype=float)).tolist() == [0, 1, 2, 3]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(factors(found))


def test_measures_stand_at_their_level_of_the_factor(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    figure = drawn(
        plots_performance.against_factor, performance(found), factors(found), METHODS, ("bias",),
        "a title",
    )  # fmt: skip
    for ax, separation in zip(figure.axes, ("0.7", "1"), strict=True):
        assert float(ax.get_title().removeprefix("separation=")) == float(separation)
        for method, container in by_label(ax).items():
            own = shown(found, "bias", method)
            names = [f"units={units}, separation={separation}" for units in (40, 20)]
            np.testing.assert_array_equal(container[0].get_xdata(orig=False), [40, 20])
            np.testing.assert_allclose(container[0].get_ydata(orig=False), own["value"][names])
            np.testing.assert_allclose(bars(container), Z * own["error"][names])


def test_nested_loop_has_a_step_for_each_scenario(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    own = factors(found)
    figure = drawn(plots_performance.nested_loop, performance(found), own, METHODS, "mse")
    upper, lower = figure.axes
    steps = [patch for patch in upper.patches if isinstance(patch, StepPatch)]
    assert [patch.get_label() for patch in steps] == METHODS
    for patch, method in zip(steps, METHODS, strict=True):
        np.testing.assert_allclose(patch.get_data()[0], shown(found, "mse", method)["value"])
    # The first factor changes slowest; levels are in the study's order.
    stairs = [patch.get_data()[0] for patch in lower.patches if isinstance(patch, StepPatch)]
    ranks = [np.unique(values, return_inverse=True)[1].tolist() for values in stairs]
    assert ranks == [[0, 0, 1, 1], [0, 1, 0, 1]]


def test_factors_that_change_together_are_one_stair(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    own = {
        label: levels | {"weights": [levels["units"]]} for label, levels in factors(found).items()
    }
    _, lower = drawn(plots_performance.nested_loop, performance(found), own, METHODS, "mse").axes
    texts = [text.get_text() for text in lower.texts]
    assert texts == ["units: 40, 20", "separation: 0.7, 1.0"]


def test_where_chains_end_is_drawn_for_methods_that_have_chains(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    reached = pd.DataFrame(
        {"scenario": [*factors(found)], "method": "five", "sample": "all", "value": [0, 0.5, 1, 1]}
    ).assign(measure="all_chains_at_best", error=0.1, n=5)
    fits = pd.concat([found.measures["fits"], reached])
    with_chains = replace(found, measures={**found.measures, "fits": fits})
    assert "nested-loop-all-chains-at-best" not in drawings(found)
    assert "nested-loop-all-chains-at-best" in drawings(with_chains)
    loop = plots_performance.nested_loop
    upper, _ = drawn(loop, reached, factors(found), ["five"], "all_chains_at_best").axes
    (steps,) = [patch for patch in upper.patches if isinstance(patch, StepPatch)]
    assert steps.get_data()[0].tolist() == [0, 0.5, 1, 1]


def test_zip_plot_tells_intervals_that_miss(found: Findings, drawn: Callable[..., Any]) -> None:
    scenario = next(iter(factors(found)))
    own = found.estimates[found.estimates["method"] == "one"].copy()
    # Two of five intervals are moved off the truth, the second farthest.
    rows = own.index[(own["estimand"] == FOCUS) & (own["scenario"] == scenario)]
    own.loc[rows, ["estimate", "lower", "upper"]] = 0.0
    own.loc[rows, "truth"] = [0.0, 3.0, 4.0, 0.5, -0.2]
    own.loc[rows, "standard_error"] = 1.0
    own.loc[rows, "lower"], own.loc[rows, "upper"] = -Z, Z
    figure = drawn(plots_replicates.zip_plot, own, ["one"], FOCUS, scenario)
    (ax,) = figure.axes
    covers, misses = [
        np.array(c.get_segments()) for c in ax.collections if isinstance(c, LineCollection)
    ]
    assert covers[:, 0, 1].tolist() == [20, 40, 60]
    assert misses[:, 0, 1].tolist() == [80, 100]
    np.testing.assert_allclose(misses[:, :, 0], [[-Z - 3, Z - 3], [-Z - 4, Z - 4]])
    assert "covers 60.0 %" in [text.get_text() for text in ax.texts]


@pytest.fixture(scope="module")
def apart(found: Findings) -> pd.DataFrame:
    """Estimates whose two methods differ, which those of the study hardly do."""
    noise = np.random.default_rng(0).normal(size=len(found.estimates))
    return found.estimates.assign(estimate=found.estimates["estimate"] + noise)


def pairs(estimates: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """A row for each replicate, a column for each method."""
    own = estimates[(estimates["estimand"] == FOCUS) & (estimates["scenario"] == scenario)]
    return own.pivot_table(index="replicate", columns="method", values="estimate")


def test_paired_differences_are_of_the_same_data(
    found: Findings, apart: pd.DataFrame, drawn: Callable[..., Any]
) -> None:
    figure = drawn(plots_replicates.paired_differences, apart, METHODS, "one", FOCUS)
    (ax,) = figure.axes
    means = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    dots = [line for line in ax.lines if line.get_marker() == "."]
    for row, scenario in enumerate(factors(found)):
        wide = pairs(apart, scenario)
        difference = (wide["five"] - wide["one"]).to_numpy()
        np.testing.assert_allclose(dots[row].get_xdata(orig=False), difference)
        assert np.round(dots[row].get_ydata(orig=False)).tolist() == [row] * 5
        np.testing.assert_allclose(means[row][0].get_xdata(orig=False), [difference.mean()])
        np.testing.assert_allclose(bars(means[row]), [Z * difference.std(ddof=1) / np.sqrt(5)])


def test_a_method_without_fits_in_the_first_scenario_is_in_the_legend(
    found: Findings, drawn: Callable[..., Any]
) -> None:
    first = next(iter(factors(found)))
    gone = (found.estimates["scenario"] == first) & (found.estimates["method"] == "five")
    figure = drawn(
        plots_replicates.paired_differences, found.estimates[~gone], METHODS, "one", FOCUS
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["five"]


def test_bland_altman_has_differences_over_means_and_their_limits(
    found: Findings, apart: pd.DataFrame, drawn: Callable[..., Any]
) -> None:
    figure = drawn(plots_replicates.bland_altman, apart, "one", "five", FOCUS)
    for ax, scenario in zip(figure.axes, factors(found), strict=False):
        wide = pairs(apart, scenario)
        difference = (wide["five"] - wide["one"]).to_numpy()
        dots, *lines, _ = ax.lines
        np.testing.assert_allclose(dots.get_xdata(orig=False), wide.mean(axis=1))
        np.testing.assert_allclose(dots.get_ydata(orig=False), difference)
        limits = difference.mean() + Z * difference.std(ddof=1) * np.array([0, -1, 1])
        np.testing.assert_allclose([line.get_ydata(orig=False)[0] for line in lines], limits)
    assert [ax.get_title() for ax in figure.axes][:4] == list(factors(found))


def test_rank_histogram_counts_every_replicate(drawn: Callable[..., Any]) -> None:
    values = [0, 9, 10, 99, 99, 50]
    ranks = pd.DataFrame({"method": "nuts", "name": "rank_log_likelihood", "value": values})
    figure = drawn(plots_calibration.rank_histograms, ranks, ["nuts"])
    (steps,) = [p for p in figure.axes[0].patches if isinstance(p, StepPatch)]
    assert steps.get_data()[0].tolist() == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]


def test_panels_that_are_left_out_are_counted(found: Findings) -> None:
    own = performance(found)
    first = own[own["scenario"] == own["scenario"].iloc[0]]
    many = {f"{u}, {a}, {b}": {"u": u, "a": a, "b": b}
            for u in range(5) for a in range(4) for b in range(2)}  # fmt: skip
    table = pd.concat([first.assign(scenario=label) for label in many])
    made = plots_performance.against_factor(table, many, METHODS, ("bias",), "estimating")
    assert made.caption.endswith("The first 6 of 8 combinations of the other factors are shown.")
