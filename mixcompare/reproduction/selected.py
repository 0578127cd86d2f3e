"""The choice of K in a report: what repeats it, and the numbers that must come out again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import logsumexp, ndtri, stdtrit

from mixcompare.backends import build_options
from mixcompare.base.arrays import FloatArray
from mixcompare.data.panel import Panel
from mixcompare.fits.fit import Fit
from mixcompare.fits.summary import convergence
from mixcompare.model.spec import MixtureSpec
from mixcompare.selection import Selection, select
from mixcompare.selection.criteria_table import CRITERIA, Criterion

SOURCE: Final = "choice of K"
# Of the intervals that the errors are for, one-sided.
_LEVEL: Final = 0.9995
_OF_TESTS: Final = {"statistic": "statistic", "p_value": "p-value", "critical": "95 % quantile"}


def choice_record(selection: Selection) -> dict[str, Any]:
    """What repeats a selection, where it was made and what it chose, for a report's page."""
    first = next(iter(selection.fits.values()))
    return {
        "asked": dict(selection.asked),
        "versions": first.versions,
        "machine": first.machine,
        "choices": selection.choices["n_components"].dropna().astype(int).to_dict(),
    }


def check_asked(record: Mapping[str, Any]) -> None:
    """Refuse options that neither `select` nor a backend knows.

    Raises
    ------
    OptionError
        It names the option.
    """
    known = inspect.signature(select).parameters
    build_options("em", {name: v for name, v in record["asked"].items() if name not in known})
    build_options("pymc", record["asked"]["sampling"] or {})


def choose_again(
    record: Mapping[str, Any], spec: MixtureSpec, panel: Panel, *, workers: int, progress: bool
) -> Selection:
    """The selection of a `choice_record` anew."""
    asked = {**record["asked"], "progress": progress}
    if asked["posterior"]:
        asked["sampling"] = {**asked["sampling"], "progress": progress}
    return select(spec, panel, workers=workers, **asked)


def posteriors(selection: Selection) -> dict[str, Fit]:
    """PyMC's fits by a name for each."""
    return {f"{SOURCE}, K = {k}": fit for k, fit in selection.posteriors.items()}


def choice_numbers(selection: Selection) -> pd.DataFrame:
    """Criteria, log-likelihoods and tests by EM, criteria of the posterior with their errors.

    Returns
    -------
    Columns as `mixcompare.reproduction.numbers.numbers`; what could not be had is left out.
    """
    rows = [
        (SOURCE, backend, quantity, float(value), error)
        for backend, quantity, value, error in (*_criteria(selection), *_tests(selection))
    ]
    columns = ["source", "backend", "quantity", "value", "error"]
    return pd.DataFrame(rows, columns=columns).dropna(subset="value", ignore_index=True)


def _criteria(selection: Selection) -> Iterator[tuple[str, str, float, float]]:
    by_em = {
        "log_likelihood": "log-likelihood",
        **{c.column: c.title for c in CRITERIA.values() if c.value is not None},
        "entropy_r2": "relative entropy",
        "smallest_class": "size of the smallest class",
    }
    for k, row in selection.table.iterrows():
        for column, title in by_em.items():
            yield "em", f"{title}, K = {k}", row[column], np.nan
        for criterion in CRITERIA.values():
            if criterion.value is None and criterion.column in row:
                error = _error(criterion, row, selection, int(str(k)))
                yield "pymc", f"{criterion.title}, K = {k}", row[criterion.column], error


def _error(criterion: Criterion, row: pd.Series, selection: Selection, k: int) -> float:
    if criterion.column == "elpd_loo" and k in selection.posteriors:
        drawn = selection.posteriors[k].tree["log_likelihood"]["outcomes"]
        return elpd_error(drawn.to_numpy())
    error = float(row.get(f"{criterion.column}_error", np.nan))
    if criterion.column == "log_evidence_smc":
        runs = build_options("pymc", selection.asked["sampling"]).chains
        return error * _by_few(runs)
    return error


def _by_few(runs: int) -> float:
    """How much wider an interval is whose error comes from a few runs: Student's t."""
    return float(stdtrit(runs - 1, _LEVEL) / ndtri(_LEVEL)) if runs > 1 else np.nan


def _tests(selection: Selection) -> Iterator[tuple[str, str, float, float]]:
    if selection.tests is not None:
        for row in selection.tests.to_dict("records"):
            for column, title in _OF_TESTS.items():
                quantity = f"{title} of the test of {row['null']} against {row['alternative']}"
                yield "em", quantity, row[column], np.nan


def elpd_error(log_likelihood: FloatArray) -> float:
    """Monte Carlo error of the leave-one-out log predictive density, summed over units.

    By the delta method from importance weights 1 / p(y_g | draw) that are not smoothed, which
    has the units' errors move together as they do, since all have the same draws.

    Parameters
    ----------
    log_likelihood
        (C, S, G) of every unit at every draw.
    """
    size = log_likelihood.shape[0] * log_likelihood.shape[1]
    mean = logsumexp(-log_likelihood, axis=(0, 1)) - np.log(size)
    pull = np.exp(-log_likelihood - mean).sum(axis=-1)
    if np.ptp(pull) == 0:
        return 0.0
    return float(convergence(pull[..., None], ["mcse_mean"])["mcse_mean"][0])
