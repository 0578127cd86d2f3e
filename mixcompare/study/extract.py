"""From a fit to the rows that a study keeps: estimates, criteria and diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mixcompare import labels
from mixcompare.fit import Fit
from mixcompare.metrics import adjusted_rand_index, brier_score, relative_entropy
from mixcompare.panel import FloatArray
from mixcompare.parameters import Parameter, flatten
from mixcompare.study.calibration import ranks
from mixcompare.study.generate import DataSet
from mixcompare.study.methods import bic
from mixcompare.study.truth import Combination, match_components, renamed
from mixcompare.summary import LEVEL, wald_interval

_TAILS = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]


class Estimate(NamedTuple):
    """One estimand's row: the truth, and the fit's estimate with its 95 % interval."""

    estimand: str
    truth: float
    estimate: float
    standard_error: float
    lower: float
    upper: float


def estimates(fit: Fit, data: DataSet, wanted: Sequence[str]) -> list[Estimate]:
    """Estimates under the truth's labels; none if the numbers of classes differ.

    Parameters
    ----------
    wanted
        From the study's ``[estimands]``; empty for all.
    """
    covariates, concomitants = fit.covariate_names, fit.concomitant_names
    permutation: labels.IntArray | None = np.arange(fit.spec.n_components)
    if data.classes is not None:
        permutation = match_components(fit.responsibilities.to_numpy(), data.classes)
    if permutation is None:
        return []
    parameters = fit.parameters
    named = renamed(parameters, permutation)
    chosen = [(p, combination) for p, combination in named if is_wanted(p, wanted, covariates)]
    truths = [
        float("nan") if data.truth is None else data.truth.value(p, covariates, concomitants)
        for p, _ in chosen
    ]
    values = _values(fit, parameters, chosen)
    return [
        Estimate(p.name, truth, *map(float, own))
        for (p, _), truth, *own in zip(chosen, truths, *values, strict=True)
    ]


def is_wanted(parameter: Parameter, wanted: Sequence[str], covariates: Sequence[str]) -> bool:
    """Whether a parameter is named by itself, its array, or its covariate."""
    names = {parameter.name, parameter.variable}
    if parameter.variable == "coefficients":
        names.add(covariates[parameter.position[1]])
    return not wanted or any(name in names for name in wanted)


def _values(
    fit: Fit, parameters: Sequence[Parameter], chosen: Sequence[tuple[Parameter, Combination]]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Estimates, standard errors and intervals of the chosen, which are sums of the fit's."""
    if "posterior" in fit.tree.children:
        draws = _summed(flatten(fit.aligned_posterior(), parameters), chosen)
        return draws.mean(axis=0), draws.std(axis=0, ddof=1), *np.quantile(draws, _TAILS, axis=0)
    estimate = _summed(flatten(fit.tree["estimate"].to_dataset(), parameters), chosen)[0]
    if "bootstrap" in fit.tree.children:
        draws = _summed(flatten(fit.tree["bootstrap"].to_dataset(), parameters), chosen)
        return estimate, draws.std(axis=0, ddof=1), *np.quantile(draws, _TAILS, axis=0)
    covariance = fit.tree["standard_errors"]["parameter_covariance"].to_numpy()
    variance = [
        sum(a * b * covariance[i, j] for i, a in combination for j, b in combination)
        for _, combination in chosen
    ]
    errors = np.sqrt(np.asarray(variance, dtype=np.float64))
    return estimate, errors, *wald_interval([p for p, _ in chosen], estimate, errors)


def _summed(values: FloatArray, chosen: Sequence[tuple[Parameter, Combination]]) -> FloatArray:
    """(S, Q) from the fit's (..., P), every sample a row."""
    rows = values.reshape(-1, values.shape[-1])
    return np.stack([sum(a * rows[:, i] for i, a in c) for _, c in chosen], axis=1)


def criteria(fit: Fit, data: DataSet) -> dict[str, float]:
    """Measures of the whole fit: likelihood, information criterion, class membership.

    ``adjusted_rand_index`` and ``brier_score`` compare with the true classes;
    ``components_recovered`` is 1 where the fit has as many classes as the truth.
    """
    probabilities = fit.responsibilities.to_numpy()
    found = {
        "log_likelihood": fit.log_likelihood,
        "bic": bic(fit),
        "n_components": float(fit.spec.n_components),
        "relative_entropy": relative_entropy(probabilities),
    }
    if data.classes is None:
        return found
    found["components_recovered"] = float(probabilities.shape[1] == data.classes.shape[1])
    found["adjusted_rand_index"] = adjusted_rand_index(
        probabilities.argmax(axis=1), data.classes.argmax(axis=1)
    )
    permutation = match_components(probabilities, data.classes)
    if permutation is not None:
        found["brier_score"] = brier_score(probabilities[:, permutation], data.classes)
    return found


def diagnostics(fit: Fit, data: DataSet) -> dict[str, float]:
    """How the fit was reached: starts and iterations of EM, convergence of the chains.

    Posteriors of data whose truth was drawn from the prior have their ranks, too.
    """
    if "posterior" in fit.tree.children:
        found = _chains(fit)
        if data.from_prior and data.truth is not None:
            found |= ranks(fit, data.truth)
        return found
    starts = fit.tree["starts"]
    optimum = starts["optimum"].to_numpy()
    return {
        "share_at_best_optimum": float((optimum == 0).mean()),
        "distinct_optima": float(len(set(optimum[optimum >= 0]))),
        "unusable_starts": float((optimum < 0).sum()),
        "iterations": float(starts["iterations"].to_numpy().sum()),
        "standard_errors_withheld": float(bool(fit.tree["standard_errors"].attrs["reason"])),
    }


def _chains(fit: Fit) -> dict[str, float]:
    moved = labels.switching(fit.tree["alignment"]["permutation"].to_numpy())
    summary = fit.summary()
    found = {
        "largest_r_hat": float(summary["r_hat"].max()),
        "smallest_ess_bulk": float(summary["ess_bulk"].min()),
        "labellings": float(moved.labellings),
        "switches_per_chain": float(moved.switches.mean()),
        "share_relabelled": moved.relabelled,
    }
    if "diverging" in fit.tree["sample_stats"]:
        found["divergences"] = float(fit.tree["sample_stats"]["diverging"].sum())
    return found


def unknown_estimands(
    wanted: Sequence[str], parameters: Sequence[Parameter], covariates: Sequence[str]
) -> list[str]:
    """Those of the wanted names that no parameter answers to."""
    return [
        name for name in wanted if not any(is_wanted(p, [name], covariates) for p in parameters)
    ]
