"""From a fit to the rows that a study keeps: estimates, criteria and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mixcompare import labels
from mixcompare.base.arrays import FloatArray
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import LEVEL, wald_interval
from mixcompare.labels.metrics import adjusted_rand_index, brier_score, relative_entropy
from mixcompare.study.file.methods import bic
from mixcompare.study.mechanism.generate import DataSet
from mixcompare.study.mechanism.prior_truths import ranks
from mixcompare.study.mechanism.truth import match_components
from mixcompare.study.task.estimands import Estimands, estimands

_TAILS = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]


class Estimate(NamedTuple):
    """One estimand's row: the truth, and the fit's estimate with its 95 % interval."""

    estimand: str
    truth: float
    estimate: float
    standard_error: float
    lower: float
    upper: float


class Kept(NamedTuple):
    """What is kept of a fit.

    Attributes
    ----------
    estimates
        Under the truth's labels; none if the numbers of classes differ.
    criteria
        Measures of the whole fit: likelihood, information criterion, class membership.
        ``adjusted_rand_index`` and ``brier_score`` compare with the true classes;
        ``components_recovered`` is 1 where the fit has as many classes as the truth.
    diagnostics
        How the fit was reached: starts and iterations of EM, convergence of the chains and the
        highest and lowest of their mean log-likelihoods, and the highest log-likelihood of the
        maxima that their own search found; how many cautions it has.
        Posteriors of data whose truth was drawn from the prior have their ranks, too.
    """

    estimates: tuple[Estimate, ...]
    criteria: Mapping[str, float]
    diagnostics: Mapping[str, float]


def keep(fit: Fit, data: DataSet, wanted: Sequence[str]) -> Kept:
    """All that a study keeps of a fit.

    Parameters
    ----------
    data
        What was fitted.
    wanted
        From the study's ``[estimands]``; empty for all.
    """
    probabilities = fit.result.occupancy
    permutation: labels.IntArray | None = np.arange(probabilities.shape[1])
    if data.classes is not None:
        permutation = match_components(probabilities, data.classes)
    return Kept(
        () if permutation is None else _estimates(fit, data, tuple(wanted), permutation),
        _criteria(fit, data, probabilities, permutation),
        _diagnostics(fit, data),
    )


def _estimates(
    fit: Fit, data: DataSet, wanted: tuple[str, ...], permutation: labels.IntArray
) -> tuple[Estimate, ...]:
    covariates = fit.covariate_names
    asked = estimands(fit.layout, tuple(permutation.tolist()), wanted, covariates)
    if not asked.names:
        return ()
    truths = [np.nan] * len(asked.names)
    if data.truth is not None:
        truths = asked.truths(data.truth, covariates, fit.concomitant_names)
    columns = (values.tolist() for values in _values(fit, asked))
    return tuple(map(Estimate, asked.names, truths, *columns))


def _values(fit: Fit, asked: Estimands) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Estimates, standard errors and intervals of the chosen, which are sums of the fit's."""
    if fit.has_draws:
        draws = asked.sums(fit.aligned_draws)
        return draws.mean(axis=0), draws.std(axis=0, ddof=1), *np.quantile(draws, _TAILS, axis=0)
    estimate = asked.sums(fit.layout.flatten(fit.estimate))[0]
    if fit.replicates is not None:
        draws = asked.sums(fit.layout.flatten(fit.replicates))
        return estimate, draws.std(axis=0, ddof=1), *np.quantile(draws, _TAILS, axis=0)
    errors = np.sqrt(asked.variances(fit.errors.covariance))
    return estimate, errors, *wald_interval(asked.parameters, estimate, errors)


def _criteria(
    fit: Fit, data: DataSet, probabilities: FloatArray, permutation: labels.IntArray | None
) -> dict[str, float]:
    values = {
        "log_likelihood": fit.log_likelihood,
        "bic": bic(fit),
        "n_components": float(probabilities.shape[1]),
        "n_parameters": float(fit.n_parameters),
        "relative_entropy": relative_entropy(probabilities, fit.replicated),
    }
    if data.classes is None:
        return values
    values["components_recovered"] = float(probabilities.shape[1] == data.classes.shape[1])
    values["adjusted_rand_index"] = adjusted_rand_index(
        probabilities.argmax(axis=1), data.classes.argmax(axis=1)
    )
    if permutation is not None:
        values["brier_score"] = brier_score(probabilities[:, permutation], data.classes)
    return values


def _diagnostics(fit: Fit, data: DataSet) -> dict[str, float]:
    cautions = {"cautions": float(len(fit.cautions))}
    if fit.has_draws:
        values = _chains(fit) | cautions
        if data.from_prior and data.truth is not None:
            values |= ranks(fit, data.truth)
        return values
    optimum = fit.search.ends["optimum"]
    return {
        "share_at_best_optimum": float((optimum == 0).mean()),
        "distinct_optima": float(len(set(optimum[optimum >= 0].tolist()))),
        "unusable_starts": float((optimum < 0).sum()),
        "iterations": float(fit.search.ends["iterations"].sum()),
        "standard_errors_withheld": float(bool(fit.errors.reason)),
        **cautions,
    }


def _chains(fit: Fit) -> dict[str, float]:
    moved = labels.switching(fit.draws.permutation)
    summary = fit.summary()
    means = fit.log_likelihood_by_draw.mean(axis=1)
    values = {
        "highest_chain": float(means.max()),
        "lowest_chain": float(means.min()),
        "largest_r_hat": float(summary["r_hat"].max()),
        "smallest_ess_bulk": float(summary["ess_bulk"].min()),
        "labellings": float(moved.labellings),
        "switches_per_chain": float(moved.switches.mean()),
        "share_relabelled": moved.relabelled,
    }
    if "diverging" in fit.draws.statistics:
        values["divergences"] = float(fit.draws.statistics["diverging"].sum())
    optima = fit.result.optima
    if optima is not None:
        values["highest_maximum"] = float(
            optima.log_likelihood.max(where=optima.proper, initial=-np.inf)
        )
        values["restarted_chains"] = float(fit.draws.statistics["restarted"].sum())
        values["search_seconds"] = optima.seconds
    return values
