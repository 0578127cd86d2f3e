"""Tables of the verdicts, and the data frames behind every table."""

from __future__ import annotations

from typing import Final

import pandas as pd

from mixcompare.comparison import Comparison
from mixcompare.comparison.glossary import REASONS, WORDS
from mixcompare.pages.formatting import Table, frame_table, numbers, significant, words
from mixcompare.report.tables.em import starts_frame

# For readers; users find more in `mixcompare.Thresholds`.
_MEANING: Final = {
    "identity": "most by which the two log-likelihood computations may differ, relative",
    "excess": "most by which a draw's log-likelihood may exceed EM's maximum, relative",
    "starts_at_best": "starts of EM that should reach the best optimum",
    "missed": "chance, were the posterior normal, that draws stay so far below its mode that the "
    "chains are held to have missed it",
    "r_hat": "largest R-hat of a parameter whose chains have converged",
    "r_hat_modes": "R-hat of the log-likelihood or the sorted weights beyond which chains sit in "
    "different modes",
    "other_modes": "share of draws that may climb to another mode than the commonest",
    "ess": "least bulk effective sample size of every parameter",
    "difference": "most by which posterior mean and EM's estimate may differ, in posterior s.d.s",
    "sensitivity": "power-scaling sensitivity from which on a parameter depends on the prior",
    "misfits": "share of the posterior predictive checks that may fail",
    "mean_log_likelihood": "most by which the draws' mean log-likelihood may be off what a normal "
    "posterior has, in s.d.s",
    "misfit": "effective number of parameters, relative to the free ones, beyond which the model "
    "fits poorly",
    "sandwich": "sandwich standard error, relative to EM's, beyond which rows of a unit depend on "
    "one another",
    "same_class": "least share of units in the same class by both",
    "distance": "largest mean distance of class probabilities, total variation",
}


def frames(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """The comparison's data frames by file name, whole and at full precision.

    What draws alone tell is left out where they cannot be relied on.
    """
    of_draws = {
        "algorithms": comparison.algorithms.reset_index(),
        "sensitivity": comparison.sensitivity.reset_index(),
        "left-out": comparison.loo.units.reset_index(),
        "predictive-check": comparison.predictive_check.table,
    }
    return {
        "estimates": comparison.estimates.reset_index(),
        "likelihoods": comparison.likelihoods.reset_index(),
        "agreement": comparison.agreement.reset_index(),
        "membership": comparison.membership.reset_index(),
        "switching": comparison.switching.reset_index(),
        "invariants": comparison.invariants.reset_index(),
        "modes": comparison.modes.reset_index(),
        "optima": comparison.optima.reset_index(),
        "fits": comparison.fits.reset_index(),
        "side-by-side": comparison.side_by_side.reset_index(),
        "runs": comparison.runs.reset_index(),
        "priors": comparison.priors,
        "verdicts": comparison.verdicts,
        "thresholds": comparison.thresholds.table(),
        "starts": starts_frame(comparison).reset_index(),
        "prior-check": comparison.prior_check.table,
        **(of_draws if comparison.judged else {}),
        **({} if comparison.searches.empty else {"searches": comparison.searches.reset_index()}),
    }


def verdicts(comparison: Comparison) -> Table:
    """The verdicts of the summary box."""
    frame = comparison.verdicts
    return frame_table("verdicts", "Verdicts", frame, words(*frame.columns))


def meanings(comparison: Comparison) -> Table:
    """The words and reasons of the verdicts that occur, with what to do about each."""
    verdicts = comparison.verdicts
    where = {
        entry: list(verdicts.loc[verdicts[column] == entry.name, "section"])
        for column, entries in (("verdict", WORDS), ("reason", REASONS.values()))
        for entry in entries
    }
    lines = [
        (entry.name, entry.meaning, entry.remedy, ", ".join(sections))
        for entry, sections in where.items()
        if sections
    ]
    frame = pd.DataFrame(lines, columns=["verdict or reason", "meaning", "remedy", "sections"])
    return frame_table(
        "meanings", "Verdicts and reasons that occur here", frame, words(*frame.columns)
    )


def thresholds(comparison: Comparison) -> Table:
    """The rules' thresholds."""
    frame = comparison.thresholds.table()
    return frame_table(
        "thresholds",
        "Thresholds of the verdicts' rules",
        frame.assign(meaning=[_MEANING[name] for name in frame["threshold"]]),
        words("threshold"),
        numbers(significant, "value"),
        words("meaning"),
    )
