"""Rules on the model that both backends have fitted: its priors and its fit to the data."""

from __future__ import annotations

import pandas as pd

from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison.evidence import Evidence, Verdict, not_judged
from mixcompare.comparison.glossary import DEPENDENT, REASONS, UNLIKE


def judge_prior(e: Evidence) -> Verdict:
    """The posterior should not move with the prior, or EM, which has none, must differ.

    A parameter that is sensitive to the prior's power is a caution only if the prior also moves
    it noticeably, or if nothing says how far it does: sensitivity measures the power of the
    data to see a move as much as its size.
    """
    section = "prior sensitivity"
    if e.unreliable is not None:
        return not_judged(section, e.unreliable)
    sentence = sensitivity_sentence(e.checks.sensitivity)
    flagged = e.checks.sensitivity["diagnosis"].loc[lambda diagnosis: diagnosis != ""]
    if flagged.empty:
        return Verdict(section, "ok", None, sentence)
    commonest = REASONS[str(flagged.mode().iloc[0])]
    sd = e.estimates["posterior_sd"].where(lambda sd: sd > 0, 1.0)
    moved = pd.Series(e.shift, index=sd.index)[flagged.index]
    in_sds = moved / sd[flagged.index]
    if in_sds.isna().any():
        return Verdict(section, "caution", commonest, sentence)
    most = str(in_sds.abs().idxmax())
    sentence += (
        f" Of these the prior moves {most} most, by {moved[most]:+.3g}, which is "
        f"{abs(in_sds[most]):.2g} posterior sds."
    )
    if abs(in_sds[most]) <= e.thresholds.difference:
        return Verdict(section, "ok", None, sentence)
    return Verdict(section, "caution", commonest, sentence)


def judge_fit(e: Evidence) -> Verdict:
    """Two backends that agree on a model may both describe data that it cannot produce."""
    section, check = "model fit", e.checks.posterior
    if e.unreliable is not None:
        return not_judged(section, e.unreliable)
    if float(check.table["misfit"].mean()) <= e.thresholds.misfits:
        return Verdict(section, "ok", None, check.sentence)
    return Verdict(section, "caution", UNLIKE, check.sentence)


def judge_errors(e: Evidence) -> Verdict:
    """Standard errors of the model must be near those that allow for dependence within units."""
    section, worst = "standard errors", str(e.too_short.idxmax())
    ratio = float(e.too_short.max())
    sentence = (
        "Sandwich standard errors, which stay valid if rows of a unit depend on one another, are "
        f"at most {ratio:.2f} times EM's ({worst})."
    )
    if ratio <= e.thresholds.sandwich:
        return Verdict(section, "ok", None, sentence)
    return Verdict(
        section,
        "caution",
        DEPENDENT,
        f"{sentence} Both backends' intervals are too short by about as much; "
        "standard_errors='sandwich' makes EM's wide enough.",
    )
