"""Rules on the model that both backends have fitted: its priors and its fit to the data."""

from __future__ import annotations

from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison.evidence import UNLIKE, Evidence, Verdict


def judge_prior(e: Evidence) -> Verdict:
    """The posterior should not move with the prior, or EM, which has none, must differ."""
    found = sensitivity_sentence(e.checks.sensitivity)
    flagged = e.checks.sensitivity["diagnosis"].loc[lambda diagnosis: diagnosis != ""]
    if flagged.empty:
        return Verdict("prior sensitivity", "agree", "", found)
    if not e.converged:
        unsure = f"{found} It is of draws that cannot be relied on."
        return Verdict("prior sensitivity", "caution", e.unconverged, unsure)
    return Verdict("prior sensitivity", "caution", str(flagged.mode().iloc[0]), found)


def judge_fit(e: Evidence) -> Verdict:
    """Two backends that agree on a model may both describe data that it cannot produce."""
    check = e.checks.posterior
    if float(check.table["misfit"].mean()) <= e.thresholds.misfits:
        return Verdict("model fit", "agree", "", check.sentence)
    return Verdict("model fit", "caution", UNLIKE, check.sentence)
