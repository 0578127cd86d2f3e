"""Simulation-based calibration: truths drawn from the prior, and their ranks among the draws.

If the parameters come from the prior and the data from the parameters, then the truth's rank
among independent posterior draws is uniform, whatever the model (Talts, Betancourt, Simpson,
Vehtari & Gelman 2018, theorem 1). Only quantities that no renumbering of the classes changes are
ranked, since aligning draws to the truth would use what the posterior does not know.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

import numpy as np

from mixcompare.backends import get_backend
from mixcompare.base.arrays import FloatArray
from mixcompare.base.errors import SpecificationError
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import thinned
from mixcompare.model.spec import MixtureSpec
from mixcompare.prepared.problem import Problem
from mixcompare.prepared.resolved_priors import ResolvedPriors
from mixcompare.simulate.prior_draws import draw_priors
from mixcompare.study.mechanism.truth import Truth

# Ranks go from 0 to this: so many draws are kept, far enough apart.
DRAWS: Final = 99


def draw_from_prior(spec: MixtureSpec, panel: Panel, rng: np.random.Generator) -> Truth:
    """Parameters from the specification's prior.

    Parameters
    ----------
    spec
        Its priors must not depend on the data: every one is given.
    panel
        The design.

    Raises
    ------
    SpecificationError
        If a prior is scaled to the data.
    """
    drawn = {name: a[0] for name, a in draw_priors(_design(spec, panel), 1, rng).items()}
    return Truth(
        drawn["weights"],
        drawn["coefficients"],
        drawn["covariance"],
        panel.covariate_names,
        panel.outcome_names,
        drawn.get("membership_coefficients"),
        panel.concomitant_names,
    )


def _design(spec: MixtureSpec, panel: Panel) -> Problem:
    """The panel with other outcomes, on which the priors must not depend."""
    noise = np.random.default_rng(0).normal(size=panel.outcomes.shape)
    one, other = (
        Problem.of(spec, replace(panel, outcomes=shift + scale * noise))
        for shift, scale in ((0.0, 1.0), (3.0, 10.0))
    )
    depends = [
        field.name
        for field in fields(ResolvedPriors)
        if not np.array_equal(getattr(one.priors, field.name), getattr(other.priors, field.name))
    ]
    if depends:
        raise SpecificationError(
            f"truth = 'prior' needs priors that do not depend on the data, and {depends[0]} does "
            "by default: give coefficient_mean, coefficient_sd, covariance_df and covariance_scale "
            "in [model.priors]."
        )
    return one


def ranks(fit: Fit, truth: Truth) -> dict[str, float]:
    """Ranks of the truth among the draws, 0 to `DRAWS`, of what has no labels.

    Parameters
    ----------
    fit
        A posterior of the mechanism's own model.
    truth
        What the data were made with.

    Returns
    -------
    ``rank_log_likelihood``, ``rank_largest_weight``, and ``rank_mean[NAME]``: of each
    coefficient's and each variance's mean over the population.
    """
    arrays = {
        name: thinned(fit.draws.parameters[name], DRAWS)
        for name in ("weights", "coefficients", "covariance")
    }
    drawn = _summaries(fit, **arrays)
    at_truths = _summaries(
        fit, truth.weights[None], truth.coefficients[None], truth.covariance[None]
    )
    draws = thinned(fit.log_likelihood_by_draw, DRAWS)
    at_truth = get_backend(fit.backend).scorer(fit.problem).unit_log_likelihood(truth.blocks).sum()
    by_name = {f"rank_{name}": float((drawn[name] < at_truths[name][0]).sum()) for name in drawn}
    if fit.spec.n_components == 1:
        by_name.pop("rank_largest_weight")
    return {"rank_log_likelihood": float((draws < at_truth).sum()), **by_name}


def _summaries(
    fit: Fit, weights: FloatArray, coefficients: FloatArray, covariance: FloatArray
) -> dict[str, FloatArray]:
    """Functions of the parameters that no renumbering changes, (S,) each."""
    by_name = {"largest_weight": weights.max(axis=-1)}
    outcomes = fit.outcome_names
    for j, outcome in enumerate(outcomes):
        for i, name in enumerate(fit.covariate_names):
            label = name if len(outcomes) == 1 else f"{name}, {outcome}"
            by_name[f"mean[{label}]"] = (weights * coefficients[..., i, j]).sum(axis=-1)
        label = "variance" if len(outcomes) == 1 else f"variance, {outcome}"
        by_name[f"mean[{label}]"] = (weights * covariance[..., j, j]).sum(axis=-1)
    return by_name
