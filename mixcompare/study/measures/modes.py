"""Whether chains have reached the highest mode that any method has found of the same data.

A posterior of dimension d that is normal about its mode has a log-likelihood that lies half a
chi-squared variable of d degrees of freedom below its maximum: d / 2 on average, with standard
deviation sqrt(d / 2). A chain's mean has little of that spread; three times as much is left for
skewness and for the prior's pull. Heights know no labels, so that nothing has to be aligned; what
they cannot tell apart are modes nearer to one another than this allowance.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mixcompare.base.arrays import FloatArray

_KEYS: Final = ["task", "scenario", "replicate", "method", "outcome"]
# In standard deviations of the log-likelihood over the posterior.
_SPREADS: Final = 3.0


def lowest_mean(maximum: FloatArray, n_parameters: FloatArray) -> FloatArray:
    """The least mean log-likelihood of a chain that is at a mode.

    Parameters
    ----------
    maximum
        Log-likelihood of the mode.
    n_parameters
        Free parameters, d.
    """
    half = np.asarray(n_parameters) / 2
    return np.asarray(maximum - half - _SPREADS * np.sqrt(half))


def at_best_mode(numbers: pd.DataFrame) -> pd.DataFrame:
    """Which posteriors are at the highest mode of their data.

    Parameters
    ----------
    numbers
        Of fits of one model by all methods: task, scenario, replicate, method, outcome, name,
        value. The highest mode is the highest ``log_likelihood`` of a replicate, be it EM's
        maximum or a draw, or the ``highest_maximum`` of a search of the sampler's own.

    Returns
    -------
    The same columns. ``all_chains_at_best``: whether no chain's mean log-likelihood is below
    `lowest_mean`. ``unmarked_in_worse_mode``: whether one is, and neither the fit's status nor a
    caution says that something is wrong.
    """
    wide = numbers.pivot_table("value", _KEYS, "name").reset_index()
    if "lowest_chain" not in wide:
        return numbers.iloc[:0]
    heights = wide[[name for name in ("log_likelihood", "highest_maximum") if name in wide]]
    best = heights.max(axis=1).groupby([wide["scenario"], wide["replicate"]]).transform("max")
    missed = wide["lowest_chain"] < lowest_mean(best.to_numpy(), wide["n_parameters"].to_numpy())
    unmarked = missed & (wide["outcome"] == "converged") & (wide["cautions"] == 0)
    of_chains = wide["lowest_chain"].notna()
    rows = wide.loc[of_chains, _KEYS]
    return pd.concat(
        rows.assign(name=name, value=happened[of_chains].astype(float))
        for name, happened in (
            ("all_chains_at_best", ~missed),
            ("unmarked_in_worse_mode", unmarked),
        )
    )
