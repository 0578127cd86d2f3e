"""Tables of the data and of the priors."""

from __future__ import annotations

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import Table, count, frame_table, numbers, significant, words


def variables(comparison: Comparison) -> Table:
    """Distribution of the outcomes and of the columns behind the covariates."""
    panel = comparison.em.panel
    outcomes = dict(zip(panel.outcome_names, panel.outcomes.T, strict=True))
    values = {**panel.variables, **outcomes}
    names = [*outcomes, *(name for name in values if name not in outcomes)]
    frame = pd.DataFrame({name: pd.Series(values[name]).describe() for name in names}).T
    missing = dict(panel.dropped.by_column)
    return frame_table(
        "variables",
        f"Distribution of the variables over the {panel.n_rows:,} rows that were fitted",
        frame.rename_axis("variable").assign(
            role=["outcome" if name in outcomes else "covariate" for name in names],
            missing=[missing.get(name, 0) for name in names],
        ),
        words("variable", "role"),
        numbers(significant, "mean", std="s.d.", min="lowest"),
        numbers(significant, **{"25%": "quartile 1", "50%": "median", "75%": "quartile 3"}),
        numbers(significant, max="highest"),
        numbers(count, missing="missing: rows dropped for it"),
    )


def priors(comparison: Comparison) -> Table:
    """The priors in words."""
    return frame_table(
        "priors",
        "Priors of the posterior; EM here is maximum likelihood and ignores them",
        comparison.priors,
        words(*(n for n in ("parameter", "prior", "note") if comparison.priors[n].any())),
    )
