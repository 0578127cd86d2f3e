"""The priors that a specification has on a panel, in words."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mixcompare.data.panel import build_panel
from mixcompare.model.covariances import STRUCTURES
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.prepared import Prepared
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import membership_scaling

# Means this many sds from zero tie the priors of intercept and slope to one another.
_FAR: Final = 10.0


def describe_priors(spec: MixtureSpec, data: Any) -> pd.DataFrame:
    """The priors that a specification has on a table, see `prior_table`.

    Parameters
    ----------
    data
        Any table that `mixcompare.fit` takes.

    Raises
    ------
    MixCompareError
        If the data do not suit the specification or a prior names what it does not have.

    Examples
    --------
    >>> spec = MixtureSpec("y ~ 1", n_components=2)
    >>> describe_priors(spec, {"y": [1.0, 2.0, 3.0]})["prior"].tolist()
    ['Dirichlet(2, 2)', 'Normal(2, 2.041)', 'Inverse-Gamma(1.5, 0.08333)']
    """
    return prior_table(Problem.of(spec, build_panel(spec, data)))


def prior_table(problem: Problem) -> pd.DataFrame:
    """The priors in words, one row per parameter or group of parameters.

    Returns
    -------
    Columns parameter, prior and note; the note warns of a default prior that is informative
    because a covariate lies far from zero.
    """
    spec, prepared, priors = problem.spec, problem.prepared, problem.priors
    rows = _class_probability_rows(spec, prepared)
    for i, covariate in enumerate(prepared.covariate_names):
        for j, outcome in enumerate(prepared.outcome_names):
            name = f"coefficients[{covariate}]" + (
                f"[{outcome}]" if prepared.n_outcomes > 1 else ""
            )
            mean, sd = priors.coefficient_mean[i, j], priors.coefficient_sd[i, j]
            rows.append((name, f"Normal({mean:.4g}, {sd:.4g})", _far_from_zero(prepared, i)))
    if priors.covariance_scale.size:
        words = STRUCTURES[spec.covariance].prior_in_words(
            priors.covariance_df, priors.covariance_scale
        )
        rows.append(("covariance", words, ""))
    return pd.DataFrame(rows, columns=["parameter", "prior", "note"])


def _class_probability_rows(spec: MixtureSpec, prepared: Prepared) -> list[tuple[str, str, str]]:
    if prepared.concomitants is None:
        values = ", ".join([f"{spec.priors.concentration:g}"] * spec.n_components)
        return [("weights", f"Dirichlet({values})", "")]
    _, spread = membership_scaling(prepared)
    # K independent normals less their mean, and the difference of two of them.
    of_deviation = spec.priors.membership_sd * np.sqrt(1 - 1 / spec.n_components)
    of_difference = spec.priors.membership_sd * np.sqrt(2)
    return [
        (
            f"membership[{name}]",
            f"Normal(0, {of_deviation / s:.4g})",
            "of each class's log-odds less their mean over the classes; against the first class, "
            f"whose own are zero, Normal(0, {of_difference / s:.4g})"
            + (", where the unit covariates are at their means" if name == "Intercept" else ""),
        )
        for name, s in zip(prepared.concomitant_names, spread, strict=True)
    ]


def _far_from_zero(prepared: Prepared, i: int) -> str:
    """Independent priors on intercept and slope meet at zero, where the data may not be."""
    mean, sd = prepared.column_mean[i], prepared.column_sd[i]
    if sd <= 1e-12 * abs(mean) or abs(mean) <= _FAR * sd:
        return ""
    return (
        f"its mean lies {abs(mean) / sd:.0f} sds from zero, so that independent priors on "
        "intercept and slope are informative about the fit: centre the covariate"
    )
