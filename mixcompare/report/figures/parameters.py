"""Figures of the parameters: intervals of both backends, traces and ranks of the draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixcompare.base.arrays import IntArray
from mixcompare.comparison import Comparison
from mixcompare.model.layout import Parameter, flatten
from mixcompare.pages.palette import COLORS, INK, MARKERS, MUTED, NAMES, chain_colors
from mixcompare.pages.panels import color_ticks, legend_above, panels
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.report.wording import finding

_MOST_PANELS = 24
_TRACED = 4
_MOST_DRAWS = 400
_STATES = ("as sampled", "aligned to EM")


def forest(comparison: Comparison) -> Drawing:
    """Estimates and 95 % intervals of both backends.

    ArviZ's ``plot_forest`` has one axis for everything, on which a weight beside an
    income is a dot at zero, so this has a panel for each kind of parameter.
    """
    groups = _groups(comparison.em.parameters)
    drawn = groups[:_MOST_PANELS]
    width = 3.3 * min(3, len(drawn)) + 0.5
    height = 0.8 + 0.38 * max(len(members) for _, members in drawn)
    figure, (axes,) = panels(len(drawn), 3, width, height, more=0.4)
    for ax, (label, members) in zip(axes, drawn, strict=True):
        _forest_panel(ax, label, members, comparison.estimates)
    legend_above(figure, *axes[0].get_legend_handles_labels()[0])
    left_out = f" The first {_MOST_PANELS} of {len(groups)} are shown." * (len(groups) > len(drawn))
    return draw(
        figure,
        "forest",
        "Estimates with 95 % intervals",
        "One panel per parameter, one row per class. Squares are EM estimates with 95 % Wald "
        "intervals, circles posterior means with 95 % equal-tailed intervals. Look for "
        "intervals of one class that do not overlap, or that differ in length: then the "
        f"posterior is not near normal or the backends describe different modes.{left_out}",
        "Forest plot: for each parameter and class, the EM estimate and the posterior mean, each "
        "with its 95 % interval, one above the other. " + finding(comparison, "estimates"),
    )


def _groups(parameters: Sequence[Parameter]) -> list[tuple[str, list[Parameter]]]:
    groups: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(_kind(parameter), []).append(parameter)
    return list(groups.items())


def _kind(parameter: Parameter) -> str:
    """The parameter's name without its class."""
    head, _, inside = parameter.name.partition("[")
    parts = inside.removesuffix("]")
    if parameter.component is not None:
        parts = parts.removeprefix(str(parameter.component)).removeprefix(", ")
    singular = {"weights": "weight", "coefficients": "coefficient"}.get(head, head)
    return f"{singular}: {parts}" if parts else singular


def _forest_panel(ax: Axes, label: str, members: list[Parameter], estimates: pd.DataFrame) -> None:
    table = estimates.loc[[p.name for p in members]]
    position = -np.arange(len(members), dtype=float)
    columns = (("maximum", "em", "estimate", 0.14), ("posterior", "posterior", "mean", -0.14))
    for kind, prefix, center, shift in columns:
        color = COLORS[kind]
        y = position + shift
        ends = [f"{prefix}_{name}" for name in (center, "lower", "upper")]
        middle, lower, upper = table[ends].to_numpy().T
        ax.hlines(y, lower, upper, color=color, lw=2)
        ax.plot(middle, y, MARKERS[kind], color=color, ms=5, label=NAMES[kind])
    ax.set_title(label if len(label) <= 34 else f"{label[:32]} …")
    names = ["all" if p.component is None else f"class {p.component}" for p in members]
    ax.set_yticks(position, names)
    color_ticks(ax.get_yticklabels(), [p.component for p in members])
    ax.set_ylim(-len(members) + 0.45, 0.55)
    ax.locator_params(axis="x", nbins=5)
    ax.grid(False, axis="y")


def traces(comparison: Comparison) -> Drawing:
    """Draws in the order of sampling, before and after alignment."""
    look = {"trace": {"width": 0.7, "alpha": 0.85}}
    names, figure, axes = _by_state(comparison, "plot_trace", _MOST_DRAWS, "draw", look)
    for ax in axes[:, 0]:
        _mark_switches(ax, comparison.permutation)
    return draw(
        figure,
        "traces",
        "Traces before and after alignment",
        f"{', '.join(names)}; one colour per chain. Left: as sampled, where jumps between levels "
        "or chains at different levels show exchanged labels; ticks along the top, one row per "
        "chain, mark the draws at which alignment found the labels exchanged. Right: aligned, "
        "where every chain should look like the same noise around one level. "
        f"At most {_MOST_DRAWS} evenly spaced draws per chain are shown.",
        "Trace plots of a few parameters by chain: as sampled on the left, after alignment of "
        "the labels on the right. " + finding(comparison, "label switching"),
    )


def _mark_switches(ax: Axes, permutation: IntArray) -> None:
    """A tick for every draw whose labels differ from the draw before, above the traces."""
    chains = len(permutation)
    switched = (np.diff(permutation, axis=1) != 0).any(axis=2)
    if not switched.any():
        return
    low, high = ax.get_ylim()
    row = 0.05 * (high - low)
    ax.set_ylim(low, high + row * (chains + 1))
    for chain, color in enumerate(chain_colors(chains)):
        at = np.flatnonzero(switched[chain]) + 1
        height = high + row * (chains - chain)
        ax.plot(at, np.full(len(at), height), "|", color=color, ms=4, mew=0.9, rasterized=True)


def ranks(comparison: Comparison) -> Drawing | None:
    """Chains compared by ranks, before and after alignment; None for a single chain."""
    if len(comparison.permutation) == 1:
        return None
    names, figure, axes = _by_state(comparison, "plot_rank", 10**9, "fractional rank", {})
    for ax in axes.flat:
        _tidy_ranks(ax)
    return draw(
        figure,
        "ranks",
        "Ranks before and after alignment",
        f"{', '.join(names)}: how far each chain's empirical distribution of ranks departs from "
        "the uniform one (ArviZ's plot_rank). Chains that sample the same distribution stay near "
        "the horizontal line. p is that of a test that they do, which allows for the draws' "
        "dependence; below the level \N{GREEK SMALL LETTER ALPHA} thick dark stretches mark the "
        "departures. Each panel has its own vertical range.",
        "Rank plots of a few parameters by chain: departures from uniform ranks as sampled on "
        "the left, after alignment on the right. " + finding(comparison, "MCMC convergence"),
    )


def _by_state(
    comparison: Comparison, plot: str, most_draws: int, xlabel: str, look: Mapping[str, Any]
) -> tuple[list[str], Figure, Any]:
    """Names, figure and axes (parameter, state) of a plot of ArviZ's."""
    import arviz_plots
    from matplotlib import pyplot

    data, names = _states(comparison, most_draws)
    size = (9.4, 0.5 + 1.55 * len(names))
    collection = arviz_plots.PlotCollection.grid(
        data,
        rows=["parameter"],
        cols=["state"],
        aes={"color": ["chain"]},
        color=chain_colors(data.sizes["chain"]),
        backend="matplotlib",
        figure_kwargs={"figsize": size, "layout": "constrained", "sharex": "all"},
    )
    figure: Figure = collection.viz["figure"].item()
    try:
        getattr(arviz_plots, plot)(
            xr.DataTree.from_dict({"posterior": data}),
            plot_collection=collection,
            backend="matplotlib",
            visuals={**look, "title": False, "xlabel": False},
        )
    finally:
        pyplot.close(figure)
    axes = collection.viz["plot"]
    for state in range(2):
        for row, name in enumerate(names):
            ax = axes.isel(parameter=row, state=state).item()
            ax.set_title(f"{name}, {_STATES[state]}", fontsize=10)
            ax.set_xlabel(xlabel if row == len(names) - 1 else "")
    return names, figure, axes.transpose("parameter", "state").to_numpy()


def _tidy_ranks(ax: Axes) -> None:
    """A range of its own, since raw labels would flatten the aligned ones, and visible marks."""
    for marks in ax.collections:
        marks.set(facecolor=INK, edgecolor="none", sizes=[7], rasterized=True)
    deviation = [np.abs(np.asarray(line.get_ydata())) for line in ax.get_lines()]
    # What Dvoretzky, Kiefer & Wolfowitz allow a uniform sample with probability 0.99.
    bound = np.sqrt(np.log(2 / 0.01) / (2 * max(map(len, deviation))))
    top = 1.1 * max(bound, *(float(values.max()) for values in deviation))
    ax.set_ylim(-top, top)
    for text in ax.texts:
        text.set(transform=ax.transAxes, position=(0.01, 0.99), va="top", ha="left")
    ax.axhline(0, color=MUTED, lw=0.8, zorder=0)


def _states(comparison: Comparison, most_draws: int) -> tuple[xr.Dataset, list[str]]:
    """Draws of a few parameters, as sampled and aligned."""
    informative = _informative(comparison)
    names = [p.name for p in informative]
    posterior = comparison.posterior_fit.posterior_as_sampled
    both = [flatten(draws, informative) for draws in (posterior, comparison.aligned)]
    step = max(1, -(-both[0].shape[1] // most_draws))
    values = np.stack([draws[:, ::step] for draws in both])
    coords = {
        "state": list(_STATES),
        "chain": np.arange(values.shape[1]),
        "draw": np.arange(0, both[0].shape[1], step),
        "parameter": names,
    }
    return xr.Dataset({"value": (("state", "chain", "draw", "parameter"), values)}, coords), names


def _informative(comparison: Comparison) -> tuple[Parameter, ...]:
    """Weight and coefficients, as far as they vary, of the label that the chains mix up most.

    Where only some labels were exchanged, the others' traces would show nothing of it.
    """
    estimates = comparison.estimates[["posterior_sd", "r_hat_raw"]].to_numpy()
    of_all = list(zip(comparison.em.parameters, *estimates.T, strict=True))
    varying = [(p, r_hat) for p, sd, r_hat in of_all if sd > 0]
    by_class = [(p, r_hat) for p, r_hat in varying if p.component is not None]
    worst = max(by_class or varying, key=lambda pair: pair[1])[0].component
    first = [p for p, _ in varying if p.component == worst and p.variable != "covariance"]
    rest = [p for p, _ in varying if p not in first]
    return tuple((first + rest)[:_TRACED])
