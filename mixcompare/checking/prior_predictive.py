"""Could the model, before it saw them, have produced the data? Prior predictive checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_whole
from mixcompare.base.machine import check_memory
from mixcompare.checking.discrepancies import Layout, layout, tail_probability, unit_means
from mixcompare.checking.trees import KEPT_VALUES, predictive_tree
from mixcompare.data.panel import Missing, Panel, build_panel
from mixcompare.fits.fit import Fit
from mixcompare.fits.tree import coordinates, parameter_dataset
from mixcompare.model.spec import MixtureSpec, check_spec
from mixcompare.prepared.problem import Problem
from mixcompare.simulate.outcomes import simulate
from mixcompare.simulate.prior_draws import draw_priors

# Statistics outside this central share of the prior predictive are a surprise.
CENTRAL: Final = 0.99
# A prior whose data spread this many times wider than the observed says nearly nothing.
WIDE: Final = 10.0
STATISTICS: Final = ("mean", "sd", "minimum", "maximum", "sd between units")


@dataclass(frozen=True, slots=True, eq=False)
class PriorPredictive:
    """What `prior_predictive` finds.

    Attributes
    ----------
    table
        One row per outcome and statistic: observed, median, lower and upper (95 % of
        the prior predictive), p (share of draws above the observed) and surprise: the
        observed lies outside the central `CENTRAL`, and not because it spreads less than
        the prior's data, which only shows a wide prior.
    sentence
        Whether the data are plausible under the prior, in words.
    tree
        Groups ``prior`` (chain, draw, ...) with parameters named as in a posterior,
        ``prior_predictive`` with a variable (chain, draw, row) for each outcome, under its name,
        and ``observed_data``.
        Only the first draws' outcomes where all would not fit in memory.
    """

    table: pd.DataFrame
    sentence: str
    tree: xr.DataTree

    @property
    def plausible(self) -> bool:
        """Whether no statistic of the data is a surprise under the prior."""
        return not bool(self.table["surprise"].any())

    def attach(self, fit: Fit) -> Fit:
        """A fit that holds the groups ``prior`` and ``prior_predictive`` too, as ArviZ expects."""
        names = ("prior", "prior_predictive", "observed_data")
        return fit.attached({name: self.tree[name].dataset for name in names})

    def __repr__(self) -> str:
        return f"<mixcompare.PriorPredictive {self.sentence}>"


def prior_predictive(
    spec: MixtureSpec, data: Any, *, draws: int = 500, seed: int = 0, missing: Missing = "error"
) -> PriorPredictive:
    """Draw parameters from the prior and outcomes for the design of the data.

    Parameters
    ----------
    spec
        The model and its priors. Defaults are scaled to the data, so that these are
        plausible nearly always; the check is of priors that somebody has chosen.
    data, missing
        As for `mixcompare.fit`.
    draws
        Number of draws.
    seed
        Root of the random numbers.

    Returns
    -------
    PriorPredictive
        Outcomes are without effects of absorbed cells, and statistics of outcomes are less
        their cells' means. Unit weights play no part: every unit counts once.

    Raises
    ------
    OptionError
        If draws is not positive.
    MixCompareError
        If the data do not suit the specification.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> check = mc.prior_predictive(spec, load("gapminder"), draws=200, seed=1)
    >>> list(check.table["outcome"].unique())
    ['lifeExp']
    """
    check_whole("draws", draws)
    check_spec(spec, "prior_predictive")
    panel = data if isinstance(data, Panel) else build_panel(spec, data, missing=missing)
    check_memory(8.0 * draws * panel.n_rows, f"draws = {draws} of {panel.n_rows} rows")
    problem = Problem.of(spec, panel)
    parameter_seed, outcome_seed = np.random.SeedSequence(seed).spawn(2)
    parameters = draw_priors(problem, draws, np.random.default_rng(parameter_seed))
    rows = layout(panel)
    drawn: list[FloatArray] = []
    kept: list[FloatArray] = []
    for outcomes in _outcomes(spec, panel, parameters, np.random.default_rng(outcome_seed)):
        drawn.append(_statistics(rows, outcomes))
        if len(kept) * outcomes.size < KEPT_VALUES:
            kept.append(outcomes)
    table = _table(panel, _statistics(rows, panel.outcomes), np.stack(drawn))
    coords = coordinates(spec, problem.prepared)
    arrays = {name: values[None] for name, values in parameters.items()}
    tree = predictive_tree("prior_predictive", panel, kept)
    tree["prior"] = xr.DataTree(
        parameter_dataset(problem.layout, coords, ("chain", "draw"), **arrays)
    )
    return PriorPredictive(table, _sentence(table, panel, draws), tree)


def _outcomes(
    spec: MixtureSpec, panel: Panel, parameters: dict[str, FloatArray], rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Outcomes (N, m) of each draw."""
    for s in range(len(parameters["weights"])):
        one = {name: values[s] for name, values in parameters.items()}
        yield simulate(spec, panel, one, rng)[0].outcomes


def _statistics(rows: Layout, outcomes: FloatArray) -> FloatArray:
    """(len(STATISTICS), m); NaN where a statistic says nothing of the panel."""
    values, panel = rows.within(outcomes), rows.panel
    between = unit_means(panel, values).std(axis=0)
    nothing = np.full(values.shape[1], np.nan)
    return np.stack(
        [
            nothing if rows.absorbed else values.mean(axis=0),
            values.std(axis=0),
            values.min(axis=0),
            values.max(axis=0),
            nothing if rows.absorbed or panel.n_units == panel.n_rows else between,
        ]
    )


def _table(panel: Panel, observed: FloatArray, drawn: FloatArray) -> pd.DataFrame:
    """Of statistics observed (statistic, outcome) and drawn (draw, statistic, outcome)."""
    p = tail_probability(np.broadcast_to(observed, drawn.shape), drawn).T.ravel()
    known = np.isfinite(p)
    cells = pd.MultiIndex.from_product(
        [panel.outcome_names, list(STATISTICS)], names=["outcome", "statistic"]
    )
    frame = cells.to_frame(index=False)[known].reset_index(drop=True)
    by_cell = drawn.transpose(2, 1, 0).reshape(len(p), -1)[known]
    lower, median, upper = np.quantile(by_cell, [0.025, 0.5, 0.975], axis=1)
    p = p[known]
    tails = [_tail(*pair) for pair in zip(frame["statistic"], p, strict=True)]
    return frame.assign(
        observed=observed.T.ravel()[known],
        median=median,
        lower=lower,
        upper=upper,
        p=p,
        surprise=np.array(tails) < (1 - CENTRAL) / 2,
    )


def _tail(statistic: str, p: float) -> float:
    """How rarely the prior's data go as far: a prior of data that spread further is only wide."""
    if statistic == "mean":
        return min(p, 1 - p)
    return 1 - p if statistic == "minimum" else p


def _sentence(table: pd.DataFrame, panel: Panel, draws: int) -> str:
    surprises = table[table["surprise"]]
    if len(surprises):
        listed = "; ".join(
            f"{line['statistic']} of {line['outcome']} is {line['observed']:.4g} where 95 % of the "
            f"prior's data have {line['lower']:.4g} to {line['upper']:.4g}"
            for line in surprises.head(3).to_dict("records")
        )
        return f"The data are not plausible under the prior: {listed}."
    inside = table["statistic"][np.minimum(table["p"], 1 - table["p"]) < (1 - CENTRAL) / 2]
    said = (
        f"The data are plausible under the prior: of {len(table)} statistics of "
        f"{', '.join(panel.outcome_names)} none lies further out than the central {CENTRAL:.0%} "
        f"of {draws} draws"
    )
    if len(inside):
        said += (
            f"; {len(inside)} ({', '.join(dict.fromkeys(inside))}) further in, since the data "
            "spread less than the prior's"
        )
    spread = table[table["statistic"] == "sd"]
    ratio = float((spread["median"] / spread["observed"]).max())
    if ratio > WIDE:
        said += (
            f". The prior is wide: its data typically spread {ratio:.3g} times as far as the "
            "observed"
        )
    return f"{said}."
