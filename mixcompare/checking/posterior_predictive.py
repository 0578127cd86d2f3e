"""Does the model reproduce what it was fitted to? Posterior predictive checks by class.

For a sample of the posterior's draws every unit's class is drawn from its responsibilities,
and the unit's rows are drawn again given that class. A statistic by class then depends on
the draw for observed and replicated outcomes alike, and their comparison draw by draw is the
posterior predictive check of a discrepancy (Gelman, Meng & Stern 1996). Its p-values are
conservative, for the data were used twice: near 0 or 1 they mean misfit, elsewhere little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mixcompare.backends import occupancy_in_batches
from mixcompare.base.arrays import FloatArray, evenly_spaced
from mixcompare.base.checks import check_whole
from mixcompare.base.errors import OptionError
from mixcompare.checking.discrepancies import (
    NOTABLE_SHARE,
    SHARES,
    STATISTICS,
    Layout,
    Recorded,
    layout,
    record,
    statistics,
    tail_probability,
)
from mixcompare.checking.trees import KEPT_VALUES, predictive_tree
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.fits.tree import permute_posterior
from mixcompare.labels import IntArray
from mixcompare.simulate.outcomes import draw_outcomes

# A p-value nearer than this to 0 or 1 is a misfit.
TAIL: Final = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Replicate:
    """One draw's replication.

    Attributes
    ----------
    classes
        (G,) classes of the units, counted from 0.
    expected, outcomes
        (N, m) means of the rows given the class, and replicated rows.
    """

    classes: IntArray
    expected: FloatArray
    outcomes: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PredictiveCheck:
    """What `posterior_predictive` finds.

    Attributes
    ----------
    table
        One row per class, outcome and statistic: observed (mean over draws), replicated
        (mean), lower and upper (95 % of the replicated), p (share of draws whose
        replicated statistic is the larger) and misfit (p beyond `TAIL`; of shares also a
        difference of 0.05). Statistics are those of `mixcompare.checking.discrepancies`.
    sentence
        The table in short.
    tree
        Groups ``posterior_predictive``, with a variable (chain, draw, row) for each outcome,
        under its name, and ``observed_data``, as ArviZ expects them, and
        ``posterior_predictive_classes`` with classes (chain, draw, unit), counted from 1; rows as
        in the panel. Only the first draws where all would not fit in memory.
    """

    table: pd.DataFrame
    sentence: str
    tree: xr.DataTree

    def attach(self, fit: Fit) -> Fit:
        """A fit that holds the group ``posterior_predictive`` too, as ArviZ's plots expect."""
        names = ("posterior_predictive", "observed_data")
        return fit.attached({name: self.tree[name].to_dataset() for name in names})

    def __repr__(self) -> str:
        return f"<mixcompare.PredictiveCheck {self.sentence}>"


def posterior_predictive(
    fit: Fit, *, draws: int = 400, seed: int = 0, permutation: IntArray | None = None
) -> PredictiveCheck:
    """Check a posterior by data replicated from it.

    Parameters
    ----------
    fit
        A fit with a posterior.
    draws
        How many of the posterior's draws are used, evenly spaced.
    seed
        Root of the random numbers.
    permutation
        (chain, draw, K) that align the draws; by default the fit's own.

    Returns
    -------
    PredictiveCheck
        Cell effects that are absorbed are not part of the model: outcomes are then
        replicated without and compared less their cells' means. Unit weights play no part:
        every unit counts once. Measurements that are rounded, such as all to one decimal, are
        replicated so as well before equal values and whole numbers are counted.

    Raises
    ------
    OptionError
        If the fit has no posterior or draws is not positive.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> few = {"draws": 200, "tune": 200, "chains": 2, "sampler": "pymc", "progress": False}
    >>> nuts = mc.fit(spec, load("gapminder"), backend="pymc", seed=1, **few)
    >>> list(mc.posterior_predictive(nuts, draws=100, seed=1).table["class"].unique())
    ['1', '2', 'all']
    """
    check_fit(fit, "posterior_predictive")
    if not fit.has_draws:
        raise OptionError(f"posterior_predictive needs a posterior, not a fit by {fit.backend!r}.")
    check_whole("draws", draws)
    if permutation is None:
        permutation = fit.draws.permutation
    panel = fit.panel
    rows = layout(panel)
    written = record(panel.outcomes)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    observed: list[FloatArray] = []
    replicated: list[FloatArray] = []
    kept: list[Replicate] = []
    most = max(1, KEPT_VALUES // panel.outcomes.size)
    for replicate in replicates(fit, permutation, draws, rng):
        pair = _pair(rows, written, replicate, fit.spec.n_components)
        observed.append(pair[0])
        replicated.append(pair[1])
        if len(kept) < most:
            kept.append(replicate)
    table = _table(np.array(observed), np.array(replicated), fit)
    return PredictiveCheck(table, _sentence(table), _tree(panel, kept))


def replicates(
    fit: Fit, permutation: IntArray, draws: int, rng: np.random.Generator
) -> Iterator[Replicate]:
    """Replicate a fit's data from evenly spaced draws of its posterior, labels aligned."""
    posterior = permute_posterior(fit.layout, fit.posterior_as_sampled, permutation)
    chains, length = permutation.shape[:2]
    panel = fit.panel
    parameters = {
        name: values.reshape(chains * length, *values.shape[2:])
        for name, values in fit.layout.take(posterior).items()
    }
    places = evenly_spaced(chains * length, draws)
    orders = permutation.reshape(-1, permutation.shape[-1])
    drawn = chain.from_iterable(occupancy_in_batches(fit, places))
    for s, sampled in zip(places, drawn, strict=True):
        tau = sampled[:, orders[s]]
        classes = (tau.cumsum(axis=1) < rng.random((len(tau), 1))).sum(axis=1)
        classes = np.minimum(classes, tau.shape[1] - 1).astype(np.intp)
        at_draw = {name: values[s] for name, values in parameters.items()}
        yield Replicate(
            classes,
            _expected(panel, classes, at_draw["coefficients"]),
            draw_outcomes(fit.spec, panel, classes, at_draw, rng),
        )


def _expected(panel: Panel, classes: IntArray, coefficients: FloatArray) -> FloatArray:
    by_class = np.stack([panel.covariates @ b for b in coefficients])
    return np.asarray(by_class[classes[panel.unit], np.arange(panel.n_rows)])


def _pair(
    rows: Layout, written: Recorded, replicate: Replicate, k: int
) -> tuple[FloatArray, FloatArray]:
    """Statistics of observed and replicated outcomes by class, all classes together last."""
    both = []
    for outcomes, recorded in (
        (rows.panel.outcomes, written),
        (replicate.outcomes, record(replicate.outcomes, rows.steps)),
    ):
        values = rows.within(outcomes)
        residuals = rows.within(outcomes - replicate.expected)
        by_class = statistics(rows, values, residuals, recorded, replicate.classes, k)
        everyone = np.zeros_like(replicate.classes)
        together = statistics(rows, values, residuals, recorded, everyone, 1)
        both.append(np.concatenate([by_class, together], axis=1))
    return both[0], both[1]


def _table(observed: FloatArray, replicated: FloatArray, fit: Fit) -> pd.DataFrame:
    classes = [*(str(k + 1) for k in range(fit.spec.n_components)), "all"]
    cells = [classes, fit.outcome_names, list(STATISTICS)]
    # (draw, statistic, class, outcome) by cell, draws last.
    seen, drawn = (
        np.ascontiguousarray(values.transpose(2, 3, 1, 0)).reshape(-1, len(values))
        for values in (observed, replicated)
    )
    p = tail_probability(seen.T, drawn.T)
    known = np.isfinite(p)
    seen, drawn, p = seen[known], drawn[known], p[known]
    table = pd.MultiIndex.from_product(cells, names=["class", "outcome", "statistic"])
    frame = table.to_frame(index=False)[known].reset_index(drop=True)
    before, after = np.nanmean(seen, axis=1), np.nanmean(drawn, axis=1)
    small = frame["statistic"].isin(SHARES) & (np.abs(before - after) < NOTABLE_SHARE)
    lower, upper = np.nanquantile(drawn, [0.025, 0.975], axis=1)
    return frame.assign(
        observed=before,
        replicated=after,
        lower=lower,
        upper=upper,
        p=p,
        misfit=(np.minimum(p, 1 - p) < TAIL) & ~small,
    )


def _sentence(table: pd.DataFrame) -> str:
    misfits = table[table["misfit"]]
    if misfits.empty:
        return (
            f"None of {len(table)} statistics by class tells replicated from observed data "
            f"(posterior predictive p below {TAIL:g} or above {1 - TAIL:g})."
        )
    listed = [
        f"{line['statistic']} of {line['outcome']} in "
        f"{'all classes together' if line['class'] == 'all' else 'class ' + line['class']} is "
        f"{line['observed']:.4g}, replicated {line['replicated']:.4g}"
        for line in misfits.head(3).to_dict("records")
    ]
    more = f"; and {len(misfits) - 3} more" if len(misfits) > 3 else ""
    return (
        f"{len(misfits)} of {len(table)} statistics tell replicated from observed data: "
        f"{'; '.join(listed)}{more}. By chance alone "
        f"about {2 * TAIL * len(table):.2g} of {len(table)} would."
    )


def _tree(panel: Panel, kept: list[Replicate]) -> xr.DataTree:
    tree = predictive_tree("posterior_predictive", panel, [r.outcomes for r in kept])
    classes = np.stack([replicate.classes + 1 for replicate in kept])[None]
    tree["posterior_predictive_classes"] = xr.DataTree(
        xr.Dataset(
            {"classes": (("chain", "draw", "unit"), classes)}, coords={"unit": panel.unit_labels}
        )
    )
    return tree
