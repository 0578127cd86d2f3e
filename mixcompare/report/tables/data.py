"""Tables of the data and of the priors."""

from __future__ import annotations

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import Column, Table, count, significant, table


def variables(comparison: Comparison) -> Table:
    """Distribution of the outcomes and of the columns behind the covariates."""
    panel = comparison.em.panel
    named = dict(zip(panel.outcome_names, panel.outcomes.T, strict=True))
    roles = dict.fromkeys(named, "outcome")
    for name, values in panel.variables.items():
        named.setdefault(name, values)
        roles.setdefault(name, "covariate")
    missing = dict(panel.dropped.by_column)
    stats = pd.DataFrame({name: pd.Series(values).describe() for name, values in named.items()}).T
    return table(
        "variables",
        f"Distribution of the variables over the {panel.n_rows:,} rows that were fitted",
        [
            (Column("variable", numeric=False), stats.index, str),
            (Column("role", numeric=False), [roles[name] for name in stats.index], str),
            (Column("mean"), stats["mean"], significant),
            (Column("s.d."), stats["std"], significant),
            (Column("lowest"), stats["min"], significant),
            (Column("quartile 1"), stats["25%"], significant),
            (Column("median"), stats["50%"], significant),
            (Column("quartile 3"), stats["75%"], significant),
            (Column("highest"), stats["max"], significant),
            (
                Column("missing", "rows dropped for it"),
                [missing.get(n, 0) for n in stats.index],
                count,
            ),
        ],
    )


def priors(comparison: Comparison) -> Table:
    """The priors in words."""
    frame = comparison.priors
    return table(
        "priors",
        "Priors of the posterior; EM here is maximum likelihood and ignores them",
        [
            (Column(name, numeric=False), frame[name], str)
            for name in ("parameter", "prior", "note")
            if frame[name].any()
        ],
    )
